"""Backfills over two weeks, with other runs over the same images beside them."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.support.deployment.scenes import DAG, Scene

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.deployment.deployment import Deployment

FIRST_DAY = datetime(2026, 3, 2, 3, tzinfo=UTC)
DAYS = 14
PHOTOS_A_DAY = 4

#: Backfills need a while: each run is two tasks, and each task is a process that starts.
LIMIT = 240.0


@pytest.mark.timeout(600)
def test_two_weeks_beside_a_run_over_the_same_images_and_again(
    make_scene: Callable[..., Scene], deployment: Deployment
) -> None:
    scene = make_scene(slots=12, latency=1.0)
    for number in range(DAYS):
        scene.put_photos(PHOTOS_A_DAY, prefix=f"incoming/{FIRST_DAY + timedelta(days=number):%Y-%m-%d}/")

    backfill(deployment, 0, DAYS - 1)
    beside = scene.start(prefix="incoming/2026-03-")
    runs = wait_for_backfill(deployment)
    scene.finish(beside)

    assert Counter(run["state"] for run in runs) == {"success": DAYS}
    assert_paid_once(scene, deployment)

    backfill(deployment, 3, 4, "--reprocess-behavior", "completed")
    assert tries(wait_for_backfill(deployment), deployment) == {1: DAYS - 2, 2: 2}
    deployment.api.mark_run(DAG, runs[0]["dag_run_id"], "failed")
    backfill(deployment, 0, DAYS - 1, "--reprocess-behavior", "failed")
    assert tries(wait_for_backfill(deployment), deployment) == {1: DAYS - 3, 2: 3}
    moments = {"start_date": FIRST_DAY + timedelta(days=6), "end_date": FIRST_DAY + timedelta(days=7)}
    deployment.api.clear_tasks(DAG, **{name: moment.isoformat() for name, moment in moments.items()})
    assert tries(wait_for_backfill(deployment), deployment) == {1: DAYS - 5, 2: 5}

    assert_paid_once(scene, deployment)


def backfill(deployment: Deployment, first: int, last: int, *options: str) -> None:
    """Start a backfill as the command line does."""
    dates = [f"{FIRST_DAY + timedelta(days=day):%Y-%m-%dT%H:%M:%S+00:00}" for day in (first, last)]
    command = deployment.run_command(
        *("backfill", "create", "--dag-id", DAG, "--from-date", dates[0], "--to-date", dates[1]),
        *("--max-active-runs", "4", *options),
    )
    assert "Traceback" not in command.last_lines(), command.last_lines()


def wait_for_backfill(deployment: Deployment) -> list[dict[str, str]]:
    """Wait until all runs of backfills have ended and give them by their dates.

    Airflow notes some time later that a backfill has ended, and allows no other before.
    """
    deployment.api.wait_for_backfills(DAG, LIMIT)
    runs = deployment.api.runs(DAG, run_type="backfill", order_by="logical_date")
    assert len(runs) == DAYS
    for run in runs:
        deployment.api.wait_for_run(DAG, run["dag_run_id"], LIMIT)
    return deployment.api.runs(DAG, run_type="backfill", order_by="logical_date")


def tries(runs: list[dict[str, str]], deployment: Deployment) -> Counter[int]:
    """Count how often the runs, which all ended well, have begun."""
    assert {run["state"] for run in runs} == {"success"}
    return Counter(int(deployment.api.task(DAG, run["dag_run_id"], "submit")["try_number"]) for run in runs)


def assert_paid_once(scene: Scene, deployment: Deployment) -> None:
    rows = deployment.rows("incoming/2026-03-")
    assert Counter(row["status"] for row in rows) == {"succeeded": DAYS * PHOTOS_A_DAY}, scene.reckoning()
    assert scene.simulator.billed_per_image() == [1] * (DAYS * PHOTOS_A_DAY)
