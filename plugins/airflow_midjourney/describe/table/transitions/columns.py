"""Groups of columns that several moves write, bring or empty together."""

from __future__ import annotations

from typing import Final

from airflow_midjourney.describe.table.schema import PROMPT_COLUMNS

#: The lease of a worker.
LEASED: Final = ("reserved_by", "reserved_until")

#: What says that a submission has no answer, and how far the service was asked about it.
UNANSWERED: Final = ("in_doubt_after", "doubt_checked_at", "absent_since")

#: Why a row is what it is.
WHY: Final = ("reason", "detail")

#: An answer as it was parsed.
PROMPTS: Final = (*PROMPT_COLUMNS, "prompt_count", "prompt_raw", "aspect_ratio", "parser_version", "prompts_sha256")

#: When the service began and ended, where it says so.
REMOTE_TIMES: Final = ("started_at", "finished_at")

#: What a row with the same bytes is given of an answer.
SHARED: Final = (*PROMPTS, "account", "task_id", "submitted_at", *REMOTE_TIMES)

#: The run whose task listed, read or claimed the row.
RUN: Final = ("dag_id", "run_id", "dag_task_id", "map_index", "logical_date")

#: What was learnt by reading the object.
CONTENT: Final = ("content_sha256", "media_type", "width", "height", "version_id", "reader", *RUN, "try_number")

#: A submission as it is claimed.
INTENT: Final = (
    *(*CONTENT, "submit_token", "callback_digest", "account", "batch_id"),
    *("attempts", "max_attempts", "in_doubt_after", "silence_before"),
)

#: What a row may have left of the time before its claim.
NOT_CLAIMED: Final = (
    *(*WHY, *LEASED, "not_before", "called_at", "task_id", "doubt_checked_at", "absent_since"),
    *("missing_since", "submitted_at", *REMOTE_TIMES, "ended_at"),
)

#: The object as it was listed.
OBJECT: Final = (
    *("image_uri", "bucket", "key", "image_version", "etag", "is_current", "size_bytes", "last_modified"),
    *("storage_class", "bot_type", "batch_id", "redescribed_by", "redescribed_at", *RUN, "max_attempts"),
)

#: Counters that start with a row.
COUNTERS: Final = ("attempts", "reservations", "silence_before", "silence_before_missing")
