"""What people do to tasks in the UI: mark them failed, clear them, clear whole runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.deployment.scenes import DAG, Scene

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.deployment.deployment import Deployment


def test_a_task_that_is_marked_failed_stops_and_the_next_run_goes_on(
    make_scene: Callable[..., Scene], deployment: Deployment
) -> None:
    scene = make_scene(slots=6, latency=3.0)
    scene.put_photos(60)
    run = scene.start()
    scene.wait_for_in_flight(6)
    process = scene.process_of(run, "submit")

    deployment.api.mark_task(DAG, run, "submit", "failed")
    scene.wait_until(lambda: not process.is_running(), "the end of the task's process")

    scene.finish(run, "failed")
    rows = deployment.rows(scene.prefix)
    statuses = {row["status"] for row in rows}
    assert len(rows) == 60
    assert "pending" in statuses
    assert statuses <= {"pending", "submitted", "succeeded"}, scene.reckoning()
    assert not [row for row in rows if row["reserved_by"]], "what was reserved is free again"
    accepted = [post for post in deployment.submissions(scene.prefix) if post["outcome"] == "accepted"]
    assert len(accepted) == len(scene.simulator.billed_per_image()), "every answer was written down"

    scene.give_slots(60)
    scene.finish(scene.start())

    scene.assert_paid_once(60)


def test_a_clear_pays_for_nothing_again(make_scene: Callable[..., Scene], deployment: Deployment) -> None:
    scene = make_scene(slots=12, latency=1.0)
    scene.put_photos(8)
    run = scene.start()
    scene.finish(run)

    deployment.api.clear_tasks(DAG, dag_run_id=run, task_ids=["submit"], include_downstream=True)
    scene.finish(run)
    deployment.api.clear_run(DAG, run)
    scene.finish(run)

    scene.assert_paid_once(8)
    assert int(deployment.api.task(DAG, run, "submit")["try_number"]) == 3
    assert deployment.api.xcoms(DAG, run, "submit")["counts"]["billed"] == 8


def test_a_clear_never_whitewashes_a_failure(make_scene: Callable[..., Scene], deployment: Deployment) -> None:
    scene = make_scene(slots=12, latency=1.0)
    scene.simulator.play("banned_image:first=3")
    scene.put_photos(8)
    run = scene.start()
    scene.finish(run, "failed")
    accepted = scene.simulator.counters()["accepted"]
    scene.simulator.play()

    deployment.api.clear_tasks(DAG, dag_run_id=run, task_ids=["wait"])
    scene.finish(run, "failed")
    deployment.api.clear_run(DAG, run)
    scene.finish(run, "failed")

    assert deployment.api.task(DAG, run, "submit")["state"] == "success"
    assert scene.simulator.counters()["accepted"] == accepted
    statuses = [row["status"] for row in deployment.rows(scene.prefix)]
    assert (statuses.count("succeeded"), statuses.count("failed")) == (5, 3)
