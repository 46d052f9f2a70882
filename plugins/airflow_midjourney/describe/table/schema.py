"""The seven tables. Columns are only ever added; what a column means is said here once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Float,
    Index,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    and_,
    literal_column,
    or_,
    text,
)

from airflow_midjourney.describe.model.status import IN_FLIGHT, OPEN, Reason, Status
from airflow_midjourney.describe.table.columns import KeyText, RowNumber, UTCDateTime

#: Stored in the ``meta`` table; a later release that adds columns raises it and brings the migration.
SCHEMA_VERSION: Final = 1

#: Reasons for which a row is given up although its task may still be answered.
GIVEN_UP: Final = (Reason.TIMEOUT, Reason.LOST)

#: A row that waits for its twin is one of these.
SHARING: Final = (Status.PENDING, Status.IN_DOUBT)

#: What a row with a reason is, unless it goes round again.
WITH_A_REASON: Final = (Status.FAILED, Status.REJECTED)

PROMPT_COLUMNS: Final = ("prompt_1", "prompt_2", "prompt_3", "prompt_4")


@dataclass(frozen=True, slots=True)
class TableNames:
    """Where the tables are.

    :param table: name of the metadata table; the others are named after it.
    :param schema: database schema, None for the connection's default. Postgres only.
    """

    table: str = "image_prompts"
    schema: str | None = None


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables of one deployment, ready for SQLAlchemy Core."""

    metadata: MetaData
    images: Table
    submissions: Table
    batches: Table
    members: Table
    accounts: Table
    requests: Table
    tallies: Table
    meta: Table


def build_tables(names: TableNames) -> Tables:
    """Give the tables under the names of this deployment."""
    metadata = MetaData(schema=names.schema)
    return Tables(
        metadata=metadata,
        images=_images(metadata, names.table),
        submissions=_submissions(metadata, names.table),
        batches=_batches(metadata, names.table),
        members=_members(metadata, names.table),
        accounts=_accounts(metadata, names.table),
        requests=_requests(metadata, names.table),
        tallies=_tallies(metadata, names.table),
        meta=Table(
            f"{names.table}_meta",
            metadata,
            Column("name", Text, primary_key=True),
            Column("value", Text, nullable=False),
        ),
    )


def has_status(images: Table, *statuses: Status) -> ColumnElement[bool]:
    """Give the condition that a row has one of these statuses, spelt as the partial indexes spell theirs.

    SQLite takes such an index only where the query repeats its condition word by word, without parameters.

    :param images: the metadata table.
    """
    return images.c.status.in_([literal_column(f"'{status}'") for status in statuses])


def may_be_answered(submissions: Table) -> ColumnElement[bool]:
    """Give the condition that the service may still have an answer to a submission, spelt as its index spells it.

    :param submissions: the table of the bill.
    """
    reasons: list[ColumnElement[str]] = [literal_column(f"'{reason}'") for reason in GIVEN_UP]
    return and_(
        submissions.c.task_id.is_not(None),
        or_(submissions.c.settled_at.is_(None), submissions.c.reason.in_(reasons)),
    )


def _one_of(statuses: tuple[Status, ...]) -> str:
    return "status IN (" + ", ".join(f"'{status}'" for status in statuses) + ")"


def _partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    return Index(name, *columns, unique=unique, postgresql_where=text(where), sqlite_where=text(where))


