"""Where the work on an image stands: its status, its latest submission, its lease, its runs."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Integer

from airflow_midjourney.describe.table.columns import KeyText, PlainText, RowNumber, UTCDateTime


def state_columns() -> list[Column[Any]]:
    """What has become of the row, and why."""
    return [
        Column(
            "status",
            KeyText,
            nullable=False,
            comment="pending, submitting, submitted, succeeded, failed, rejected or in_doubt. Never set it by hand.",
        ),
        Column(
            "reason",
            PlainText,
            comment=(
                "Why the row failed or was rejected, or why its last attempt failed while it is pending again. Empty "
                "otherwise."
            ),
        ),
        Column(
            "rejected_before",
            PlainText,
            comment=(
                "Reason for which the row was rejected before a later run tried it again. Empty where none did. Equal "
                "to reason where it was rejected for the same once more."
            ),
        ),
        Column(
            "detail",
            PlainText,
            comment=(
                "The reason in words: what the service, S3 or the reader said, or who decided. Empty where there is "
                "no more to say."
            ),
        ),
        Column(
            "attempts",
            Integer,
            nullable=False,
            default=0,
            comment=(
                "POSTs that counted for this image since it was last taken up. The claim adds one. A POST that was "
                "surely not taken gives it back."
            ),
        ),
        Column(
            "max_attempts",
            Integer,
            nullable=False,
            default=1,
            comment=(
                "POSTs that the image may cost while failures are curable: max_attempts of the batch that claimed it "
                "last."
            ),
        ),
    ]


def submission_columns() -> list[Column[Any]]:
    """Its latest submission."""
    return [
        Column(
            "account",
            KeyText,
            comment=(
                "Account that the image was last submitted with: scheme, host, port and name. Empty before the first "
                "claim."
            ),
        ),
        Column(
            "task_id",
            KeyText,
            comment="Number of the describe at the service. Empty until the service has accepted the image.",
        ),
        Column(
            "submit_token",
            KeyText,
            comment=(
                "Unguessable token of the latest submission. It travels as state and names its row of the bill. "
                "Empty before the first claim, and after a POST that was surely not taken."
            ),
        ),
        Column(
            "callback_digest",
            KeyText,
            comment=(
                "Digest of the value that callbacks for the latest submission bear. Empty where callbacks were not "
                "asked for."
            ),
        ),
        Column(
            "called_at",
            UTCDateTime,
            comment="When a callback last came for the row. The poll that asks about the row empties it.",
        ),
        Column(
            "shares_id",
            RowNumber,
            comment=(
                "Row with the same bytes whose answer this row waits for, or was given. Empty where the image is "
                "sent itself."
            ),
        ),
    ]


def lease_columns() -> list[Column[Any]]:
    """Which worker reads it, and when another may."""
    return [
        Column(
            "reserved_by",
            PlainText,
            comment="Name of the worker that holds the lease on the row. Empty without a lease.",
        ),
        Column(
            "reserved_until",
            UTCDateTime,
            comment="When the lease runs out and another worker may reserve the row. Empty without a lease.",
        ),
        Column(
            "reservations",
            Integer,
            nullable=False,
            default=0,
            comment=(
                "Workers in a row that died while they held the image's bytes and had not decoded them, with "
                "the worker that decodes it at the moment: three mean that the image kills its workers."
            ),
        ),
        Column(
            "not_before",
            UTCDateTime,
            comment="Earliest moment at which a worker may reserve the row again. Empty where it may at once.",
        ),
    ]


def run_columns() -> list[Column[Any]]:
    """The run whose task listed or claimed it, and when it was written."""
    return [
        Column(
            "dag_id", PlainText, comment="DAG of the task that listed or claimed the row last. Empty outside Airflow."
        ),
        Column(
            "run_id",
            PlainText,
            comment="DAG run of the task that listed or claimed the row last. Empty outside Airflow.",
        ),
        Column("dag_task_id", PlainText, comment="Task that listed or claimed the row last. Empty outside Airflow."),
        Column(
            "map_index",
            Integer,
            comment="Map index of that task, -1 where it is not mapped. Empty outside Airflow.",
        ),
        Column("logical_date", UTCDateTime, comment="Logical date of that run. Empty where the run has none."),
        Column(
            "try_number",
            Integer,
            comment="Try of the task that claimed or read the row last. Empty before it is read.",
        ),
        Column("created_at", UTCDateTime, nullable=False, comment="When the row was written first."),
        Column("updated_at", UTCDateTime, nullable=False, comment="When the row was last written."),
    ]
