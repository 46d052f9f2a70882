"""The metadata table: one row per version of an image and bot."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    Numeric,
    Table,
    UniqueConstraint,
)

from airflow_midjourney.describe.model.status import IN_FLIGHT, OPEN, Status
from airflow_midjourney.describe.table.columns import KeyText, PlainText, RowNumber, UTCDateTime
from airflow_midjourney.describe.table.schema.conditions import SHARING, WITH_A_REASON, one_of, partial

PROMPT_COLUMNS: Final = ("prompt_1", "prompt_2", "prompt_3", "prompt_4")


def images_table(metadata: MetaData, name: str) -> Table:
    """One row per version of an image and bot."""
    return Table(
        name,
        metadata,
        *_object_columns(),
        *_content_columns(),
        *_state_columns(),
        *_submission_columns(),
        *_answer_columns(),
        *_price_and_times_columns(),
        *_lease_columns(),
        *_doubt_and_orders_columns(),
        *_run_columns(),
        UniqueConstraint("image_uri", "image_version", "bot_type", name=f"uq_{name}_version"),
        *_image_indexes(name),
        comment="One row per version of an image and bot: its status, its prompts, and what is known of the object.",
    )


def _image_indexes(name: str) -> list[Index]:
    """What keeps every question quick with a million finished rows; most know the unfinished ones only."""
    return [
        Index(f"ix_{name}_scope", "bucket", "bot_type", "key"),
        Index(f"ix_{name}_ended", "bucket", "bot_type", "ended_at"),
        partial(f"ix_{name}_open", "bucket", "bot_type", "status", "id", where=one_of(OPEN)),
        partial(f"ix_{name}_batch", "batch_id", "id", where=one_of(OPEN)),
        partial(f"ix_{name}_in_doubt", "account", "bucket", "bot_type", "id", where=one_of((Status.IN_DOUBT,))),
        partial(f"ix_{name}_in_flight", "account", "id", where=one_of(IN_FLIGHT)),
        partial(f"ix_{name}_resubmitted", "account", "resubmitted_at", where="resubmitted_at IS NOT NULL"),
        # The fence behind every other check: the same bytes are never on their way twice.
        partial(f"uq_{name}_twin", "content_sha256", "bot_type", where=one_of(IN_FLIGHT), unique=True),
        partial(f"ix_{name}_content", "content_sha256", "bot_type", where="content_sha256 IS NOT NULL"),
        partial(f"uq_{name}_submit", "submit_token", where="submit_token IS NOT NULL", unique=True),
        partial(f"ix_{name}_callback", "callback_digest", where=one_of(IN_FLIGHT)),
        partial(f"ix_{name}_sharing", "shares_id", where=f"shares_id IS NOT NULL AND {one_of(SHARING)}"),
        # The orders in which the gallery pages, beside those above: by number within each.
        Index(f"ix_{name}_of_dag", "dag_id", "id"),
        Index(f"ix_{name}_of_dag_run", "run_id", "dag_id", "id"),
        partial(f"ix_{name}_of_dag_reason", "reason", "dag_id", "id", where=one_of(WITH_A_REASON)),
        partial(f"ix_{name}_of_dag_doubt", "dag_id", "id", where=one_of((Status.IN_DOUBT,))),
        # What failed: the latest of a DAG first, and those of one run however many images the run has.
        partial(f"ix_{name}_of_dag_end", "reason", "dag_id", "ended_at", "id", where=one_of(WITH_A_REASON)),
        partial(f"ix_{name}_of_run_end", "run_id", "reason", "dag_id", "ended_at", "id", where=one_of(WITH_A_REASON)),
        # The described images of a DAG, in the order in which their answers came.
        partial(f"ix_{name}_of_dag_answer", "dag_id", "ended_at", "id", where=one_of((Status.SUCCEEDED,))),
    ]


def _object_columns() -> list[Column[Any]]:
    """Which version of which object the row is, as it was listed."""
    return [
        Column(
            "id",
            RowNumber,
            primary_key=True,
            autoincrement=True,
            comment="Number of the row. It only grows. Images are sent in this order.",
        ),
        Column(
            "image_uri",
            KeyText,
            nullable=False,
            comment="s3://bucket/key. An erased row holds erased: and a digest instead.",
        ),
        Column(
            "bucket",
            KeyText,
            nullable=False,
            comment="S3 bucket. Empty text once the image was erased, so that no scope holds the row.",
        ),
        Column(
            "key",
            KeyText,
            nullable=False,
            comment="S3 key, raw, as the listing gave it. The digest of image_uri once the image was erased.",
        ),
        Column(
            "image_version",
            KeyText,
            nullable=False,
            comment=(
                "Version of the object: its ETag as listed. Empty text for a key that has no object, and once erased."
            ),
        ),
        Column(
            "etag",
            PlainText,
            comment="ETag as listed. The object is read with If-Match on it. Empty for a key that has no object.",
        ),
        Column(
            "version_id",
            PlainText,
            comment=(
                "S3 version id of the bytes that were read. Empty before the object is read, and in buckets without "
                "versions."
            ),
        ),
        Column(
            "is_current",
            Boolean,
            nullable=False,
            comment=(
                "True while this is the version that the latest listing saw. The listing sets it to false when the "
                "object is replaced."
            ),
        ),
        Column(
            "size_bytes",
            BigInteger,
            comment="Size of the object in bytes, as listed. Empty for a key that has no object.",
        ),
        Column(
            "last_modified",
            UTCDateTime,
            comment="When the object was last changed, by S3, as listed. Empty for a key that has no object.",
        ),
        Column("storage_class", PlainText, comment="S3 storage class, as listed. Empty for a key that has no object."),
    ]


def _content_columns() -> list[Column[Any]]:
    """The bytes, known once they were read, and the bot that describes them."""
    return [
        Column(
            "content_sha256",
            KeyText,
            comment=(
                "SHA-256 of the object's bytes, in hex. Rows with equal digests are twins. Empty before a worker has "
                "read the object. A digest of it once erased."
            ),
        ),
        Column(
            "media_type",
            PlainText,
            comment=(
                "Media type of what a worker found in the bytes, such as image/png. Empty before the object is read."
            ),
        ),
        Column("width", Integer, comment="Width of the image in pixels. Empty before the object is read."),
        Column("height", Integer, comment="Height of the image in pixels. Empty before the object is read."),
        Column(
            "bot_type",
            KeyText,
            nullable=False,
            comment="Bot that describes the image: MID_JOURNEY or NIJI_JOURNEY.",
        ),
    ]


def _state_columns() -> list[Column[Any]]:
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


def _submission_columns() -> list[Column[Any]]:
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


def _answer_columns() -> list[Column[Any]]:
    """Its prompts, as they were parsed."""
    return [
        Column(
            "prompt_1",
            PlainText,
            comment="First prompt, cleaned. Empty until an answer comes, then kept until a new answer is committed.",
        ),
        Column("prompt_2", PlainText, comment="Second prompt, cleaned. Empty where the answer had fewer."),
        Column("prompt_3", PlainText, comment="Third prompt, cleaned. Empty where the answer had fewer."),
        Column("prompt_4", PlainText, comment="Fourth prompt, cleaned. Empty where the answer had fewer."),
        Column("prompt_count", Integer, comment="Prompts in the answer, 1 to 4. Empty until the image is described."),
        Column(
            "prompt_raw",
            PlainText,
            comment=(
                "The answer as the service gave it, for a better parser. Also kept of an answer that could not be "
                "read. Empty before an answer."
            ),
        ),
        Column(
            "aspect_ratio",
            PlainText,
            comment="Value of --ar in the answer, such as 3:2. Empty where the answer names none.",
        ),
        Column(
            "parser_version",
            Integer,
            comment="Version of the parser that made the prompts. Reparse raises it. Empty without prompts.",
        ),
        Column(
            "prompts_sha256",
            PlainText,
            comment=(
                "SHA-256 of prompts and aspect ratio as parsed. Where it does not fit them, a person has corrected "
                "them, and reparse leaves them. Empty without prompts, or where an older release wrote them."
            ),
        ),
        Column(
            "reader",
            PlainText,
            comment=(
                "Fingerprint of what could be read (formats, limits) by the worker that read or rejected the object. "
                "Empty before."
            ),
        ),
    ]


def _price_and_times_columns() -> list[Column[Any]]:
    """What it cost, and when."""
    return [
        Column(
            "price",
            Numeric(18, 6),
            comment=(
                "Price of the accepted submission. 0 where the answer of a twin was shared. Empty where no price is "
                "set."
            ),
        ),
        Column("currency", PlainText, comment="Currency of price, as set on the connection. Empty where none is set."),
        Column(
            "submitted_at",
            UTCDateTime,
            comment=(
                "When a worker committed that the service had accepted the image. Empty before, and from the next "
                "claim on."
            ),
        ),
        Column("started_at", UTCDateTime, comment="When the service began, by its own clock. Empty until it says so."),
        Column(
            "finished_at",
            UTCDateTime,
            comment="When the service finished, by its own clock. Empty until it says so.",
        ),
        Column(
            "ended_at",
            UTCDateTime,
            comment=(
                "When the row reached a status that ends it (succeeded, failed, rejected, in_doubt). Empty while it "
                "is open."
            ),
        ),
    ]


def _lease_columns() -> list[Column[Any]]:
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


def _doubt_and_orders_columns() -> list[Column[Any]]:
    """How far the service was asked about it, and who asked for it again."""
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


def _run_columns() -> list[Column[Any]]:
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
