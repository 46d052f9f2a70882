"""Decisions about prompts: added, never changed, each only if the image is still as its reviewer saw it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from airflow_midjourney.describe.model.review import EDITED, ReviewDecision
from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.describe.model.text import storable
from airflow_midjourney.describe.table.schema import PROMPT_COLUMNS
from airflow_midjourney.describe.table.schema.reviews import is_newest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from airflow_midjourney.describe.table.database import Transaction

#: Hex digits that tell the answers of one image apart.
_DIGITS = 32


@dataclass(frozen=True, slots=True)
class SeenAnswer:
    """An image as its reviewer saw it.

    :param answer: names its prompts, and the describe that they came from; see :func:`name_answer`.
    :param newest: number of the newest decision that was shown; None where there was none.
    """

    image_id: int
    answer: str
    newest: int | None = None


@dataclass(frozen=True, slots=True)
class Review:
    """What a reviewer decides about one image.

    :param prompt: number of the approved prompt, 1 to 4.
    :param text: the approved text, where the reviewer wrote it.
    :param decided_at: when, in UTC; None for now. A later time than the database's counts as now.
    """

    seen: SeenAnswer
    decision: ReviewDecision
    prompt: int | None = None
    text: str | None = None
    decided_at: datetime | None = None

    def __post_init__(self) -> None:
        ways = (self.prompt is not None) + bool(self.text and self.text.strip())
        if ways != (self.decision is ReviewDecision.APPROVED):
            raise ValueError("An approval has the number of a prompt, or a text, and no other decision has either.")


class Written(StrEnum):
    """What became of a review."""

    ADDED = "added"

    #: The newest decision is the same, of the same reviewer: a request that came twice changes nothing.
    REPEATED = "repeated"

    #: The image has other prompts than the reviewer saw, or is being described again.
    ANSWER_CHANGED = "answer_changed"

    #: Another decision came first: the reviewer has not seen it.
    DECIDED_MEANWHILE = "decided_meanwhile"

    #: There is no such image, it has no such prompt, or there is no decision to take back.
    IMPOSSIBLE = "impossible"


@dataclass(frozen=True, slots=True)
class KnownReview:
    """One decision of the table."""

    id: int
    image_id: int
    decision: ReviewDecision
    caption: str | None
    caption_source: str | None
    task_id: str | None
    reviewer: str
    reviewed_at: datetime


@dataclass(frozen=True, slots=True)
class ReviewOutcome:
    """What became of a review, and the decision that counts now, if there is one."""

    image_id: int
    written: Written
    newest: KnownReview | None


def name_answer(task_id: str | None, prompts: Iterable[str | None]) -> str:
    """Name prompts, and the describe that they came from, without giving its number away."""
    seen = json.dumps([task_id, [text for text in prompts if text]])
    return hashlib.sha256(seen.encode()).hexdigest()[:_DIGITS]


def write_reviews(tx: Transaction, reviews: Sequence[Review], reviewer: str) -> list[ReviewOutcome]:
    """Add decisions, each if its image still has what its reviewer saw: the answer, and the newest decision.

    :param reviews: of one image each.
    :param reviewer: Airflow's name of the user, or of the import.
    :return: what became of each, in the same order.
    :raises ValueError: if two are about one image.
    """
    if len({one.seen.image_id for one in reviews}) < len(reviews):
        raise ValueError("Two reviews of one image: their reviewer can have seen at most one of them.")
    images = _locked(tx, [one.seen.image_id for one in reviews])
    newest = newest_reviews(tx, list(images))
    outcomes: dict[int, Written] = {}
    rows: list[dict[str, Any]] = []
    for one in reviews:
        image_id = one.seen.image_id
        row = _row(one, images.get(image_id), reviewer)
        outcomes[image_id] = _may_be_written(one, images.get(image_id), newest.get(image_id), row)
        if outcomes[image_id] is Written.ADDED:
            rows.append({**row, "reviewed_at": min(one.decided_at or tx.now, tx.now)})
    if rows:
        tx.connection.execute(tx.tables.reviews.insert(), rows)
        newest = newest_reviews(tx, list(images))
    return [ReviewOutcome(image_id, written, newest.get(image_id)) for image_id, written in outcomes.items()]


def newest_reviews(tx: Transaction, image_ids: Sequence[int]) -> dict[int, KnownReview]:
    """Give the decisions that count, of those of some images that have any: withdrawn and outdated ones, too."""
    images, reviews = tx.tables.images, tx.tables.reviews
    found = tx.connection.execute(
        select(*(reviews.c[name] for name in KnownReview.__slots__))
        .join_from(images, reviews, is_newest(images, reviews))
        .where(images.c.id.in_(image_ids))
    )
    return {row.image_id: KnownReview(**{**row._mapping, "decision": ReviewDecision(row.decision)}) for row in found}


def forget_reviews(tx: Transaction, image_ids: Sequence[int]) -> None:
    """Delete all that people decided about images, since the images are erased."""
    for table in (tx.tables.reviews, tx.tables.review_leases):
        tx.connection.execute(table.delete().where(table.c.image_id.in_(image_ids)))


def _locked(tx: Transaction, image_ids: Sequence[int]) -> dict[int, Mapping[str, Any]]:
    """Read the images that are decided about, and lock them until the decisions are committed."""
    images = tx.tables.images.c
    rows = tx.connection.execute(
        select(images.id, images.status, images.task_id, *(images[name] for name in PROMPT_COLUMNS))
        .where(images.id.in_(image_ids))
        .order_by(images.id)
        .with_for_update()
    )
    return {row["id"]: dict(row) for row in rows.mappings()}


def _row(review: Review, image: Mapping[str, Any] | None, reviewer: str) -> dict[str, Any]:
    """Give a decision as the table has it, but for its number and time."""
    caption = source = None
    if review.prompt is not None:
        source = f"prompt_{review.prompt}"
        caption = None if image is None else image.get(source)
    elif review.text is not None:
        source, caption = EDITED, storable(review.text.strip())
    return {
        "image_id": review.seen.image_id,
        "decision": review.decision.value,
        "caption": caption,
        "caption_source": source,
        "task_id": None if image is None else image["task_id"],
        "reviewer": storable(reviewer),
    }


def _may_be_written(
    review: Review, image: Mapping[str, Any] | None, newest: KnownReview | None, row: Mapping[str, Any]
) -> Written:
    if image is None:
        return Written.IMPOSSIBLE
    prompts = (image[name] for name in PROMPT_COLUMNS)
    if image["status"] != Status.SUCCEEDED or name_answer(image["task_id"], prompts) != review.seen.answer:
        return Written.ANSWER_CHANGED
    if newest is not None and all(getattr(newest, name) == value for name, value in row.items()):
        return Written.REPEATED
    if (None if newest is None else newest.id) != review.seen.newest:
        return Written.DECIDED_MEANWHILE
    nothing_to_take_back = newest is None or newest.decision is ReviewDecision.WITHDRAWN
    if review.decision is ReviewDecision.WITHDRAWN and nothing_to_take_back:
        return Written.IMPOSSIBLE
    if review.decision is ReviewDecision.APPROVED and not row["caption"]:
        return Written.IMPOSSIBLE
    return Written.ADDED
