"""``python -m benchmarks.deferral``: what waiting costs in worker time, and what freeing the worker costs the service.

Runs a whole deployment on this machine (LocalExecutor, Postgres, simulator), and each case twice: with tasks that free
their worker while they wait, and with tasks that stay. Takes about fifteen minutes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import text

from tests.support.deployment.deployment import BUCKET, running_deployment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.deployment.deployment import Deployment

DAGS: Final = Path(__file__).parent / "dags"

#: The DAGs by what their tasks do while they wait: leave their worker, or stay.
KINDS: Final = {"leave": "deferral_on", "stay": "deferral_off"}

#: How far single images stray from the time that they take on average, as a share of it.
SPREAD: Final = 0.2

_TICK: Final = 0.2
_LIMIT: Final = 900.0

_STATES: Final = text("SELECT task_id, state FROM task_instance WHERE dag_id = :dag_id AND run_id = :run_id")


@dataclass(frozen=True)
class Case:
    """A service and what it is given to do.

    :param running: images that the service works on at once.
    :param waiting: images that may wait there.
    :param seconds: that one image takes.
    """

    name: str
    images: int
    running: int
    waiting: int
    seconds: float


CASES: Final = (
    Case("short", images=120, running=3, waiting=9, seconds=6.0),
    Case("long", images=60, running=12, waiting=0, seconds=40.0),
)


@dataclass
class Measurement:
    """What was seen of one run, several times a second.

    :param wall: seconds from the first task's start to the run's end.
    :param worker: seconds in which tasks held worker slots, summed over tasks.
    :param unsent: seconds in which images were left to be sent, since the first one was.
    :param idle_slots: of these, the seconds in which slots of the service were free, as a mean over its slots.
    :param nothing: of these, the seconds in which the service had nothing to do at all.
    :param deferrals: how often a task freed its worker.
    """

    wall: float = 0.0
    worker: float = 0.0
    unsent: float = 0.0
    idle_slots: float = 0.0
    nothing: float = 0.0
    deferrals: int = 0
    _states: dict[str, str] = field(default_factory=dict)

    def note(self, states: dict[str, str], seconds: float, case: Case, service: dict[str, int]) -> None:
        """Add what was seen for so many seconds."""
        if any(state not in (None, "scheduled", "queued") for state in states.values()):
            self.wall += seconds
        self.worker += seconds * sum(state == "running" for state in states.values())
        self.deferrals += sum(
            state == "deferred" and self._states.get(task) != "deferred" for task, state in states.items()
        )
        self._states = states
        if 0 < service["accepted"] < case.images:
            self.unsent += seconds
            self.idle_slots += seconds * (case.running - min(service["running"], case.running)) / case.running
            self.nothing += seconds * (service["running"] == 0)

    def row(self, case: Case, kind: str) -> str:
        """Give a line of the table."""
        return (
            f"| {case.name} | {kind} | {self.wall:.0f} s | {self.worker:.0f} s | {self.worker / self.wall:.2f} |"
            f" {self.idle_slots / self.unsent:.1%} | {self.nothing / self.unsent:.1%} | {self.deferrals} |"
        )


HEADER: Final = (
    "| Case | Tasks | Run | On a worker | Share of the run | Service's slots free | Service idle | Deferrals |\n"
    "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
)


def measure(deployment: Deployment, case: Case, dag_id: str, number: int) -> Measurement:
    """Run one case once."""
    simulator, api = deployment.simulator, deployment.api
    simulator.reset()
    simulator.change(latency=case.seconds, latency_spread=SPREAD, slots=case.running, queue=case.waiting)
    deployment.connect_service(account=f"{dag_id}-{case.name}", max_in_flight=case.running + case.waiting)
    prefix = f"{dag_id}/{case.name}/"
    deployment.put_photos(prefix, range(1000 * number, 1000 * number + case.images), BUCKET)
    run_id = f"{case.name}-{number}"
    api.wait_for_dag(dag_id)
    api.trigger(dag_id, run_id, {"prefix": prefix})
    measurement, ended = Measurement(), threading.Event()
    sampler = threading.Thread(target=_sample, args=(deployment, case, (dag_id, run_id), measurement, ended))
    sampler.start()
    try:
        state = api.wait_for_run(dag_id, run_id, _LIMIT)
    finally:
        ended.set()
        sampler.join()
    if state != "success" or simulator.billed_per_image() != [1] * case.images:
        raise SystemExit(f"{run_id} is {state}; the service says {simulator.counters()['billed']} billed")
    return measurement


def _sample(
    deployment: Deployment, case: Case, run: tuple[str, str], measurement: Measurement, ended: threading.Event
) -> None:
    engine = deployment.airflow_engine()
    last = time.monotonic()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while not ended.wait(_TICK):
            found = connection.execute(_STATES, {"dag_id": run[0], "run_id": run[1]}).all()
            service = deployment.simulator.totals()
            now = time.monotonic()
            measurement.note({row.task_id: row.state for row in found}, now - last, case, service)
            last = now
    engine.dispose()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure all cases and print the table."""
    parser = argparse.ArgumentParser(prog="benchmarks.deferral", description=__doc__)
    parser.add_argument("--case", choices=[case.name for case in CASES], action="append", help="only this one")
    parser.add_argument("--tasks", choices=[*KINDS], action="append", help="leaving tasks or staying ones only")
    parser.add_argument("--folder", type=Path, help="keep all logs there")
    given = parser.parse_args(arguments)
    cases = [case for case in CASES if case.name in (given.case or [case.name])]
    kinds = {KINDS[name]: name for name in given.tasks or KINDS}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        variables = {"AIRFLOW__MIDJOURNEY__POLL_INTERVAL": "3"}
        with running_deployment(folder, "LocalExecutor", dags=[DAGS], variables=variables) as deployment:
            rows = [
                measure(deployment, case, dag_id, 2 * number + kind).row(case, name)
                for number, case in enumerate(cases)
                for kind, (dag_id, name) in enumerate(kinds.items())
            ]
    sys.stdout.write("\n".join([HEADER, *rows, ""]))


if __name__ == "__main__":
    main()
