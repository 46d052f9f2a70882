"""The bill: one row per POST, and tallies of its older part."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Numeric, Table

from airflow_midjourney.describe.table.columns import KeyText, PlainText, RowNumber, UTCDateTime
from airflow_midjourney.describe.table.schema.conditions import MAY_BE_ANSWERED, partial
from airflow_midjourney.describe.table.schema.storage import MANY_ROWS, STORAGE


def submissions_table(metadata: MetaData, name: str) -> Table:
    """One row per POST: the bill. Rows are added and completed, never given to another POST."""
    return Table(
        f"{name}_submissions",
        metadata,
        *_posted_columns(),
        *_billed_columns(),
        *_answer_columns(),
        *_result_columns(),
        *_price_columns(),
        *_run_columns(),
        *_time_columns(),
        Index(f"ix_{name}_submissions_image", "image_id"),
        Index(f"ix_{name}_submissions_cap", "cap_scope", "outcome"),
        Index(f"ix_{name}_submissions_run", "cap_scope", "id"),
        Index(f"ix_{name}_submissions_account", "account", "id"),
        Index(f"ix_{name}_submissions_batch", "batch_id", "settled_at"),
        Index(f"ix_{name}_submissions_day", "account", "claimed_at"),
        partial(f"ix_{name}_submissions_content", "content_sha256", "bot_type", where="content_sha256 IS NOT NULL"),
        partial(f"ix_{name}_submissions_unanswered", "account", "outcome", "claimed_at", where=MAY_BE_ANSWERED),
        info={STORAGE: MANY_ROWS},
        comment="The bill: one row per POST. Rows are added and completed, never used for another POST.",
    )


def _posted_columns() -> list[Column[Any]]:
    """What was posted: which bytes, for which image and bot, under which token."""
    return [
        Column(
            "id",
            RowNumber,
            primary_key=True,
            autoincrement=True,
            comment="Number of the submission, in the order of the claims.",
        ),
        Column("image_id", RowNumber, nullable=False, comment="Row of the metadata table that was submitted."),
        Column(
            "submit_token",
            KeyText,
            nullable=False,
            unique=True,
            comment="Unguessable token that travelled with the POST as state.",
        ),
        Column(
            "content_sha256",
            KeyText,
            comment=(
                "SHA-256 of the object's bytes, in hex: bytes that were paid for are found by it, whatever became of "
                "the row. Empty in rows of older releases. A digest of it once the image is erased."
            ),
        ),
        Column(
            "bot_type",
            KeyText,
            comment="Bot that was asked: MID_JOURNEY or NIJI_JOURNEY. Empty in rows of older releases.",
        ),
    ]


def _billed_columns() -> list[Column[Any]]:
    """For which batch it was posted, and which account and run pay."""
    return [
        Column("batch_id", KeyText, nullable=False, comment="Batch for which a worker claimed the image."),
        Column(
            "cap_scope",
            KeyText,
            nullable=False,
            comment="DAG, task and run over which max_submissions and max_cost are counted: all map indexes and tries.",
        ),
        Column("account", KeyText, nullable=False, comment="Account that was billed: scheme, host, port and name."),
        Column(
            "task_id",
            KeyText,
            comment=(
                "Number of the describe at the service. Empty unless it accepted the image. Emptied when the image "
                "is erased."
            ),
        ),
    ]


def _answer_columns() -> list[Column[Any]]:
    """What the service said to the POST."""
    return [
        Column(
            "outcome",
            PlainText,
            nullable=False,
            comment=(
                "What the POST came to: sent until its answer is known, then accepted (refunded if its failure is "
                "free), ambiguous, full, unavailable, refused, denied, broken_off or never_sent."
            ),
        ),
        Column("http_status", Integer, comment="HTTP status of the answer to the POST. Empty without an answer."),
        Column("code", PlainText, comment="Code in the body of the answer. Empty without one."),
        Column(
            "detail",
            PlainText,
            comment=(
                "What the service said, or who decided. Empty where it said nothing. Emptied when the image is erased."
            ),
        ),
    ]


def _result_columns() -> list[Column[Any]]:
    """What became of the task that the service accepted."""
    return [
        Column(
            "result",
            PlainText,
            comment=(
                "What became of the accepted task: succeeded or failed. Failed for a refused POST, too. Empty while "
                "it is not known."
            ),
        ),
        Column("reason", PlainText, comment="Why the result is failed. Empty otherwise."),
    ]


def _price_columns() -> list[Column[Any]]:
    """What it costs."""
    return [
        Column(
            "price",
            Numeric(18, 6),
            comment="Price of one submission on the connection at that time. Empty where none was set.",
        ),
        Column("currency", PlainText, comment="Currency of price. Empty where none was set."),
    ]


def _run_columns() -> list[Column[Any]]:
    """The task that claimed the image."""
    return [
        Column("dag_id", PlainText, comment="DAG of the task that claimed. Empty outside Airflow."),
        Column("run_id", PlainText, comment="DAG run of the task that claimed. Empty outside Airflow."),
        Column("dag_task_id", PlainText, comment="Task that claimed. Empty outside Airflow."),
        Column(
            "map_index",
            Integer,
            comment="Map index of that task, -1 where it is not mapped. Empty outside Airflow.",
        ),
        Column("try_number", Integer, comment="Try of that task. Empty outside Airflow."),
    ]


def _time_columns() -> list[Column[Any]]:
    """When each of these was written."""
    return [
        Column(
            "claimed_at",
            UTCDateTime,
            nullable=False,
            comment=(
                "When a worker committed the intent, just before the POST. It decides to which UTC day the cost "
                "belongs."
            ),
        ),
        Column("answered_at", UTCDateTime, comment="When what the POST came to was written. Empty until then."),
        Column("settled_at", UTCDateTime, comment="When the result was written. Empty until then."),
        Column(
            "unheard_since",
            UTCDateTime,
            comment=(
                "Since when the service has not said, asked before the bytes are paid again, how the task fares. "
                "Empty otherwise."
            ),
        ),
    ]


def tallies_table(metadata: MetaData, name: str) -> Table:
    """One row per capped run, and per account and day with a cap: what the older part of the bill comes to."""
    return Table(
        f"{name}_tallies",
        metadata,
        Column(
            "scope",
            KeyText,
            primary_key=True,
            comment="Run (run, then cap_scope) or day of an account (day, date, account) whose bill is added up.",
        ),
        Column(
            "up_to_id",
            RowNumber,
            nullable=False,
            comment="Last submission that is included. Those with higher numbers are counted anew each time.",
        ),
        Column("submissions", BigInteger, nullable=False, comment="Paid submissions up to that number."),
        Column("cost", Numeric(18, 6), nullable=False, comment="What they cost, in the currency of the account."),
        Column("updated_at", UTCDateTime, nullable=False, comment="When a claim last moved the tally on."),
        comment="One row per capped run, and per account and day with a cap: what the older part of the bill comes to.",
    )