def _images(metadata: MetaData, name: str) -> Table:
    """One row per version of an image and bot."""
    return Table(
        name,
        metadata,
        Column("id", RowNumber, primary_key=True, autoincrement=True),
        Column("image_uri", KeyText, nullable=False),
        Column("bucket", KeyText, nullable=False),
        Column("key", KeyText, nullable=False),
        Column("image_version", KeyText, nullable=False),
        Column("etag", Text),
        Column("version_id", Text),
        Column("is_current", Boolean, nullable=False),
        Column("size_bytes", BigInteger),
        Column("last_modified", UTCDateTime),
        Column("storage_class", Text),
        Column("content_sha256", KeyText),
        Column("media_type", Text),
        Column("width", Integer),
        Column("height", Integer),
        Column("bot_type", KeyText, nullable=False),
        Column("status", KeyText, nullable=False),
        Column("reason", Text),
        Column("detail", Text),
        Column("attempts", Integer, nullable=False, default=0),
        Column("max_attempts", Integer, nullable=False, default=1),
        Column("account", KeyText),
        Column("task_id", KeyText),
        Column("submit_token", KeyText),
        Column("callback_digest", KeyText),
        Column("called_at", UTCDateTime),
        Column("shares_id", RowNumber),
        *(Column(column, Text) for column in PROMPT_COLUMNS),
        Column("prompt_count", Integer),
        Column("prompt_raw", Text),
        Column("aspect_ratio", Text),
        Column("parser_version", Integer),
        Column("reader", Text),
        Column("price", Numeric(18, 6)),
        Column("currency", Text),
        Column("submitted_at", UTCDateTime),
        Column("started_at", UTCDateTime),
        Column("finished_at", UTCDateTime),
        Column("ended_at", UTCDateTime),
        Column("reserved_by", Text),
        Column("reserved_until", UTCDateTime),
        Column("reservations", Integer, nullable=False, default=0),
        Column("not_before", UTCDateTime),
        Column("in_doubt_after", UTCDateTime),
        Column("doubt_checked_at", UTCDateTime),
        Column("absent_since", UTCDateTime),
        Column("resubmitted_at", UTCDateTime),
        Column("redescribed_by", KeyText),
        Column("redescribed_at", UTCDateTime),
        Column("batch_id", KeyText),
        Column("missing_since", UTCDateTime),
        Column("silence_before", Float, nullable=False, default=0.0),
        Column("silence_before_missing", Float, nullable=False, default=0.0),
        Column("dag_id", Text),
        Column("run_id", Text),
        Column("dag_task_id", Text),
        Column("map_index", Integer),
        Column("logical_date", UTCDateTime),
        Column("try_number", Integer),
        Column("created_at", UTCDateTime, nullable=False),
        Column("updated_at", UTCDateTime, nullable=False),
        UniqueConstraint("image_uri", "image_version", "bot_type", name=f"uq_{name}_version"),
        *_image_indexes(name),
    )


def _image_indexes(name: str) -> list[Index]:
    """What keeps every question quick with a million finished rows; most know the unfinished ones only."""
    return [
        Index(f"ix_{name}_scope", "bucket", "bot_type", "key"),
        Index(f"ix_{name}_ended", "bucket", "bot_type", "ended_at"),
        _partial(f"ix_{name}_open", "bucket", "bot_type", "status", "id", where=_one_of(OPEN)),
        _partial(f"ix_{name}_batch", "batch_id", "id", where=_one_of(OPEN)),
        _partial(f"ix_{name}_in_doubt", "account", "bucket", "bot_type", "id", where=_one_of((Status.IN_DOUBT,))),
        _partial(f"ix_{name}_in_flight", "account", "id", where=_one_of(IN_FLIGHT)),
        # The fence behind every other check: the same bytes are never on their way twice.
        _partial(f"uq_{name}_twin", "content_sha256", "bot_type", where=_one_of(IN_FLIGHT), unique=True),
        _partial(f"ix_{name}_content", "content_sha256", "bot_type", where="content_sha256 IS NOT NULL"),
        _partial(f"uq_{name}_submit", "submit_token", where="submit_token IS NOT NULL", unique=True),
        _partial(f"ix_{name}_callback", "callback_digest", where=_one_of(IN_FLIGHT)),
        _partial(f"ix_{name}_sharing", "shares_id", where=f"shares_id IS NOT NULL AND {_one_of(SHARING)}"),
        # The orders in which the gallery pages, beside those above: by number within each.
        Index(f"ix_{name}_of_dag", "dag_id", "id"),
        Index(f"ix_{name}_of_run", "run_id", "id"),
        _partial(f"ix_{name}_of_reason", "reason", "id", where=_one_of(WITH_A_REASON)),
    ]


_MAY_BE_ANSWERED: Final = "task_id IS NOT NULL AND (settled_at IS NULL OR reason IN ({reasons}))".format(
    reasons=", ".join(f"'{reason}'" for reason in GIVEN_UP)
)


def _submissions(metadata: MetaData, name: str) -> Table:
    """One row per POST: the bill. Rows are added and completed, never given to another POST."""
    return Table(
        f"{name}_submissions",
        metadata,
        Column("id", RowNumber, primary_key=True, autoincrement=True),
        Column("image_id", RowNumber, nullable=False),
        Column("submit_token", KeyText, nullable=False, unique=True),
        Column("batch_id", KeyText, nullable=False),
        Column("cap_scope", KeyText, nullable=False),
        Column("account", KeyText, nullable=False),
        Column("task_id", KeyText),
        Column("outcome", Text, nullable=False),
        Column("http_status", Integer),
        Column("code", Text),
        Column("detail", Text),
        Column("result", Text),
        Column("reason", Text),
        Column("price", Numeric(18, 6)),
        Column("currency", Text),
        Column("dag_id", Text),
        Column("run_id", Text),
        Column("dag_task_id", Text),
        Column("map_index", Integer),
        Column("try_number", Integer),
        Column("claimed_at", UTCDateTime, nullable=False),
        Column("answered_at", UTCDateTime),
        Column("settled_at", UTCDateTime),
        Index(f"ix_{name}_submissions_image", "image_id"),
        Index(f"ix_{name}_submissions_cap", "cap_scope", "outcome"),
        Index(f"ix_{name}_submissions_run", "cap_scope", "id"),
        Index(f"ix_{name}_submissions_account", "account", "id"),
        Index(f"ix_{name}_submissions_batch", "batch_id", "settled_at"),
        Index(f"ix_{name}_submissions_day", "account", "claimed_at"),
        _partial(f"ix_{name}_submissions_unanswered", "account", "outcome", "claimed_at", where=_MAY_BE_ANSWERED),
    )


