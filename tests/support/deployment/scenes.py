"""What an end-to-end test does again and again: photos under a prefix of its own, runs over them, and the reckoning."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import psutil

from tests.support.deployment.deployment import BUCKET, KEY

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.deployment.deployment import Deployment
    from tests.support.deployment.service import Simulator

#: The example DAG.
DAG: Final = "describe_images"

_PATIENCE: Final = 180.0
_TICK: Final = 0.1

_PHOTOS: Final = itertools.count(1)
_SCENES: Final = itertools.count(1)


@dataclass
class Scene:
    """One test's part of a deployment: a prefix, an account of the service, and runs.

    :param simulator: the service.
    :param slots: images that the service and the account take at once.
    :param latency: seconds that one takes.
    :param extra: more of the service's connection.
    """

    deployment: Deployment
    simulator: Simulator
    slots: int = 60
    latency: float = 5.0
    extra: dict[str, Any] = field(default_factory=dict)
    number: int = field(default_factory=lambda: next(_SCENES))
    _started: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.simulator.reset()
        self.simulator.change(latency=self.latency)
        self.give_slots(self.slots)

    def give_slots(self, slots: int) -> None:
        """Let the service and the account take so many images at once."""
        self.simulator.change(slots=slots, queue=200)
        self.deployment.connect_service(
            self.simulator, account=f"account-{self.number}", max_in_flight=slots, **self.extra
        )

    def stop(self) -> None:
        """Leave nothing behind that would disturb the next test: end the runs that have not ended."""
        for run_id in self._started:
            if self.deployment.api.run(DAG, run_id)["state"] in ("queued", "running"):
                self.deployment.api.mark_run(DAG, run_id, "failed")

    @property
    def prefix(self) -> str:
        """Where its photos are."""
        return f"scene-{self.number}/"

    def put_photos(self, number: int, prefix: str | None = None) -> None:
        """Store so many new photos."""
        self.deployment.put_photos(prefix or self.prefix, itertools.islice(_PHOTOS, number))

    def start(self, **conf: Any) -> str:
        """Start a run of the example DAG over the photos and give its id."""
        run_id = f"scene-{self.number}-{len(self._started) + 1}"
        self._started.append(run_id)
        self.deployment.api.trigger(DAG, run_id, {"bucket": BUCKET, "prefix": self.prefix, **conf})
        return run_id

    def finish(self, run_id: str, state: str = "success", meanwhile: Callable[[], None] = lambda: None) -> None:
        """Wait until a run has ended, in this state.

        :param meanwhile: is called again and again.
        """
        found = self.deployment.api.wait_for_run(DAG, run_id, meanwhile=meanwhile)
        assert found == state, f"{run_id} is {found}: {self._log_tail(run_id)}"

    def state_of(self, run_id: str, task_id: str) -> str:
        """Give the state of a task."""
        return str(self.deployment.api.task(DAG, run_id, task_id)["state"])

    def process_of(self, run_id: str, task_id: str) -> psutil.Process:
        """Give the process that runs a task."""
        return psutil.Process(int(self.deployment.api.task(DAG, run_id, task_id)["pid"]))

    def wait_until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait for something.

        :param what: what it is, for the message.
        """
        deadline = time.monotonic() + _PATIENCE
        while not holds():
            assert time.monotonic() < deadline, f"Never came: {what}. {self.reckoning()}"
            time.sleep(_TICK)

    def wait_for_in_flight(self, number: int) -> None:
        """Wait until so many images are on their way."""
        self.wait_until(lambda: self.simulator.counters()["in_flight"] >= number, f"{number} images on their way")

    def assert_paid_once(self, number: int) -> None:
        """Check that all images have their prompts, and that service and table say that each was paid for once."""
        rows = self.deployment.rows(self.prefix)
        reckoning = self.reckoning()
        assert [row["status"] for row in rows] == ["succeeded"] * number, reckoning
        assert all(row["prompt_count"] == 4 and row["prompt_4"] for row in rows), reckoning
        assert self.simulator.billed_per_image() == [1] * number, reckoning
        bill = self.deployment.submissions(self.prefix)
        accepted = Counter(post["image_id"] for post in bill if post["outcome"] == "accepted")
        assert accepted == Counter(row["id"] for row in rows), reckoning

    def reckoning(self) -> str:
        """Tell what the table and the service say, for the message of a failed test."""
        rows = Counter((row["status"], row["reason"], row["attempts"]) for row in self.deployment.rows(self.prefix))
        posts = Counter((post["outcome"], post["result"]) for post in self.deployment.submissions(self.prefix))
        counters = {
            name: value for name, value in self.simulator.counters().items() if name not in ("images", "states")
        }
        return f"rows {dict(rows)}; submissions {dict(posts)}; service {counters}"

    def _log_tail(self, run_id: str) -> str:
        folder = self.deployment.settings.home / "logs" / f"dag_id={DAG}" / f"run_id={run_id}"
        lines = [
            line
            for log in sorted(folder.rglob("*.log"))
            for line in log.read_text(encoding="utf-8").splitlines()
            if '"error"' in line or '"critical"' in line
        ]
        return "\n".join(line[:1500] for line in lines[-5:])


def files_with_the_key(deployment: Deployment) -> list[str]:
    """Give the log files in which the service's key can be read."""
    return [str(log) for log in deployment.logs() if KEY in log.read_text(encoding="utf-8", errors="replace")]
