"""Running an engine in a process that dies, and another one after it."""

from __future__ import annotations

import asyncio
import base64
import itertools
import multiprocessing
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing import forkserver
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, Final

import boto3
import httpx
import psutil
from sqlalchemy import create_engine, select

from airflow_midjourney.describe.model.batch import BatchOptions, Scope
from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.describe.table.database import engine_options
from tests.support.crash import CrashingDatabase, CrashingEngine, CrashPoint, CrashPoints, hurry
from tests.support.images import jpeg

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from multiprocessing.context import ForkServerProcess

    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace

#: Deadlines that keep a test short. The grace is long enough for a machine that is busy with other tests.
ACCOUNT: Final[dict[str, Any]] = {
    "submit_deadline": 0.6,
    "doubt_grace": 0.4,
    "poll_interval": 0.1,
    "max_in_flight": 4,
}

#: Seconds for which no machine is too busy to go on. Where a test needs so long a time to be over, it moves the table's
#: moments back.
PATIENTLY: Final = 120.0

#: Deadlines that no busy machine misses.
PATIENT: Final = ACCOUNT | {"submit_deadline": PATIENTLY / 2, "doubt_grace": PATIENTLY / 2}

#: Seconds after which a run that has not ended never will.
_PATIENCE: Final = 180.0

_PROCESSES: Final = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tests.support.crash_runs"])

#: One thread at a time starts a process or reads how one ended: to start one reads that of all others, too, and what
#: the forkserver says of a process can be read only once.
_ONE_AT_A_TIME: Final = threading.Lock()

# Loading what boto3 knows of S3 takes longer than a whole run; children inherit it from the forkserver.
_S3: Final = boto3.session.Session(
    aws_access_key_id="testing", aws_secret_access_key="testing", region_name="us-east-1"
)
_S3.client("s3", endpoint_url="http://127.0.0.1:1")


@dataclass(frozen=True)
class Errand:
    """One run of an engine over a scope: what a process needs to know to make it."""

    place: MetadataPlace
    s3_url: str
    url: str
    key: str
    scope: Scope
    options: BatchOptions = field(default_factory=BatchOptions)
    account: dict[str, Any] = field(default_factory=lambda: dict(ACCOUNT))
    run_id: str = "run"

    def engine(self, points: CrashPoints | None = None) -> CrashingEngine:
        """Give an engine for it, with a database of its own."""
        database = CrashingDatabase(
            create_engine(self.place.url, **engine_options(self.place.url)), self.place.names, name="image_prompts_db"
        )
        s3 = _S3.client("s3", endpoint_url=self.s3_url)
        return CrashingEngine(database, s3, self.url, self.key, dict(self.account), points=points or CrashPoints())

    def run_here(self, points: CrashPoints | None = None) -> CrashPoints:
        """Make the whole run in this process, and give the points that it passed."""
        engine = self.engine(points)
        self.finish(engine)
        return engine.points

    def finish(self, engine: CrashingEngine) -> None:
        """Make the whole run with an engine, and close it."""
        try:
            asyncio.run(asyncio.wait_for(engine.describe(self.scope, self.options, self.run_id), _PATIENCE))
        finally:
            engine.database.close()

    def run(self) -> None:
        """Make the whole run in a process of its own."""
        exit_code = self._run_in_process(CrashPoints())
        assert exit_code == 0, f"the process ended with {exit_code}"

    def run_and_die(self, name: str, occurrence: int = 1, delay: float = 0.0) -> bool:
        """Make the run in a process of its own that is killed at a point, or some seconds after it.

        :return: False if the run ended before that.
        """
        exit_code = self._run_in_process(CrashPoints(CrashPoint(name, occurrence), delay))
        assert exit_code in (0, -signal.SIGKILL), f"the process ended with {exit_code}"
        return exit_code != 0

    @contextmanager
    def frozen(self, name: str, occurrence: int = 1) -> Iterator[None]:
        """Make the run in a process of its own that is frozen (``SIGSTOP``) at a point; it goes on after the block."""
        process = self._start(CrashPoints(CrashPoint(name, occurrence), fate=signal.SIGSTOP))
        assert process.pid is not None
        try:
            _wait_until_stopped(process.pid)
            yield
            os.kill(process.pid, signal.SIGCONT)
        finally:
            exit_code = _end_of(process)
        assert exit_code == 0, f"the process ended with {exit_code}"

    def _run_in_process(self, points: CrashPoints) -> int | None:
        return _end_of(self._start(points))

    def _start(self, points: CrashPoints) -> ForkServerProcess:
        process = _PROCESSES.Process(
            target=_run_in_a_hurry, args=(self, points.fatal, points.delay, points.fate), daemon=True
        )
        with _ONE_AT_A_TIME:
            _start_forkserver()
            process.start()
        return process


def _end_of(process: ForkServerProcess) -> int | None:
    wait([process.sentinel], _PATIENCE)
    with _ONE_AT_A_TIME:
        process.kill()
        return process.exitcode


