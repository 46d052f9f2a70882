"""What is known of a batch, as plain values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_midjourney.describe.status import Status

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_midjourney.describe.table.overview import BatchOverview


def numbers(found: BatchOverview) -> dict[str, Any]:
    """Give the numbers of a batch as plain values: counts, money as text, moments as ISO text in UTC."""
    batch, counts = found.batch, found.counts
    return {
        "batch": batch.batch_id,
        "dag_id": batch.origin.dag_id,
        "run_id": batch.origin.run_id,
        "task_id": batch.origin.dag_task_id,
        "images": batch.scope.describe(),
        "bot_type": batch.scope.bot_type.value,
        "plan_only": batch.options.plan_only,
        "started_at": _moment(batch.started_at),
        "looked_at": _moment(found.now),
        "listing_ended": batch.listing_ended_at is not None,
        "total": counts.total,
        "ended": counts.ended,
        "by_status": {status.value: getattr(counts, status.value) for status in Status},
        "by_reason": dict(counts.reasons),
        "shared": counts.shared,
        "billed": counts.billed,
        "cost": None if counts.cost is None else f"{counts.cost.normalize():f}",
        "currency": counts.currency,
        "oldest_waiting_since": _moment(found.oldest_waiting),
        "oldest_waiting_seconds": _seconds_between(found.oldest_waiting, found.now),
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")


def _seconds_between(since: datetime | None, now: datetime) -> int | None:
    return None if since is None else max(0, round((now - since).total_seconds()))
