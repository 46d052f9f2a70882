"""What the service was asked about an image, and what was decided because of its answers."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Float

from airflow_midjourney.describe.table.columns import KeyText, UTCDateTime


def doubt_columns() -> list[Column[Any]]:
    """How far the service was asked whether it took the image."""
    return [
        Column(
            "in_doubt_after",
            UTCDateTime,
            comment="When a claim without an answer becomes in_doubt. Set by the claim, emptied by the answer.",
        ),
        Column(
            "doubt_checked_at",
            UTCDateTime,
            comment=(
                "When a poller found that the service cannot tell whether it took the image. Empty before, and where "
                "the row is not in doubt."
            ),
        ),
        Column(
            "absent_since",
            UTCDateTime,
            comment=(
                "When the service's list first lacked the doubtful submission. A second list has to agree. Empty "
                "until then."
            ),
        ),
        Column(
            "resubmitted_at",
            UTCDateTime,
            comment="When the doubtful image was released to be sent a second time. Empty where it never was.",
        ),
    ]


def order_columns() -> list[Column[Any]]:
    """Who asked for it again, or took it up."""
    return [
        Column(
            "redescribed_by",
            KeyText,
            comment="Batch or request that last had the ended row described again. Empty where none did.",
        ),
        Column(
            "redescribed_at",
            UTCDateTime,
            comment="When the ended row was last taken up to be described again. Empty where it never was.",
        ),
        Column(
            "batch_id",
            KeyText,
            comment="Batch or request that last listed, claimed or took up the row. Empty once erased.",
        ),
    ]


def missing_columns() -> list[Column[Any]]:
    """Since when the service has not known its task, and which silence its timeout leaves out."""
    return [
        Column(
            "missing_since",
            UTCDateTime,
            comment="Since when the service has not known the task. Emptied when it knows it again, or the row ends.",
        ),
        Column(
            "silence_before",
            Float,
            nullable=False,
            default=0.0,
            comment=(
                "Seconds of silence of the account when the row was claimed: its timeout does not count the silence "
                "after."
            ),
        ),
        Column(
            "silence_before_missing",
            Float,
            nullable=False,
            default=0.0,
            comment="Seconds of silence of the account when the service first did not know the task.",
        ),
    ]
