"""``.partial().expand(prefix=[...])`` with one sensor over all of its batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.operators.describe import DescribeImagesOperator
from airflow_midjourney.sensors.describe import DescribeImagesSensor
from tests.support.airflow_runs import make_dag, run_dag
from tests.support.hurrying import hurried_once

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace


@pytest.mark.parametrize("way", [{}, {"deferrable": True}], ids=["poke", "deferrable"])
def test_each_prefix_is_a_batch_and_one_sensor_waits_for_all(
    way: dict[str, Any],
    bucket: str,
    simulator: RunningSimulator,
    sqlite_place: MetadataPlace,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
    deferrals: list[dict[str, Any]],
) -> None:
    connect(simulator, sqlite_place)
    put_photos("a/", 2)
    put_photos("b/", 1, first=2)
    with make_dag() as dag:
        submit = DescribeImagesOperator.partial(task_id="submit", bucket=bucket).expand(prefix=["a/", "none/", "b/"])
        wait = DescribeImagesSensor(task_id="wait", batch=submit.output, poke_interval=0.2, **way)
        submit >> wait

    # What is sent last must not have its answer before the sensor looks.
    with hurried_once(simulator, lambda: deferrals or not way):
        run = run_dag(dag)

    batches = [f"{dag.dag_id}/submit/{run.run_id}/{index}" for index in range(3)]
    assert run.state == "success"
    assert [run.xcom("submit", map_index=index) for index in range(3)] == batches
    assert run.xcom("wait") == batches
    counts = run.xcom("wait", "counts")
    assert [(one["batch"], one["succeeded"]) for one in counts] == list(zip(batches, (2, 0, 1), strict=True))
    assert bool(deferrals) == bool(way)


def test_max_submissions_holds_over_all_map_indexes(
    bucket: str,
    simulator: RunningSimulator,
    sqlite_place: MetadataPlace,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
) -> None:
    connect(simulator, sqlite_place)
    put_photos("a/", 2)
    put_photos("b/", 2, first=2)
    with make_dag() as dag:
        submit = DescribeImagesOperator.partial(task_id="submit", bucket=bucket, max_submissions=3)
        mapped = submit.expand(prefix=["a/", "b/"])
        wait = DescribeImagesSensor(task_id="wait", batch=mapped.output, poke_interval=0.2)
        mapped >> wait

    run = run_dag(dag)

    assert run.state_of("wait") == "skipped"
    assert simulator.counters()["billed"] == 3
