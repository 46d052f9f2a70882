"""*submit*: images a second through ``advance``, beside a bare loop of httpx that posts the same bodies ready-made."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httpx

from airflow_midjourney.describe.engine.advance import advance
from benchmarks.costs import Costs
from benchmarks.engine import DATABASES, begin, database_url, engine_on, opened
from benchmarks.figures import Bar, Figure, Mark
from benchmarks.servers import running
from benchmarks.stand_ins.endless_bucket import object_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.engine import Engine

IMAGES: Final = 3000
QUICK_IMAGES: Final = 200

#: Ready-made bodies: few enough to stay in memory.
_BODIES: Final = 32

#: POSTs that the wider of the bare loops has on their way at once.
SIDE_BY_SIDE: Final = 8

FAST: Final = Mark("submit", "at least", 0.5)

#: What an image costs in processor time, in the order of its way.
PARTS: Final = ("reading", "checking", "encoding", "sending", "recording", "other")


@dataclass(frozen=True)
class Bare:
    """Images a second of the bare loops."""

    one_by_one: float
    side_by_side: float

    def mean(self, other: Bare) -> Bare:
        """Give what lies between two measurements: machines have moods."""
        return Bare((self.one_by_one + other.one_by_one) / 2, (self.side_by_side + other.side_by_side) / 2)


def measure(*, quick: bool = False, images: int = 0, kinds: Sequence[str] = DATABASES) -> list[Figure]:
    """Measure on both databases, with the bare loops before and after each."""
    number = images or (QUICK_IMAGES if quick else IMAGES)
    figures = []
    with running("instant_service") as service_url, running("endless_bucket") as s3_url:
        for kind in kinds:
            before = asyncio.run(_bare(service_url, number))
            with database_url(kind) as url, opened(url) as database:
                rate, costs = asyncio.run(_submit(engine_on(database, s3_url, service_url), number))
            bare = before.mean(asyncio.run(_bare(service_url, number)))
            figures += _figures(kind, rate, bare, costs, number)
    return figures


async def _bare(service_url: str, number: int) -> Bare:
    bodies = [_body(body) for body in range(_BODIES)]
    async with httpx.AsyncClient(base_url=service_url, headers={"Content-Type": "application/json"}) as client:
        return Bare(
            await _posts_a_second(client, bodies, number, lanes=1),
            await _posts_a_second(client, bodies, number, lanes=SIDE_BY_SIDE),
        )


async def _posts_a_second(client: httpx.AsyncClient, bodies: list[bytes], number: int, lanes: int) -> float:
    async def post_every(start: int) -> None:
        for image in range(start, number, lanes):
            answer = await client.post("/mj/submit/describe", content=bodies[image % _BODIES])
            answer.raise_for_status()

    began = time.perf_counter()
    await asyncio.gather(*(post_every(lane) for lane in range(lanes)))
    return number / (time.perf_counter() - began)


def _body(number: int) -> bytes:
    uri = "data:image/jpeg;base64," + base64.b64encode(object_of(number)).decode("ascii")
    return json.dumps({"botType": "MID_JOURNEY", "base64": uri, "state": "x" * 32}).encode("ascii")


async def _submit(engine: Engine, number: int) -> tuple[float, Costs]:
    """Submit all images of a bucket.

    :return: images a second, and where the time went.
    """
    batch = await begin(engine.database, f"bucket-{number}", "run")
    costs = Costs()
    async with engine.worker() as worker:
        began = time.perf_counter()
        with costs.counted():
            progress = await advance(worker, batch.batch_id)
            while not progress.all_submitted:
                progress = await advance(worker, batch.batch_id)
        seconds = time.perf_counter() - began
    return number / seconds, costs


def _figures(kind: str, rate: float, bare: Bare, costs: Costs, number: int) -> list[Figure]:
    parts = {part: 1000 * costs.seconds[part] / number for part in PARTS}
    total = sum(parts.values())
    chart = f"Images submitted a second, {kind}"
    bars = (
        Bar(chart, "ours", rate, is_ours=True),
        Bar(chart, "a bare loop", bare.one_by_one),
        Bar(chart, f"{SIDE_BY_SIDE} bare loops", bare.side_by_side),
    )
    return [
        Figure(
            f"submitting 200 kB JPEGs, {kind}: of a bare loop's speed",
            rate / bare.one_by_one,
            "×",
            f"{rate:.0f} beside {bare.one_by_one:.0f} images/s",
            FAST if kind == "postgres" else None,
            bars=bars,
        ),
        Figure(
            f"submitting, {kind}: of {SIDE_BY_SIDE} bare loops side by side",
            rate / bare.side_by_side,
            "×",
            f"{rate:.0f} beside {bare.side_by_side:.0f} images/s",
        ),
        *(
            Figure(
                f"processor time of an image, {kind}: {part}", value / total, "of all", f"{value:.2f} of {total:.2f} ms"
            )
            for part, value in parts.items()
        ),
    ]
