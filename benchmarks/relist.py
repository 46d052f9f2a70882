"""*relist*: a new run over images that all have their prompts, beside boto3's own paginator over the same keys."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.engine.advance import advance
from benchmarks.claiming import measured_claims
from benchmarks.engine import DATABASES, begin, database_url, engine_on, opened
from benchmarks.figures import Bar, Figure, Mark
from benchmarks.filling import fill
from benchmarks.memory import peak_megabytes
from benchmarks.servers import running, s3_client
from benchmarks.stand_ins.endless_bucket import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.support.engine import Engine

SIZES: Final = (100_000, 1_000_000)
QUICK_SIZES: Final = (1_000, 3_000)

SLOWER: Final = Mark("relist", "at most", 1.5)
MORE_MEMORY: Final = Mark("relist-memory", "at most", 64)
AS_MANY: Final = Mark("relist-claims", "at least", 0.8)

#: Finished rows that are there before claims are measured for the first time.
FEW: Final = 1000


@dataclass(frozen=True)
class Walk:
    """One walk over all keys in a process of its own.

    :param memory: the most that the process had in memory, in MB.
    """

    seconds: float
    memory: float


def measure(*, quick: bool = False, sizes: Sequence[int] = (), kinds: Sequence[str] = DATABASES) -> list[Figure]:
    """Measure on both databases; the larger size is walked on Postgres only, since each walk takes minutes."""
    chosen = tuple(sizes) or (QUICK_SIZES if quick else SIZES)
    figures = []
    with running("endless_bucket") as s3_url, running("instant_service") as service_url:
        for kind in kinds:
            walked = chosen if kind == "postgres" else chosen[:1]
            with database_url(kind) as url:
                with opened(url) as database:
                    few = measured_claims(database, FEW)
                walks = {}
                for size in chosen:
                    with opened(url) as database:
                        fill(
                            database, f"bucket-{size}", size, engine_on(database, s3_url, service_url).settings.identity
                        )
                    if size in walked:
                        walks[size] = _compare(url, s3_url, service_url, size)
                with opened(url) as database:
                    many = measured_claims(database, 0)
            figures += [_ratio(kind, size, *walk) for size, walk in walks.items()]
            if len(walks) > 1:
                figures.append(_memory(kind, [ours for ours, _ in walks.values()], walked))
            figures.append(_claims(kind, few, many, sum(chosen)))
    return figures


def _compare(url: str, s3_url: str, service_url: str, size: int) -> tuple[Walk, Walk]:
    bucket = f"bucket-{size}"
    bare = _alone(paginate, s3_url, bucket)
    return _alone(rerun, url, s3_url, service_url, bucket), bare


def _alone(walk: Callable[..., Walk], *arguments: str) -> Walk:
    """Run it in a new process: what others left in memory is none of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(walk, *arguments).result()


def paginate(s3_url: str, bucket: str) -> Walk:
    """List every key as a script does, and keep none."""
    began = time.perf_counter()
    pages = s3_client(s3_url).get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=PREFIX)
    keys = sum(len(page["Contents"]) for page in pages)
    return _walked(bucket, keys, began)


def rerun(url: str, s3_url: str, service_url: str, bucket: str) -> Walk:
    """Let a new run find that there is nothing left to do."""
    with opened(url) as database:
        began = time.perf_counter()
        keys = asyncio.run(_rerun(engine_on(database, s3_url, service_url), bucket))
        return _walked(bucket, keys, began)


async def _rerun(engine: Engine, bucket: str) -> int:
    batch = await begin(engine.database, bucket, "again")
    async with engine.worker() as worker:
        progress = await advance(worker, batch.batch_id)
        while not progress.all_ended:
            progress = await advance(worker, batch.batch_id)
    return progress.batch.listed.done


def _walked(bucket: str, keys: int, began: float) -> Walk:
    seconds = time.perf_counter() - began
    if not bucket.endswith(f"-{keys}"):
        raise SystemExit(f"{keys} keys of {bucket} were found done")
    return Walk(seconds, peak_megabytes())


def _ratio(kind: str, size: int, ours: Walk, bare: Walk) -> Figure:
    chart = f"Seconds over {size:,} keys, {kind}"
    return Figure(
        f"rerun over {size:,} described images, {kind}: of the paginator's time",
        ours.seconds / bare.seconds,
        "×",
        f"{ours.seconds:.1f} s beside {bare.seconds:.1f} s",
        SLOWER,
        bars=(Bar(chart, "ours", ours.seconds, is_ours=True), Bar(chart, "boto3's paginator", bare.seconds)),
    )


def _claims(kind: str, few: float, many: float, rows: int) -> Figure:
    return Figure(
        f"claims with {rows:,} finished rows, {kind}: of those with {FEW:,}",
        many / few,
        "×",
        f"{many:.0f} beside {few:.0f} claims/s in one process",
        AS_MANY,
    )


def _memory(kind: str, walks: Sequence[Walk], sizes: Sequence[int]) -> Figure:
    return Figure(
        f"memory for {sizes[-1]:,} images more than for {sizes[0]:,}, {kind}",
        walks[-1].memory - walks[0].memory,
        "MB",
        f"{walks[-1].memory:.0f} MB at most beside {walks[0].memory:.0f} MB",
        MORE_MEMORY,
    )
