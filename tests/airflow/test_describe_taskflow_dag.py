"""``describe_taskflow`` and ``describe_folders``: tasks that are functions before, around and after a group."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from airflow.serialization.serialized_objects import DagSerialization

from tests.support.airflow_runs import run_dag
from tests.support.example_dags import load_example

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace

#: At the time of a schedule that a user may give them, and by hand.
MOMENTS = {
    "scheduled": {"logical_date": datetime(2026, 3, 5, tzinfo=UTC)},
    "by hand": {"logical_date": None, "run_after": datetime(2026, 3, 5, 12, tzinfo=UTC)},
}
either_way = pytest.mark.parametrize("moment", list(MOMENTS.values()), ids=list(MOMENTS))


@pytest.fixture(autouse=True)
def _connected(simulator: RunningSimulator, sqlite_place: MetadataPlace, connect: Callable[..., None]) -> None:
    connect(simulator, sqlite_place)


@pytest.mark.parametrize("name", ["describe_taskflow", "describe_folders", "describe_partitions"])
def test_airflow_stores_it_with_all_its_tasks_and_their_order(name: str) -> None:
    dag = load_example(name)

    stored = DagSerialization.from_dict(DagSerialization.to_dict(dag))

    assert {one: task.downstream_task_ids for one, task in stored.task_dict.items()} == {
        one: task.downstream_task_ids for one, task in dag.task_dict.items()
    }
    assert len(stored.task_dict) > 1


@either_way
def test_the_prefix_is_that_of_a_task_and_the_prompts_go_to_another(
    moment: dict[str, Any], bucket: str, simulator: RunningSimulator, put_photos: Callable[..., None]
) -> None:
    put_photos("shoots/2026-03-03/", 1, first=7)
    put_photos("shoots/2026-03-04/", 2)

    run = run_dag(load_example("describe_taskflow"), {"bucket": bucket, "root": "shoots/"}, **moment)

    assert run.state == "success"
    assert run.rendered("describe_images.submit")["prefix"] == "shoots/2026-03-04/"
    assert run.xcom("take_prompts") == simulator.counters()["billed"] == 2


def test_nothing_is_described_where_there_is_no_folder(bucket: str, put_photos: Callable[..., None]) -> None:
    put_photos("elsewhere/", 1)

    run = run_dag(load_example("describe_taskflow"), {"bucket": bucket, "root": "shoots/"})

    states = [run.state_of(task) for task in ("latest_folder", "describe_images.submit", "take_prompts")]
    assert states == ["skipped"] * 3


@either_way
def test_each_folder_is_a_batch_of_its_own_and_one_that_fails_fails_alone(
    moment: dict[str, Any],
    bucket: str,
    simulator: RunningSimulator,
    put_photos: Callable[..., None],
) -> None:
    put_photos("customers/a/", 1)
    simulator.set_scenarios(["banned_image:first=1"])
    put_photos("customers/b/", 2, first=1)

    run = run_dag(load_example("describe_folders"), {"bucket": bucket, "root": "customers/"}, **moment)

    def of_each(task_id: str) -> list[str | None]:
        return [run.state_of(f"one_folder.{task_id}", index) for index in (0, 1)]

    assert run.state == "failed"
    assert of_each("describe_images.submit") == ["success", "success"]
    # dag.test() runs them in any order, so either may have the image that is banned.
    ended = of_each("describe_images.wait")
    assert sorted(map(str, ended)) == ["failed", "success"]
    good = ended.index("success")
    assert of_each("count_prompts")[good] == "success"
    assert of_each("count_prompts")[1 - good] == "upstream_failed"
    assert run.xcom("one_folder.count_prompts", map_index=good) == {
        "folder": f"customers/{'ab'[good]}/",
        "batch": f"describe_folders/one_folder.describe_images.submit/{run.run_id}/{good}",
        "described": (1, 2)[good],
    }
