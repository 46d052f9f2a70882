"""What was ordered: batches, the members of those with a manifest, and requests of persons."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Column, Index, Integer, MetaData, Numeric, Table

from airflow_midjourney.describe.table.columns import KeyText, PlainText, RowNumber, UTCDateTime
from airflow_midjourney.describe.table.schema.conditions import partial
from airflow_midjourney.describe.table.schema.storage import FEW_BUSY_ROWS, STORAGE


def batches_table(metadata: MetaData, name: str) -> Table:
    """One row per batch: its scope, how far its listing came, and what it found."""
    return Table(
        f"{name}_batches",
        metadata,
        *_scope_columns(),
        *_listing_columns(),
        *_run_columns(),
        *_time_columns(),
        *_precedence_columns(),
        # For each claim: who waits for slots of its account.
        partial(f"ix_{name}_batches_waiting", "waits_for_account", where="waits_until IS NOT NULL"),
        # For people who leaf through them: a DAG's newest, and those of a run.
        Index(f"ix_{name}_batches_dag", "dag_id", "started_at", "batch_id"),
        Index(f"ix_{name}_batches_run", "dag_id", "run_id", "started_at"),
        info={STORAGE: FEW_BUSY_ROWS},
        comment="One row per batch: its scope, how far its listing has come, and what it found.",
    )


def _scope_columns() -> list[Column[Any]]:
    """Which images the batch is about, and what a later worker has to know of how they are described."""
    return [
        Column(
            "batch_id",
            KeyText,
            primary_key=True,
            comment="Made of DAG, task, run and map index, so that a retry or a clear is the same batch.",
        ),
        Column("bucket", KeyText, nullable=False, comment="S3 bucket of the scope."),
        Column(
            "prefixes",
            JSON,
            nullable=False,
            comment="Prefixes of the scope, a JSON list. An empty list where keys or a manifest bound it.",
        ),
        Column(
            "keys",
            JSON,
            nullable=False,
            comment="Explicit keys of the scope, a JSON list of at most 1,000. An empty list otherwise.",
        ),
        Column(
            "manifest",
            JSON,
            comment=(
                "s3:// address of the list of images. Empty, or a JSON null, where prefixes or keys bound the scope."
            ),
        ),
        Column(
            "bot_type",
            KeyText,
            nullable=False,
            comment="Bot that describes the images: MID_JOURNEY or NIJI_JOURNEY.",
        ),
        Column(
            "options",
            JSON,
            nullable=False,
            comment=(
                "Options of the operator that a later worker needs: connections, caps, attempts and the like. A JSON "
                "object."
            ),
        ),
    ]


def _listing_columns() -> list[Column[Any]]:
    """How far the listing has come, so that the next worker goes on from there, and what it found."""
    return [
        Column(
            "listing_source",
            Integer,
            nullable=False,
            comment=(
                "How far the listing has come: number of the prefix, chunk of keys or file of the manifest, from 0."
            ),
        ),
        Column(
            "listing_after",
            JSON,
            nullable=False,
            comment=(
                "How far the listing has come in that source: after which key, or where in the file. A JSON string."
            ),
        ),
        Column(
            "listing_continuation",
            PlainText,
            comment=(
                "Continuation token with which S3 goes on after that key in its own order. Empty where it gave none, "
                "and at the end."
            ),
        ),
        Column(
            "listing_ended_at",
            UTCDateTime,
            comment="When the listing reached its end. Empty while it goes on, and when it starts again.",
        ),
        Column(
            "last_row_id",
            RowNumber,
            comment="Greatest row number when the listing ended: later rows belong to later batches. Empty until then.",
        ),
        Column(
            "listed",
            JSON,
            nullable=False,
            comment="What the listing found so far: counts of images by the work that each needs. A JSON object.",
        ),
    ]


def _run_columns() -> list[Column[Any]]:
    """The task that opened the batch."""
    return [
        Column("dag_id", PlainText, comment="DAG of the task. Empty outside Airflow."),
        Column("run_id", PlainText, comment="DAG run of the task. Empty outside Airflow."),
        Column("dag_task_id", PlainText, comment="Task that opened the batch. Empty outside Airflow."),
        Column(
            "map_index",
            Integer,
            comment="Map index of the task, -1 where it is not mapped. Empty outside Airflow.",
        ),
        Column("logical_date", UTCDateTime, comment="Logical date of the run. Empty where the run has none."),
    ]


def _time_columns() -> list[Column[Any]]:
    """When the batch was opened, tried and written."""
    return [
        Column(
            "started_at",
            UTCDateTime,
            nullable=False,
            comment=(
                "When the batch was opened first. A retry or a clear does not change it. The verdict is over rows "
                "that ended since."
            ),
        ),
        Column("tried_at", UTCDateTime, nullable=False, comment="When the latest try of a task of the batch began."),
        Column("updated_at", UTCDateTime, nullable=False, comment="When the row was last written."),
    ]


def _precedence_columns() -> list[Column[Any]]:
    """For which slots the batch waits: those of a lower priority leave them to it."""
    return [
        Column(
            "waits_for_account",
            KeyText,
            comment=(
                "Account at which the batch waits for slots. Empty where it has priority 0, or nothing to send now."
            ),
        ),
        Column(
            "waits_with_priority",
            Integer,
            comment="Priority with which it does: batches of a lower one leave slots to it. Empty with it.",
        ),
        Column(
            "waits_for_slots",
            Integer,
            comment="Slots that they leave: images that it could send now, as far as slots matter. Empty with it.",
        ),
        Column(
            "waits_until",
            UTCDateTime,
            comment=(
                "Until when they do. Moved on while a task or a trigger has to do with the batch, so it lapses when "
                "none has. Empty with it."
            ),
        ),
    ]


def members_table(metadata: MetaData, name: str) -> Table:
    """One row per image that a batch with a manifest has to do with: a list of any length has no other bounds."""
    return Table(
        f"{name}_members",
        metadata,
        Column("batch_id", KeyText, primary_key=True, comment="Batch with a manifest."),
        Column(
            "image_id",
            RowNumber,
            primary_key=True,
            autoincrement=False,
            comment="Row of the metadata table that the batch describes or waits for.",
        ),
        sqlite_with_rowid=False,
        comment="One row per image of a batch that has a manifest.",
    )


def requests_table(metadata: MetaData, name: str) -> Table:
    """One row per time that a person asked for images to be described again: who, when, which, and the price named."""
    return Table(
        f"{name}_requests",
        metadata,
        Column(
            "request_id",
            KeyText,
            primary_key=True,
            comment=(
                "Unguessable number of the form. A form that is sent twice is one request. One for all images of a "
                "filter has further rows for its parts: the number, a slash and the part's first image."
            ),
        ),
        Column("asked_by", PlainText, nullable=False, comment="Airflow's name of the user who asked."),
        Column("asked_at", UTCDateTime, nullable=False, comment="When the user asked."),
        Column(
            "image_ids",
            JSON,
            nullable=False,
            comment="Rows that are described again by this request, or this part of it, a JSON list of at most 500.",
        ),
        Column(
            "price",
            Numeric(18, 6),
            comment="Price of one image that the user was shown. Empty where none was known, or several were.",
        ),
        Column("currency", PlainText, comment="Currency of price. Empty where there is none."),
        comment="One row per time that a person asked on a page for images to be described again.",
    )