def _batches(metadata: MetaData, name: str) -> Table:
    """One row per batch: its scope, how far its listing came, and what it found."""
    return Table(
        f"{name}_batches",
        metadata,
        Column("batch_id", KeyText, primary_key=True),
        Column("bucket", KeyText, nullable=False),
        Column("prefixes", JSON, nullable=False),
        Column("keys", JSON, nullable=False),
        Column("manifest", JSON),
        Column("bot_type", KeyText, nullable=False),
        Column("options", JSON, nullable=False),
        Column("listing_source", Integer, nullable=False),
        Column("listing_after", JSON, nullable=False),
        Column("listing_ended_at", UTCDateTime),
        Column("last_row_id", RowNumber),
        Column("listed", JSON, nullable=False),
        Column("dag_id", Text),
        Column("run_id", Text),
        Column("dag_task_id", Text),
        Column("map_index", Integer),
        Column("logical_date", UTCDateTime),
        Column("started_at", UTCDateTime, nullable=False),
        Column("tried_at", UTCDateTime, nullable=False),
        Column("updated_at", UTCDateTime, nullable=False),
        # For people who leaf through them: a DAG's newest, and those of a run.
        Index(f"ix_{name}_batches_dag", "dag_id", "started_at", "batch_id"),
        Index(f"ix_{name}_batches_run", "dag_id", "run_id", "started_at"),
    )


def _members(metadata: MetaData, name: str) -> Table:
    """One row per image that a batch with a manifest has to do with: a list of any length has no other bounds."""
    return Table(
        f"{name}_members",
        metadata,
        Column("batch_id", KeyText, primary_key=True),
        Column("image_id", RowNumber, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )


def _accounts(metadata: MetaData, name: str) -> Table:
    """One row per account: the lock behind its slots, whose turn it is to poll, and the brake."""
    return Table(
        f"{name}_accounts",
        metadata,
        Column("account", KeyText, primary_key=True),
        Column("paused", Boolean, nullable=False, default=False),
        Column("closed_until", UTCDateTime),
        Column("closed_at", UTCDateTime),
        Column("closed_reason", Text),
        Column("submit_failing_since", UTCDateTime),
        Column("poll_failing_since", UTCDateTime),
        Column("poll_failed_at", UTCDateTime),
        Column("next_poll_at", UTCDateTime, nullable=False),
        Column("poll_interval", Float, nullable=False),
        # From when on a callback is reason enough for a poll, and when one last announced an answer.
        Column("calls_from", UTCDateTime),
        Column("announced_at", UTCDateTime),
        Column("answered_at", UTCDateTime),
        # Seconds in all in which nobody heard from the service: task timeouts do not count them.
        Column("silence", Float, nullable=False, default=0.0),
        Column("created_at", UTCDateTime, nullable=False),
        Column("updated_at", UTCDateTime, nullable=False),
    )


def _requests(metadata: MetaData, name: str) -> Table:
    """One row per time that a person asked for images to be described again: who, when, which, and the price named."""
    return Table(
        f"{name}_requests",
        metadata,
        Column("request_id", KeyText, primary_key=True),
        Column("asked_by", Text, nullable=False),
        Column("asked_at", UTCDateTime, nullable=False),
        Column("image_ids", JSON, nullable=False),
        Column("price", Numeric(18, 6)),
        Column("currency", Text),
    )


def _tallies(metadata: MetaData, name: str) -> Table:
    """One row per capped run, and per account and day with a cap: what the older part of the bill comes to."""
    return Table(
        f"{name}_tallies",
        metadata,
        Column("scope", KeyText, primary_key=True),
        # Submissions with higher numbers are counted anew each time.
        Column("up_to_id", RowNumber, nullable=False),
        Column("submissions", BigInteger, nullable=False),
        Column("cost", Numeric(18, 6), nullable=False),
        Column("updated_at", UTCDateTime, nullable=False),
    )