def _wait_until_stopped(pid: int) -> None:
    deadline = time.monotonic() + _PATIENCE
    while psutil.Process(pid).status() != psutil.STATUS_STOPPED:
        assert time.monotonic() < deadline, "The process never came to its point."
        time.sleep(0.05)


def _start_forkserver() -> None:
    """Start the process that has everything loaded and no threads, unless it runs already.

    It finds the modules to load by ``PYTHONPATH`` alone: Python 3.11 does not hand it this process's path.
    """
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)
    try:
        forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def _run_in_a_hurry(errand: Errand, fatal: CrashPoint | None, delay: float, fate: signal.Signals) -> None:
    hurry()
    errand.run_here(CrashPoints(fatal, delay, fate))
    # A timer that has not gone off yet would hold up the end of the process.
    os._exit(0)


@dataclass
class CrashSite:
    """A simulator, a table and a bucket that many errands use, one after the other.

    :param scenarios: what the simulator does wrong, anew for each errand.
    """

    place: MetadataPlace
    database: CrashingDatabase
    simulator: RunningSimulator
    s3_url: str
    bucket: str
    scenarios: tuple[str, ...] = ()
    _of_others: set[str] = field(default_factory=set)

    def prepare(self, bodies: Sequence[bytes], **changes: Any) -> Errand:
        """Give an errand over a new prefix with these images, for an account of its own.

        The service has an old task of another user: a list with it proves something of the errand's submissions.
        """
        self.simulator.reset()
        self._submit_for_another()
        self.simulator.set_scenarios(list(self.scenarios))
        number = next(_NUMBERS)
        s3 = _S3.client("s3", endpoint_url=self.s3_url)
        for index, body in enumerate(bodies):
            s3.put_object(Bucket=self.bucket, Key=f"{number}/{index:02}.jpg", Body=body)
        errand = Errand(
            self.place,
            self.s3_url,
            self.simulator.url,
            f"key-{number}",
            Scope(self.bucket, (f"{number}/",)),
            run_id=f"run-{number}",
        )
        return replace(errand, **changes)

    def rows(self, errand: Errand) -> list[Any]:
        """Give the rows of an errand's images, in the order of their keys."""
        images = self.database.tables.images.c
        query = (
            select(self.database.tables.images).where(images.image_uri.startswith(_uri(errand))).order_by(images.key)
        )
        with self.database.reading() as tx:
            return list(tx.connection.execute(query))

    def submissions(self, errand: Errand) -> list[Any]:
        """Give the bill of an errand's images, in the order of the POSTs."""
        bill = self.database.tables.submissions
        ids = [row.id for row in self.rows(errand)]
        with self.database.reading() as tx:
            return list(tx.connection.execute(select(bill).where(bill.c.image_id.in_(ids)).order_by(bill.c.id)))

    def sent(self, errand: Errand) -> list[Any]:
        """Give the bill of an errand's images without the POSTs that never left: a busy machine adds such ones."""
        return [post for post in self.submissions(errand) if post.outcome not in ("never_sent", "broken_off")]

    def statuses(self, errand: Errand) -> list[Status]:
        """Give the status of each of an errand's images."""
        return [Status(row.status) for row in self.rows(errand)]

    def story(self, errand: Errand) -> str:
        """Tell what the bill and the simulator say, for the message of a failed test."""
        rows = (
            f"row {row.id}: {row.status} {row.detail}, shares {row.shares_id}, attempts {row.attempts}"
            for row in self.rows(errand)
        )
        posts = (
            f"row {post.image_id}: {post.outcome} {post.task_id}: {post.detail}, claimed {post.claimed_at},"
            f" answered {post.answered_at}, settled {post.settled_at}"
            for post in self.submissions(errand)
        )
        tasks = (
            f"task {task['id']}: {task['sha256'][:8]} {task['submit_time']} to {task['finish_time']}"
            for task in self.simulator.tasks()
        )
        return "\n".join([*rows, *posts, *tasks])

    def billed(self) -> list[int]:
        """Give how often the simulator billed each of our images that it took, fewest first."""
        images = self.simulator.counters()["images"]
        return sorted(image["billed"] for name, image in images.items() if name not in self._of_others)

    def accepted(self) -> int:
        """Give how many of our submissions the simulator has taken."""
        taken: int = self.simulator.counters()["accepted"]
        return taken - len(self._of_others)

    def _submit_for_another(self) -> None:
        picture = base64.b64encode(jpeg(10_000)).decode()
        body = {"base64": f"data:image/jpeg;base64,{picture}", "state": "another's"}
        httpx.post(f"{self.simulator.url}/submit/describe", json=body, timeout=60).raise_for_status()
        # The service's clock tells whole seconds, and on a busy machine those of a while ago.
        self.simulator.age(PATIENTLY)
        self._of_others.update(self.simulator.counters()["images"])


_NUMBERS: Final = itertools.count(1)


def _uri(errand: Errand) -> str:
    return f"s3://{errand.scope.bucket}/{errand.scope.prefixes[0]}"
