"""What is shared by all processes: the accounts of the service, and facts about the tables."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, Column, Float, MetaData, Table

from airflow_midjourney.describe.table.columns import KeyText, PlainText, UTCDateTime
from airflow_midjourney.describe.table.schema.storage import FEW_BUSY_ROWS, STORAGE


def accounts_table(metadata: MetaData, name: str) -> Table:
    """One row per account: the lock behind its slots, whose turn it is to poll, and the circuit breaker."""
    return Table(
        f"{name}_accounts",
        metadata,
        Column(
            "account",
            KeyText,
            primary_key=True,
            comment="Scheme, host, port and name of the account: the extra account, or a digest of the key.",
        ),
        *_pause_columns(),
        *_breaker_columns(),
        *_poll_columns(),
        *_silence_columns(),
        *_seeking_columns(),
        *_written_columns(),
        info={STORAGE: FEW_BUSY_ROWS},
        comment="One row per account of the service: lock of its slots, turn to poll, circuit breaker.",
    )


def _pause_columns() -> list[Column[Any]]:
    """Whether a person has stopped it, and who did, and who let it go on."""
    return [
        Column(
            "paused",
            Boolean,
            nullable=False,
            default=False,
            comment="True where a person has stopped all submissions of the account, until a person resumes it.",
        ),
        Column(
            "paused_by",
            PlainText,
            comment="Who paused the account last: a user of Airflow, or a DAG run. Stays afterwards. Empty before.",
        ),
        Column(
            "paused_at",
            UTCDateTime,
            comment=(
                "When that was. Empty before. Earlier than resumed_at where paused was set later by hand, in the "
                "database."
            ),
        ),
        Column(
            "resumed_by",
            PlainText,
            comment="Who resumed the account last: a user of Airflow, or a DAG run. Stays afterwards. Empty before.",
        ),
        Column("resumed_at", UTCDateTime, comment="When that was. Empty before."),
    ]


def _breaker_columns() -> list[Column[Any]]:
    """The circuit breaker: since when, until when and why nothing is sent.

    Its first three columns have names of their own in the code. In the database they keep the first release's, because
    processes of both releases work on the same tables side by side.
    """
    return [
        Column(
            "closed_until",
            UTCDateTime,
            key="blocked_until",
            comment=(
                "No POST leaves before this moment: the service said no, or a probe is out. Empty when it accepts "
                "again."
            ),
        ),
        Column(
            "closed_at",
            UTCDateTime,
            key="blocked_at",
            comment="When the service last said no to a submission. Stays afterwards. Empty where it never did.",
        ),
        Column(
            "closed_reason",
            PlainText,
            key="blocked_reason",
            comment="What the service said then, at most 200 characters. Emptied when it accepts again.",
        ),
        Column(
            "blocked_since",
            UTCDateTime,
            comment=(
                "Since when the service has said no to every submission, full or failing: pauses grow with it. Emptied "
                "when it accepts again."
            ),
        ),
        Column(
            "submit_failing_since",
            UTCDateTime,
            comment=(
                "Since when submissions have only failed because the service does not work. Empty while it works, or "
                "is only full."
            ),
        ),
    ]


def _poll_columns() -> list[Column[Any]]:
    """Whose turn it is to poll, and what callbacks change about that."""
    return [
        Column(
            "poll_failing_since",
            UTCDateTime,
            comment="Since when polls have only failed. Emptied by the next poll that is answered.",
        ),
        Column(
            "poll_failed_at",
            UTCDateTime,
            comment="When a poll last failed. Stays afterwards. Empty where none did.",
        ),
        Column(
            "next_poll_at",
            UTCDateTime,
            nullable=False,
            comment="When the next poll is due. The process that moves it forward has the turn.",
        ),
        Column(
            "poll_interval",
            Float,
            nullable=False,
            comment="Seconds from the last poll to the next, before the answers that are due shorten or lengthen it.",
        ),
        Column(
            "calls_from",
            UTCDateTime,
            comment="From when on a callback makes a poll due before next_poll_at. Empty before the first poll.",
        ),
        Column(
            "announced_at",
            UTCDateTime,
            comment="When a callback last announced an answer. Emptied when an answer comes without one.",
        ),
    ]


def _silence_columns() -> list[Column[Any]]:
    """How long the service has answered nothing at all: no image's timeout counts it."""
    return [
        Column(
            "answered_at",
            UTCDateTime,
            comment=(
                "When the service last answered a poll, or the first image of an idle account went out. Empty before."
            ),
        ),
        Column(
            "silence",
            Float,
            nullable=False,
            default=0.0,
            comment="Seconds in all in which the service answered no poll: task timeouts do not count them.",
        ),
    ]


def _seeking_columns() -> list[Column[Any]]:
    """How images are looked for whose account no connection polls any more."""
    return [
        Column(
            "seeks_from",
            UTCDateTime,
            comment=(
                "From when on a connection of the account may ask again for images of accounts that no connection "
                "polls. Empty before the first time."
            ),
        ),
        Column(
            "sought_at",
            UTCDateTime,
            comment=(
                "When a connection of another account was last answered that asked for the images of this one, which "
                "no connection polls. Emptied by the account's next poll."
            ),
        ),
        Column(
            "sought_for",
            Float,
            comment=(
                "Seconds for which its images were looked for so. After a day they are in doubt. Emptied by the "
                "account's next poll."
            ),
        ),
    ]


def _written_columns() -> list[Column[Any]]:
    """When the row was written."""
    return [
        Column("created_at", UTCDateTime, nullable=False, comment="When the account was used first."),
        Column("updated_at", UTCDateTime, nullable=False, comment="When the row was last written."),
    ]


def meta_table(metadata: MetaData, name: str) -> Table:
    """One row per fact about the tables themselves."""
    return Table(
        f"{name}_meta",
        metadata,
        Column("name", PlainText, primary_key=True, comment="schema_version, revision or building_until."),
        Column(
            "value",
            PlainText,
            nullable=False,
            comment=(
                "As text: the oldest version that a release has to know, the latest revision of the tables, or until "
                "when no second process begins to build an index."
            ),
        ),
        comment="One row per fact about the tables: the schema version and the revision.",
    )
