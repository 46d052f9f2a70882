"""The same run twice at the same time, with callbacks and without: how late answers are, and how often it asks."""

from __future__ import annotations

import itertools
import json
import statistics
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pytest

from airflow_midjourney.describe.table.poll_schedule import LONGEST_ANNOUNCED_INTERVAL
from airflow_midjourney.testing.simulator.serving import UNTIL_HURRIED
from tests.support.deployment.deployment import KEY
from tests.support.deployment.service import start_simulator

if TYPE_CHECKING:
    from tests.support.deployment.deployment import Deployment
    from tests.support.deployment.service import Simulator

DAG: Final = "describe_beside"
IMAGES: Final = 6

#: Seconds that the service takes at first, one image after the other; then it takes its time.
QUICK: Final = 1.0

#: How often it is asked in vain where it does not call: that takes most of a minute.
IN_VAIN: Final = 10

#: Seconds in which a busy machine starts two tasks.
PATIENCE: Final = 180.0

_PHOTOS: Final = itertools.count(5 * 10**6)


@dataclass
class Side:
    """One of the two: a service, a connection to it, and runs.

    :param callback_url: where the service reports changes; empty to poll only.
    """

    deployment: Deployment
    name: str
    callback_url: str
    simulator: Simulator = field(init=False)

    def __post_init__(self) -> None:
        self.simulator = start_simulator(self.deployment.keeper, self.deployment.folder, KEY, name=self.name)
        self.simulator.component.wait_until_ready()
        self.simulator.change(latency_spread=0)

    def start(self, run_id: str, *, images: int, at_once: int, latency: float) -> None:
        """Start a run over images that are new to it."""
        self.simulator.change(latency=latency, slots=at_once, queue=50)
        extra = {"timeout": 10, "max_in_flight": at_once, "account": self.name, "callback_url": self.callback_url}
        self.deployment.api.set_connection(
            self.name, conn_type="midjourney", host=self.simulator.root, password=KEY, extra=json.dumps(extra)
        )
        self.deployment.put_photos(self.prefix(run_id), itertools.islice(_PHOTOS, images))
        conf = {"prefix": self.prefix(run_id), "service": self.name}
        self.deployment.api.trigger(DAG, f"{self.name}-{run_id}", conf)

    def finish(self, run_id: str) -> None:
        """Wait for its end."""
        assert self.deployment.api.wait_for_run(DAG, f"{self.name}-{run_id}") == "success"

    def prefix(self, run_id: str) -> str:
        return f"{self.name}/{run_id}/"

    def rows(self, run_id: str) -> list[dict[str, Any]]:
        return self.deployment.rows(self.prefix(run_id))

    def delays(self, run_id: str) -> list[float]:
        """Seconds from the service's finishing an image to its prompts in the table, by one and the same clock."""
        return sorted((row["ended_at"] - row["finished_at"]).total_seconds() for row in self.rows(run_id))

    def polls_before_all_are_asleep(self) -> int:
        """Give the requests for the quick images, and for leave to submit."""
        self.deployment.api.wait_for_task(DAG, f"{self.name}-measured", "wait", "deferred")
        assert self.simulator.totals()["accepted"] == 4 + IMAGES
        return self.polls()

    def wait_for_polls(self, number: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while self.polls() < number:
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def polls(self) -> int:
        requests: dict[str, int] = self.simulator.totals()["requests"]
        return sum(number for route, number in requests.items() if route != "submit")


# With the deployment that it may have to start first.
@pytest.mark.timeout(900)
def test_answers_are_there_at_once_and_most_polls_are_saved(deployment: Deployment) -> None:
    sides = called, polling = (
        Side(deployment, "called", f"{deployment.api.root}/midjourney-callbacks"),
        Side(deployment, "polling", ""),
    )
    deployment.api.wait_for_dag(DAG)
    deployment.api.unpause(DAG)
    for side in sides:
        side.start("warming-up", images=4, at_once=1, latency=QUICK)
    for side in sides:
        side.finish("warming-up")
    for side in sides:
        side.start("measured", images=IMAGES, at_once=IMAGES, latency=UNTIL_HURRIED)
    began = time.monotonic()
    before = {side.name: side.polls_before_all_are_asleep() for side in sides}
    polling.wait_for_polls(before["polling"] + IN_VAIN)
    in_vain = {side.name: side.polls() - before[side.name] for side in sides}
    seconds = time.monotonic() - began
    for side in sides:
        side.simulator.hurry()
        side.finish("measured")

    polls = {side.name: side.polls() - before[side.name] for side in sides}
    told = called.simulator.totals()["callbacks"]
    late = {side.name: side.delays("measured") for side in sides}
    seen = f"polls in vain in {seconds:.0f} s {in_vain}, and all {polls}; seconds late {late}; callbacks {told}"
    sys.stdout.write(f"{seen}\n")
    for side in sides:
        rows = [*side.rows("warming-up"), *side.rows("measured")]
        assert [row["status"] for row in rows] == ["succeeded"] * (4 + IMAGES), seen
        assert sum(side.simulator.billed_per_image()) == 4 + IMAGES, seen
    assert told == {"delivered": 2 * (4 + IMAGES)}, seen
    assert polling.simulator.totals()["callbacks"] == {}, seen
    # It looks for callbacks once a second. By itself it asks every 45 s or so, for callbacks that get lost.
    assert statistics.median(late["called"]) < 10, seen
    assert in_vain["called"] <= 1 + seconds / (0.85 * LONGEST_ANNOUNCED_INTERVAL), seen
    # Callbacks that come one by one are answered one by one.
    assert polls["called"] - in_vain["called"] <= IMAGES, seen
