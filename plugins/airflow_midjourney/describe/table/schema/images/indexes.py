"""The indexes of the metadata table: which question each of them answers."""

from __future__ import annotations

from sqlalchemy import Index

from airflow_midjourney.describe.model.status import IN_FLIGHT, OPEN, Status
from airflow_midjourney.describe.table.schema.conditions import SHARING, WITH_A_REASON, one_of, partial


def image_indexes(name: str) -> list[Index]:
    """What keeps every question quick with a million finished rows; most know the unfinished ones only."""
    return [
        Index(f"ix_{name}_scope", "bucket", "bot_type", "key"),
        Index(f"ix_{name}_ended", "bucket", "bot_type", "ended_at"),
        partial(f"ix_{name}_open", "bucket", "bot_type", "status", "id", where=one_of(OPEN)),
        # A prefix that statistics do not know yet: without these two, the planner reads all that has ended under it.
        partial(f"ix_{name}_open_keys", "bucket", "bot_type", "key", where=one_of(OPEN)),
        partial(f"ix_{name}_doubt_keys", "bucket", "bot_type", "key", where=one_of((Status.IN_DOUBT,))),
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
