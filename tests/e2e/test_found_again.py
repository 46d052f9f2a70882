"""What the service had taken from a killed worker is found within ten seconds of the next try, as databases tell."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.deployment.components import kill_all
from tests.support.deployment.deployment import KEY
from tests.support.deployment.scenes import DAG, Scene
from tests.support.deployment.service import start_simulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.deployment.deployment import Deployment
    from tests.support.deployment.service import Simulator

PHOTOS = 8

#: Seconds for which the service holds its answer back after it has taken the image: the worker is killed meanwhile.
SLOW = 40.0

#: Seconds that a try may take beyond what it takes until its first answer anyway.
FOUND_WITHIN = 10.0

#: The worker waits longer than that.
EXTRA = {"novicezk": {"timeout": 60}, "trueai": {"timeout": 60, "auth": "token"}}


@pytest.fixture(params=["novicezk", "trueai"])
def dialect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def simulator(deployment: Deployment, dialect: str) -> Iterator[Simulator]:
    options = ["--dialect", dialect, "--hang", f"{SLOW}"]
    simulator = start_simulator(deployment.keeper, deployment.folder, KEY, options, name=f"found-again-{dialect}")
    simulator.component.wait_until_ready()
    yield simulator
    simulator.component.kill()


def start_of(scene: Scene, run: str, number: int) -> datetime:
    """Give when a try of the submitting task began, as Airflow's database has it."""
    tries: list[dict[str, Any]] = scene.deployment.api.tries(DAG, run, "submit")
    (one,) = (each for each in tries if each["try_number"] == number)
    return datetime.fromisoformat(one["start_date"])


def test_a_killed_workers_images_are_found_within_seconds_of_the_next_try(
    make_scene: Callable[..., Scene], simulator: Simulator, dialect: str
) -> None:
    scene = make_scene(simulator=simulator, slots=PHOTOS, latency=1.0, extra=EXTRA[dialect])
    scene.put_photos(PHOTOS)
    undisturbed = scene.start()
    scene.finish(undisturbed)
    first_answer = min(post["answered_at"] for post in scene.deployment.submissions(scene.prefix))
    usual = (first_answer - start_of(scene, undisturbed, 1)).total_seconds()

    scene = make_scene(simulator=simulator, slots=PHOTOS, latency=1.0, extra=EXTRA[dialect])
    scene.put_photos(PHOTOS)
    simulator.play("ambiguous_submit_timeout")
    killed = scene.start()
    scene.wait_until(lambda: simulator.totals()["accepted"] == PHOTOS, "all images taken")
    kill_all([scene.process_of(killed, "submit")])
    taken = {task["id"] for task in simulator.tasks()}
    simulator.play()
    scene.finish(killed)

    scene.assert_paid_once(PHOTOS)
    bill = scene.deployment.submissions(scene.prefix)
    found = [post for post in bill if post["task_id"] in taken and "adopted" in (post["detail"] or "")]
    assert len(found) == PHOTOS, scene.reckoning()
    next_try = start_of(scene, killed, 2)
    waits = [(post["answered_at"] - next_try).total_seconds() for post in found]
    assert max(waits) <= usual + FOUND_WITHIN, (waits, usual)
