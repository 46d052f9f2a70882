"""Engines in processes of their own, as workers on several hosts: one table, one S3 and one service between them."""

from __future__ import annotations

import asyncio
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3

from airflow_midjourney.describe.table import accounts, results, submissions
from airflow_midjourney.describe.table.database import open_database
from tests.support import batches
from tests.support.engine import Engine
from tests.support.s3_faults import S3Faults, break_s3

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_midjourney.describe.model.batch import BatchOptions, Origin, Scope
    from airflow_midjourney.describe.table.counts import Counts
    from tests.support.places import MetadataPlace


@dataclass(frozen=True)
class Job:
    """What one process does: open a batch and work on it until it has ended.

    :param url: of the service.
    :param account: settings of the account that differ from the tests' own.
    :param s3_faults: what goes wrong when this process reads objects.
    :param longest_pause: seconds after a failure, at most, where the usual pauses would take a test minutes.
    """

    place: MetadataPlace
    s3_url: str
    url: str
    scope: Scope
    origin: Origin
    options: BatchOptions = field(default_factory=batches.options)
    key: str = ""
    account: dict[str, Any] = field(default_factory=dict)
    s3_faults: S3Faults | None = None
    longest_pause: float | None = None


def run_side_by_side(jobs: Sequence[Job]) -> list[Counts]:
    """Run every job in a process of its own, all at once, and give what each counted at its end.

    An error in any of them is raised here.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(len(jobs), mp_context=context) as pool:
        return list(pool.map(run_job, jobs))


def run_job(job: Job) -> Counts:
    """Run one job in this process, which does nothing else."""
    if job.longest_pause is not None:
        shorten_pauses(job.longest_pause)
    database = open_database(job.place.url, job.place.names, name="image_prompts_db")
    s3 = boto3.client("s3", endpoint_url=job.s3_url)
    if job.s3_faults is not None:
        break_s3(s3, job.s3_faults)
    try:
        engine = Engine(database, s3, job.url, key=job.key, account=job.account)
        _, counts = asyncio.run(batches.working_on(engine, job.scope, job.options, job.origin))
    finally:
        database.close()
    return counts


def shorten_pauses(longest: float) -> None:
    """Let nothing in this process wait for longer before it is tried again, for as long as the process lives."""
    accounts.LONGEST_PAUSE = longest  # type: ignore[misc]
    accounts.FIRST_PAUSE = longest / 4  # type: ignore[misc]
    accounts.PROBE_INTERVAL = longest / 4  # type: ignore[attr-defined]
    results.RETRY_PAUSE = submissions.PAUSE_AFTER_NO = longest  # type: ignore[misc]
