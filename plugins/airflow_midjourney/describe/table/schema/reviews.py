"""What people decided about prompts, and which image a reviewer has before them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import Column, ColumnElement, Index, MetaData, Table, case, func, select

from airflow_midjourney.describe.model.review import OUTDATED, ReviewDecision
from airflow_midjourney.describe.table.columns import KeyText, PlainText, RowNumber, UTCDateTime

if TYPE_CHECKING:
    from sqlalchemy import Label

#: What the view and exports say of the newest decision; the columns of the metadata table have other names.
REVIEW_COLUMNS: Final = ("caption", "caption_source", "decision", "reviewer", "reviewed_at")


def reviews_table(metadata: MetaData, name: str) -> Table:
    """One row per decision of a person. Rows are only added; those of an erased image are deleted with it."""
    return Table(
        f"{name}_reviews",
        metadata,
        Column(
            "id",
            RowNumber,
            primary_key=True,
            autoincrement=True,
            comment="Number of the decision. The highest of an image counts.",
        ),
        Column("image_id", RowNumber, nullable=False, comment="Row of the metadata table that was decided about."),
        Column(
            "decision",
            PlainText,
            nullable=False,
            comment="approved, rejected, or withdrawn: the decision before was taken back and the image is undecided.",
        ),
        Column(
            "caption",
            PlainText,
            comment="Approved text, as the reviewer saw or wrote it. Empty unless approved.",
        ),
        Column(
            "caption_source",
            PlainText,
            comment="Where the text is from: prompt_1 to prompt_4, or edited by the reviewer. Empty unless approved.",
        ),
        Column(
            "task_id",
            KeyText,
            comment=(
                "Number of the describe whose prompts the reviewer saw. Where the image has another one by now, the "
                "decision is outdated. Empty where the image had none."
            ),
        ),
        Column("reviewer", PlainText, nullable=False, comment="Who decided: Airflow's name of the user, or an import."),
        Column("reviewed_at", UTCDateTime, nullable=False, comment="When the decision was written."),
        Index(f"ix_{name}_reviews_image", "image_id", "id"),
        comment="One row per decision of a person about an image's prompts. Rows are only added.",
    )


def review_leases_table(metadata: MetaData, name: str) -> Table:
    """One row per image that a reviewer has, or had, before them."""
    return Table(
        f"{name}_review_leases",
        metadata,
        Column(
            "image_id",
            RowNumber,
            primary_key=True,
            autoincrement=False,
            comment="Row of the metadata table that the reviewer has before them.",
        ),
        Column("holder", KeyText, nullable=False, comment="Window of a reviewer that holds the lease."),
        Column(
            "held_until",
            UTCDateTime,
            nullable=False,
            comment="When the lease runs out and another reviewer may be given the image.",
        ),
        Index(f"ix_{name}_review_leases_holder", "holder"),
        comment="One row per image that a reviewer has before them, so that no other is given it meanwhile.",
    )


def is_newest(images: Table, reviews: Table) -> ColumnElement[bool]:
    """Give the condition that a decision is the newest about a row of the metadata table."""
    others = reviews.alias("others")
    newest = select(func.max(others.c.id)).where(others.c.image_id == images.c.id).correlate(images).scalar_subquery()
    return reviews.c.id == newest


def is_about_this_answer(images: Table, reviews: Table) -> ColumnElement[bool]:
    """Give the condition that a decision is about the prompts that the row has now."""
    return reviews.c.task_id.is_not_distinct_from(images.c.task_id)


def review_facts(images: Table, reviews: Table) -> tuple[Label[object], ...]:
    """Give :data:`REVIEW_COLUMNS` of the newest decision: nothing of one that was withdrawn.

    Of one that is outdated the text is left out, since nothing carries it over to the new answer.
    """
    withdrawn = reviews.c.decision == ReviewDecision.WITHDRAWN.value
    stands = is_about_this_answer(images, reviews)
    approved = stands & (reviews.c.decision == ReviewDecision.APPROVED.value)
    return (
        case((approved, reviews.c.caption)).label("caption"),
        case((approved, reviews.c.caption_source)).label("caption_source"),
        case((withdrawn, None), (stands, reviews.c.decision), (reviews.c.id.is_not(None), OUTDATED)).label("decision"),
        case((~withdrawn, reviews.c.reviewer)).label("reviewer"),
        case((~withdrawn, reviews.c.reviewed_at)).label("reviewed_at"),
    )
