"""Every process that can die is killed with ``kill -9`` while sixty images are on their way."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from tests.support.deployment.components import kill_all
from tests.support.deployment.deployment import KEY
from tests.support.deployment.scenes import DAG, Scene
from tests.support.deployment.service import start_simulator

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.deployment.deployment import Deployment

PHOTOS = 60

_TRANSACTIONS_WITH_RUNS = text(
    "SELECT count(*) FROM pg_stat_activity JOIN pg_locks USING (pid) WHERE client_port = ANY(:ports)"
    " AND state = 'idle in transaction' AND relation = 'dag_run'::regclass AND mode = 'RowShareLock' AND granted"
)


@pytest.fixture
def scene(make_scene: Callable[..., Scene]) -> Scene:
    """Sixty photos, and a service that takes them all at once."""
    scene = make_scene(slots=PHOTOS, latency=12.0)
    scene.put_photos(PHOTOS)
    return scene


def tries_of(scene: Scene, run_id: str, task_id: str) -> int:
    return int(scene.deployment.api.task(DAG, run_id, task_id)["try_number"])


def freeze_amid_a_decision(deployment: Deployment) -> None:
    """Stop the scheduler between two statements of a transaction that has locked rows of runs."""
    scheduler = deployment.scheduler.process
    assert scheduler is not None
    engine = deployment.airflow_engine()
    deadline = time.monotonic() + 60
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while time.monotonic() < deadline:
            scheduler.suspend()
            ports = [one.laddr.port for one in scheduler.net_connections("tcp")]
            if connection.execute(_TRANSACTIONS_WITH_RUNS, {"ports": ports}).scalar_one():
                break
            scheduler.resume()
            time.sleep(0.01)
        else:
            pytest.fail("The scheduler was never seen to hold a run.")
    engine.dispose()


@pytest.mark.core
def test_the_process_of_the_task(scene: Scene) -> None:
    run = scene.start()
    scene.wait_for_in_flight(PHOTOS // 3)

    kill_all([scene.process_of(run, "submit")])

    scene.finish(run)
    assert tries_of(scene, run, "submit") == 2
    scene.assert_paid_once(PHOTOS)


def test_the_worker_while_its_task_lives_on(scene: Scene) -> None:
    """Airflow gives the task to another worker; then two work on the same batch at once."""
    run = scene.start()
    scene.wait_for_in_flight(PHOTOS // 3)
    worker = scene.process_of(run, "submit").parent()
    assert worker is not None

    kill_all([worker])

    scene.finish(run)
    assert tries_of(scene, run, "submit") == 2
    scene.assert_paid_once(PHOTOS)


def test_the_triggerer_while_tasks_sleep(scene: Scene, deployment: Deployment) -> None:
    scene.simulator.change(latency=30)
    run = scene.start()
    deployment.api.wait_for_task(DAG, run, "wait", "deferred")

    deployment.triggerer.kill()
    time.sleep(2)
    deployment.triggerer.restart()

    scene.finish(run)
    assert tries_of(scene, run, "wait") == 1
    scene.assert_paid_once(PHOTOS)


def test_the_scheduler(scene: Scene, deployment: Deployment) -> None:
    """Killed while it holds the run's row: its workers keep that connection open, and with it the lock."""
    run = scene.start()
    scene.wait_for_in_flight(PHOTOS // 3)

    freeze_amid_a_decision(deployment)
    deployment.scheduler.kill_alone()
    time.sleep(2)
    deployment.scheduler.restart()

    scene.finish(run)
    scene.assert_paid_once(PHOTOS)


def test_the_api_server(scene: Scene, deployment: Deployment) -> None:
    run = scene.start()
    scene.wait_for_in_flight(PHOTOS // 3)

    deployment.api_server.kill()
    time.sleep(2)
    deployment.api_server.restart()

    scene.finish(run)
    scene.assert_paid_once(PHOTOS)


def test_postgres(scene: Scene, deployment: Deployment) -> None:
    """Airflow's own database is on it, too: what gives up is started again, as a supervisor of services does."""
    run = scene.start()
    scene.wait_for_in_flight(PHOTOS // 3)

    deployment.postgres.component.end(signal.SIGQUIT)
    time.sleep(3)
    deployment.postgres.component.restart()

    scene.finish(run, meanwhile=deployment.revive)
    scene.assert_paid_once(PHOTOS)


def test_the_service(make_scene: Callable[..., Scene], deployment: Deployment) -> None:
    """trueai keeps its tasks and runs them again; until it is back, all connections are cut."""
    simulator = start_simulator(deployment.keeper, deployment.folder, KEY, ["--dialect", "trueai"], name="trueai")
    simulator.component.wait_until_ready()
    # It answers a submit only after it has uploaded the image: no more than a few are on their way at once.
    scene = make_scene(simulator=simulator, slots=PHOTOS, latency=12.0, extra={"auth": "token"})
    scene.put_photos(PHOTOS // 2)
    run = scene.start()
    scene.wait_for_in_flight(8)

    simulator.play("reset_on_reads", "reset_before_submit")
    time.sleep(5)
    simulator.restart_service()
    simulator.play()

    scene.finish(run)
    scene.assert_paid_once(PHOTOS // 2)
    simulator.component.kill()


@pytest.mark.core
def test_a_celery_worker(scene: Scene, deployment: Deployment) -> None:
    """Its tasks die with it, and the other worker takes them over."""
    if not deployment.workers:
        pytest.skip("only with Celery: E2E_EXECUTOR=CeleryExecutor")
    run = scene.start()
    scene.wait_for_in_flight(PHOTOS // 3)
    family = [process.pid for process in scene.process_of(run, "submit").parents()]
    (busy,) = (worker for worker in deployment.workers if worker.process and worker.process.pid in family)

    busy.kill()

    scene.finish(run)
    assert tries_of(scene, run, "submit") == 2
    scene.assert_paid_once(PHOTOS)
    busy.restart()
