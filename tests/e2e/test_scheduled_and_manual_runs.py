"""The example DAG as it stands: run by the scheduler, and by hand."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.support.deployment.scenes import DAG, Scene, files_with_the_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import ScheduledRun
    from tests.support.deployment.deployment import Deployment

pytestmark = pytest.mark.core


def test_a_scheduled_run_takes_the_day_that_is_over_and_looks_back_for_late_files(scheduled_run: ScheduledRun) -> None:
    run, day = scheduled_run.run, scheduled_run.day

    assert (run["run_type"], run["state"]) == ("scheduled", "success")
    assert datetime.fromisoformat(run["data_interval_start"]) == day + timedelta(hours=3)
    days = Counter(row["key"].split("/")[1] for row in scheduled_run.rows)
    assert days == {f"{day - timedelta(days=back):%Y-%m-%d}": photos for back, photos in ((0, 4), (1, 2), (2, 1))}
    assert {row["status"] for row in scheduled_run.rows} == {"succeeded"}
    assert scheduled_run.billed_per_image == [1] * 7


def test_a_manual_run_pays_once_and_a_second_one_nothing(
    make_scene: Callable[..., Scene], deployment: Deployment
) -> None:
    scene = make_scene(slots=12, latency=1.0)
    scene.put_photos(20)

    first = scene.start()
    scene.finish(first)

    scene.assert_paid_once(20)
    for row in deployment.rows(scene.prefix):
        assert (row["dag_id"], row["run_id"], row["dag_task_id"]) == (DAG, first, "submit")
        assert row["try_number"] == 1
    for task_id in ("submit", "wait"):
        xcoms = deployment.api.xcoms(DAG, first, task_id)
        assert {key for key in xcoms if not key.startswith("_link_")} == {"return_value", "counts"}
        assert xcoms["return_value"] == f"{DAG}/submit/{first}"

    second = scene.start()
    scene.finish(second)

    scene.assert_paid_once(20)
    assert deployment.api.xcoms(DAG, second, "submit")["counts"]["listed"]["done"] == 20


def test_the_key_is_in_no_log(make_scene: Callable[..., Scene], deployment: Deployment) -> None:
    scene = make_scene(slots=12, latency=1.0)
    scene.put_photos(2)
    scene.finish(scene.start())

    logs = list(deployment.logs())

    assert len(logs) > 8
    assert files_with_the_key(deployment) == []
