"""One real deployment for all tests of a process; ``E2E_EXECUTOR=CeleryExecutor`` makes it one with Celery."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.deployment.deployment import running_deployment
from tests.support.deployment.scenes import DAG, Scene

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.deployment.deployment import Deployment

EXECUTOR = os.environ.get("E2E_EXECUTOR", "LocalExecutor")

#: The day of the run that is due, the days before that it looks at again, and others.
PHOTOS_PER_DAY = {0: 4, -1: 2, -2: 1, -3: 3, 1: 5}


@dataclass(frozen=True)
class ScheduledRun:
    """The run that Airflow's scheduler made by itself when the DAG was switched on.

    :param day: the first day of its data interval.
    """

    run: dict[str, Any]
    day: datetime
    rows: list[dict[str, Any]]
    billed_per_image: list[int]


@pytest.fixture(scope="session")
def switched_on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Deployment, ScheduledRun]]:
    """A deployment in which photos of several days lie ready when the example DAG is switched on."""
    folder = tmp_path_factory.mktemp("deployment")
    with running_deployment(
        folder,
        EXECUTOR,
        dags=[Path(__file__).parent / "dags"],
        variables={"AIRFLOW__MIDJOURNEY__CALLBACKS": "True", "AIRFLOW__MIDJOURNEY__POLL_INTERVAL": "0.5"},
        hurry=True,
    ) as deployment:
        deployment.simulator.change(latency=1, slots=12)
        day = (datetime.now(UTC) - timedelta(days=1, hours=3)).replace(hour=0, minute=0, second=0, microsecond=0)
        number = 0
        for days, photos in PHOTOS_PER_DAY.items():
            prefix = f"incoming/{day + timedelta(days=days):%Y-%m-%d}/"
            deployment.put_photos(prefix, range(10**6 + number, 10**6 + number + photos))
            number += photos
        deployment.api.unpause(DAG)
        yield deployment, _scheduled_run(deployment, day)


def _scheduled_run(deployment: Deployment, day: datetime) -> ScheduledRun:
    run_id = deployment.api.wait_for_a_run(DAG)["dag_run_id"]
    deployment.api.wait_for_run(DAG, run_id)
    run = deployment.api.run(DAG, run_id)
    return ScheduledRun(run, day, deployment.rows("incoming/"), deployment.simulator.billed_per_image())


@pytest.fixture
def deployment(switched_on: tuple[Deployment, ScheduledRun]) -> Deployment:
    return switched_on[0]


@pytest.fixture
def scheduled_run(switched_on: tuple[Deployment, ScheduledRun]) -> ScheduledRun:
    return switched_on[1]


@pytest.fixture
def make_scene(deployment: Deployment) -> Iterator[Callable[..., Scene]]:
    """Make a scene: ``make_scene(slots=3, latency=1.0)``; it ends with the test."""
    scenes: list[Scene] = []

    def make(**options: Any) -> Scene:
        scenes.append(Scene(deployment, **{"simulator": deployment.simulator, **options}))
        return scenes[-1]

    yield make
    for scene in scenes:
        scene.stop()
