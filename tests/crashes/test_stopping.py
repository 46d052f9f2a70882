"""Told to stop (SIGTERM): nothing more is claimed, and what is open is finished and written down."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from airflow_midjourney.describe.engine.loop import work
from airflow_midjourney.describe.engine.reporting import ProgressReport
from airflow_midjourney.describe.model.batch import Origin
from airflow_midjourney.describe.model.errors import BatchError
from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.describe.table.batches import open_batch
from tests.support.crash_runs import PATIENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.crash import CrashingEngine
    from tests.support.crash_runs import CrashSite, Errand

IMAGES = 10


async def _stop_amid_submissions(engine: CrashingEngine, errand: Errand) -> None:
    """Work until POSTs are open, then be told to stop."""
    origin = Origin("describe_images", errand.run_id, "submit")
    batch = await engine.database.write(open_batch, errand.scope, errand.options, origin)
    async with engine.worker() as worker:
        report = ProgressReport(lambda line: None)
        working = asyncio.create_task(
            work(worker, batch.batch_id, report, until=lambda now: now.all_ended, may_leave=False)
        )
        while not engine.points.passed["before submit_describe"]:
            await asyncio.sleep(0.01)
        worker.told_to_stop = True
        with pytest.raises(BatchError, match="told to stop") as stopped:
            await working
    assert stopped.value.retry_helps


def test_open_submissions_are_finished_and_the_rest_is_pending_for_the_next_run(
    make_site: Callable[..., CrashSite], photos: Callable[[int], list[bytes]]
) -> None:
    site = make_site("novicezk", ("slow_submit",), pause=0.5)
    errand = site.prepare(photos(IMAGES), account=PATIENT)
    engine = errand.engine()

    asyncio.run(_stop_amid_submissions(engine, errand))
    engine.database.close()

    rows = site.rows(errand)
    sent = [row for row in rows if row.status in (Status.SUBMITTED, Status.SUCCEEDED)]
    unsent = [row for row in rows if row.status == Status.PENDING]
    assert 1 <= len(sent) <= PATIENT["max_in_flight"]
    assert len(sent) + len(unsent) == IMAGES
    assert all(row.reserved_by is None and row.reservations == 0 for row in unsent)
    assert len(sent) == site.accepted() == engine.points.passed["after submit_describe"]
    assert [post.outcome for post in site.submissions(errand)] == ["accepted"] * len(sent)

    errand.run()

    assert site.statuses(errand) == [Status.SUCCEEDED] * IMAGES
    assert site.billed() == [1] * IMAGES


def test_told_to_stop_before_anything_is_claimed_nothing_is_sent(
    make_site: Callable[..., CrashSite], photos: Callable[[int], list[bytes]]
) -> None:
    site = make_site("novicezk")
    errand = site.prepare(photos(3))
    engine = errand.engine()

    async def stop_at_once() -> None:
        origin = Origin("describe_images", errand.run_id, "submit")
        batch = await engine.database.write(open_batch, errand.scope, errand.options, origin)
        async with engine.worker() as worker:
            worker.told_to_stop = True
            report = ProgressReport(lambda line: None)
            with pytest.raises(BatchError, match="told to stop"):
                await work(worker, batch.batch_id, report, until=lambda now: now.all_ended, may_leave=False)

    asyncio.run(stop_at_once())
    engine.database.close()

    # Not even listed: the listing is broken off, too.
    assert site.statuses(errand) == []
    assert site.submissions(errand) == []
    assert site.billed() == []
