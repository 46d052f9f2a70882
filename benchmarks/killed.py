"""``python -m benchmarks.killed``: a worker is killed with ``kill -9`` half way; how soon are the slots busy again?

Runs the engine itself (no Airflow, a table on SQLite) against the simulator, which works on twelve images at a time
that take five seconds each: on novicezk and on trueai, killed amid a wave of POSTs. The next try begins at once. Takes
about two minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httpx

from airflow_midjourney.describe.engine.context import holders_of, new_holder
from airflow_midjourney.describe.engine.loop import work
from airflow_midjourney.describe.engine.reporting import ProgressReport
from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.describe.table.leases import end_leases
from benchmarks.engine import begin, database_url, opened
from benchmarks.servers import our_s3_client, running
from benchmarks.slots import Case, running_service
from tests.support.engine import Engine

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

CASES: Final = tuple(
    Case(f"{dialect}, 12 slots, 5 s", images=60, slots=12, seconds=5.0, dialect=dialect)
    for dialect in ("novicezk", "trueai")
)

#: Of the images, the share that are accepted when the worker is killed.
KILLED_AT: Final = 0.5

_TICK: Final = 0.05

_PROCESSES: Final = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Site:
    """Where the worker that is killed and the one after it work."""

    case: Case
    table: str
    s3: str
    service: str

    def start(self, try_number: int) -> BaseProcess:
        """Start a try in a process of its own."""
        process = _PROCESSES.Process(target=work_off, args=(self, try_number), daemon=True)
        process.start()
        return process

    def ask(self, what: str) -> httpx.Response:
        """Ask the simulator how things really are."""
        return httpx.get(f"{self.service}/_simulator/{what}", trust_env=False)

    @property
    def accepted(self) -> int:
        """How many images it has accepted."""
        return int(self.ask("counters").json()["billed"])

    @property
    def busy(self) -> int:
        """How many it works on."""
        return sum(task["status"] not in ("SUCCESS", "FAILURE") for task in self.ask("tasks").json())


def work_off(site: Site, try_number: int) -> None:
    """Work on the batch to its end, as a try of a task does."""
    asyncio.run(_work_off(site, try_number))


async def _work_off(site: Site, try_number: int) -> None:
    database = open_database(site.table)
    account = {"max_in_flight": site.case.slots, "poll_interval": 3.0}
    engine = Engine(database, our_s3_client(site.s3), f"{site.service}/mj", account=account)
    batch = await begin(database, f"{site.case.bucket}-{site.case.images}", "run")
    if try_number > 1:
        await database.write(end_leases, holders_of(batch.batch_id))
    async with engine.worker(try_number) as worker:
        worker.holder = new_holder(batch.batch_id)
        report = ProgressReport(lambda line: None)
        await work(worker, batch.batch_id, report, until=lambda now: now.all_ended, may_leave=False)


def run(case: Case) -> None:
    """Kill a worker of a case, and print how the next one fares."""
    with ExitStack() as stack:
        service = stack.enter_context(running_service(case))
        s3 = stack.enter_context(running("endless_bucket"))
        table = stack.enter_context(database_url("sqlite"))
        stack.enter_context(opened(table))
        site = Site(case, table, s3, service)
        first = site.start(1)
        while site.accepted < case.images * KILLED_AT:
            time.sleep(_TICK)
        first.kill()
        first.join()
        at_the_kill = site.accepted
        began = time.monotonic()
        second = site.start(2)
        again = None
        while second.is_alive():
            # What was on its way keeps slots busy for a while; the next try has to submit more.
            if again is None and site.busy >= case.slots - 1 and site.accepted > at_the_kill:
                again = time.monotonic() - began
            second.join(_TICK)
        ended, billed = time.monotonic() - began, site.accepted
    busy = "never" if again is None else f"{again:.1f} s after the next try began"
    sys.stdout.write(
        f"{case.name}, {case.images} images: killed with {at_the_kill} accepted; all slots but one busy again {busy};"
        f" it ended after {ended:.1f} s; {billed - case.images} paid for twice\n"
    )
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> None:
    """Run the cases."""
    argparse.ArgumentParser(description=__doc__).parse_args(arguments)
    for case in CASES:
        run(case)


if __name__ == "__main__":
    main()
