"""``python -m benchmarks.slots``: where the time goes between an answer and the next POST of its slot.

Runs the engine itself (no Airflow, a table on SQLite, JPEGs) against the simulator, each in a process of its
own, and prints medians over all slots that were filled again, with the requests and the processor time of an image.
Takes about six minutes; ``--images`` and ``--case`` make it shorter. The simulator takes exactly the same time for each
image, so that all else is ours.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

import httpx
from sqlalchemy import select

from airflow_midjourney.describe.engine.loop import work
from airflow_midjourney.describe.engine.reading import image_reader
from airflow_midjourney.describe.engine.reporting import ProgressReport
from airflow_midjourney.describe.imaging.prepare import prepare as prepare_image
from airflow_midjourney.describe.service.client import MidjourneyClient
from airflow_midjourney.describe.storage.objects import ImageStore
from benchmarks.engine import begin, database_url, opened
from benchmarks.servers import our_s3_client, running
from tests.support.airflow_home import REPOSITORY
from tests.support.deployment.components import clean_environment
from tests.support.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_midjourney.describe.table.database import Database, Transaction

_START_LIMIT: Final = 60.0


@dataclass(frozen=True)
class Case:
    """A service without a queue, and what it is given to do.

    :param bucket: the kind of images: ``bucket`` or ``photos``.
    :param dialect: of the simulator.
    """

    name: str
    images: int
    slots: int
    seconds: float
    bucket: str = "bucket"
    dialect: str = "novicezk"


CASES: Final = (
    Case("12 slots, 5 s", images=60, slots=12, seconds=5.0),
    Case("6 slots, 12 s", images=60, slots=6, seconds=12.0),
    Case("12 slots, 40 s", images=48, slots=12, seconds=40.0),
    Case("12 slots, 5 s, photographs of 12 megapixels", images=60, slots=12, seconds=5.0, bucket="photos"),
)

#: What happens between an answer and the next POST of its slot, in this order.
STEPS: Final = ("answered", "seen", "recorded", "read", "prepared", "claimed", "posted")


@dataclass
class Moments:
    """When what happened, in seconds since the epoch, in the order in which it did.

    An image that is read before its slot is free has been read long since: that step takes no time then.
    """

    seen: dict[str, float] = field(default_factory=dict)
    read: dict[str, float] = field(default_factory=dict)
    prepared: dict[str, float] = field(default_factory=dict)
    posted: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note them within the block."""
        read, prepare = ImageStore.read, prepare_image
        listed, submit = MidjourneyClient.list_by_condition, MidjourneyClient.submit_describe

        def note_read(store: ImageStore, image: Any, *rest: Any) -> Any:
            stored = read(store, image, *rest)
            self.read[image.uri] = time.time()
            return stored

        def note_prepared(body: bytes, *, image_uri: str, **rest: Any) -> Any:
            prepared = prepare(body, image_uri=image_uri, **rest)
            self.prepared[image_uri] = time.time()
            return prepared

        async def note_seen(client: MidjourneyClient, task_ids: Any) -> Any:
            listing = await listed(client, task_ids)
            for task in listing.tasks.values():
                if task.status.is_final:
                    self.seen.setdefault(task.id, time.time())
            return listing

        async def note_posted(client: MidjourneyClient, **post: Any) -> Any:
            self.posted[post["state"]] = time.time()
            return await submit(client, **post)

        with ExitStack() as stack:
            stack.enter_context(patch.object(ImageStore, "read", note_read))
            stack.enter_context(patch.object(image_reader, "prepare", note_prepared))
            stack.enter_context(patch.object(MidjourneyClient, "list_by_condition", note_seen))
            stack.enter_context(patch.object(MidjourneyClient, "submit_describe", note_posted))
            yield


@contextmanager
def running_service(case: Case) -> Iterator[str]:
    """Run a simulator in a process of its own, and give its address."""
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / "url"
        command = [sys.executable, "-c", _SERVE.format(ready=str(ready), case=case)]
        process = subprocess.Popen(
            command, cwd=REPOSITORY, env=clean_environment() | {"PYTHONPATH": "plugins"}, stdout=subprocess.DEVNULL
        )
        try:
            deadline = time.monotonic() + _START_LIMIT
            while not ready.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit("the simulator did not start")
                time.sleep(0.05)
            yield ready.read_text().strip()
        finally:
            process.terminate()
            process.wait()


