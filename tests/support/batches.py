"""Batches of any run of any DAG, worked on by one engine: for tests that look at a batch half way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from airflow_midjourney.describe.engine.loop import work
from airflow_midjourney.describe.engine.reporting import ProgressReport
from airflow_midjourney.describe.model.batch import BatchOptions, Origin
from airflow_midjourney.describe.storage.suffixes import DEFAULT_SUFFIXES
from airflow_midjourney.describe.table.batches import open_batch
from airflow_midjourney.describe.table.counts import count
from tests.support.images import jpeg

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.engine.progress import Progress
    from airflow_midjourney.describe.model.batch import Scope
    from airflow_midjourney.describe.table.counts import Counts
    from tests.support.engine import Engine


def put_photos(s3: S3Client, bucket: str, numbers: Iterable[int], prefix: str = "in/") -> None:
    """Store one small image per number; the same number gives the same bytes."""
    for number in numbers:
        s3.put_object(Bucket=bucket, Key=f"{prefix}{number:04}.jpg", Body=jpeg(number, size=16))


def origin(run_id: str = "run", dag_id: str = "describe_images", map_index: int | None = None) -> Origin:
    """Name a run of a DAG's ``submit`` task."""
    return Origin(dag_id, run_id, "submit", map_index, try_number=1)


def all_ended(progress: Progress) -> bool:
    """What the sensor waits for."""
    return progress.all_ended


def all_submitted(progress: Progress) -> bool:
    """What the operator waits for."""
    return progress.all_submitted


def options(**chosen: object) -> BatchOptions:
    """Give the options of a batch that takes images only."""
    return BatchOptions(suffixes=tuple(sorted(DEFAULT_SUFFIXES)), **chosen)  # type: ignore[arg-type]


def work_on(
    engine: Engine,
    scope: Scope,
    chosen: BatchOptions | None = None,
    whose: Origin | None = None,
    until: Callable[[Progress], bool] = all_ended,
) -> tuple[Progress, Counts]:
    """Open (or take up) a batch with a worker of its own, work until it is where it should be, and count its rows."""
    return asyncio.run(working_on(engine, scope, chosen, whose, until))


async def working_on(
    engine: Engine,
    scope: Scope,
    chosen: BatchOptions | None = None,
    whose: Origin | None = None,
    until: Callable[[Progress], bool] = all_ended,
) -> tuple[Progress, Counts]:
    """As :func:`work_on`, within a running loop."""
    database = engine.database
    batch = await database.write(open_batch, scope, chosen or options(), whose or origin())
    async with engine.worker() as worker:
        report = ProgressReport(lambda line: None)
        progress = await work(worker, batch.batch_id, report, until=until, may_leave=False)
    return progress, await database.read(count, progress.batch)