_SERVE: Final = """
from pathlib import Path
from airflow_midjourney.testing.simulator.serving import serve
from airflow_midjourney.testing.simulator.settings import DialectName, SimulatorSettings
chosen = dict(slots={case.slots}, queue=0, latency={case.seconds}, latency_spread=0.0)
serve(SimulatorSettings(dialect=DialectName({case.dialect!r}), **chosen), Path({ready!r}))
"""


@dataclass(frozen=True)
class Filled:
    """A slot that was filled again: the moment of each step."""

    at: dict[str, float]

    def seconds(self, start: str, end: str) -> float:
        """Give the time between two steps."""
        return self.at[end] - self.at[start]


def run(case: Case) -> None:
    """Describe the images of a case, and print what was seen."""
    moments = Moments()
    with ExitStack() as stack:
        service_url = stack.enter_context(running_service(case))
        s3_url = stack.enter_context(running("endless_bucket"))
        database = stack.enter_context(opened(stack.enter_context(database_url("sqlite"))))
        account = {"max_in_flight": case.slots, "poll_interval": 3.0}
        engine = Engine(database, our_s3_client(s3_url), f"{service_url}/mj", account=account)
        began, began_work = time.monotonic(), time.process_time()
        with moments.noted():
            asyncio.run(_describe(engine, case))
        wall, worked = time.monotonic() - began, time.process_time() - began_work
        requests = httpx.get(f"{service_url}/_simulator/counters", trust_env=False).json()["requests"]
        filled = _filled(case, database, moments)
    _print(case, filled, requests, wall, worked)


async def _describe(engine: Engine, case: Case) -> None:
    batch = await begin(engine.database, f"{case.bucket}-{case.images}", "run")
    async with engine.worker() as worker:
        report = ProgressReport(lambda line: None)
        await work(worker, batch.batch_id, report, until=lambda now: now.all_ended, may_leave=False)


def _filled(case: Case, database: Database, moments: Moments) -> list[Filled]:
    """Pair each answer with the POST that took its slot: the first with the first after the slots were full."""
    with database.reading() as tx:
        rows = _rows(tx)
    answers = sorted(rows, key=lambda row: row.finished_at)
    posts = sorted(rows, key=lambda row: moments.posted[row.submit_token])[case.slots :]
    return [_pair(answer, post, moments) for answer, post in zip(answers, posts, strict=False)]


def _rows(tx: Transaction) -> Any:
    images, bill = tx.tables.images.c, tx.tables.submissions.c
    return tx.connection.execute(
        select(
            images.image_uri, images.finished_at, bill.task_id, bill.submit_token, bill.settled_at, bill.claimed_at
        ).join_from(tx.tables.images, tx.tables.submissions, images.id == bill.image_id)
    ).all()


def _pair(answer: Any, post: Any, moments: Moments) -> Filled:
    found = {
        "answered": answer.finished_at.timestamp(),
        "seen": moments.seen[answer.task_id],
        "recorded": answer.settled_at.timestamp(),
        "read": moments.read[post.image_uri],
        "prepared": moments.prepared[post.image_uri],
        "claimed": post.claimed_at.timestamp(),
        "posted": moments.posted[post.submit_token],
    }
    at: dict[str, float] = {}
    latest = 0.0
    for step in STEPS:
        latest = at[step] = max(latest, found[step])
    return Filled(at)


def _print(case: Case, filled: list[Filled], requests: dict[str, int], wall: float, worked: float) -> None:
    ideal = -(-case.images // case.slots) * case.seconds
    each = sum(requests.values()) / case.images
    lines = [
        f"{case.name}, {case.images} images: {wall:.1f} s (ideal {ideal:.0f} s), {requests},",
        f"  {each:.2f} requests and {1000 * worked / case.images:.1f} ms of processor time an image",
    ]
    for before, after in (*pairwise(STEPS), (STEPS[0], STEPS[-1])):
        lines.append(f"  {before:>9} -> {after:<9} {_told([one.seconds(before, after) for one in filled])}")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _told(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    most = ordered[int(0.9 * (len(ordered) - 1))]
    return f"median {median(ordered):6.3f} s, nine of ten within {most:6.3f} s"


def main(arguments: list[str] | None = None) -> None:
    """Run the cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", type=int, choices=range(len(CASES)), action="append", help="only this one")
    parser.add_argument("--images", type=int, help="fewer images than a case has")
    chosen = parser.parse_args(arguments)
    for number in chosen.case or range(len(CASES)):
        case = CASES[number]
        run(case if chosen.images is None else replace(case, images=chosen.images))


if __name__ == "__main__":
    main()
