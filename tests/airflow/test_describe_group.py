"""``describe_images_group``: both tasks in one call, wherever a group of tasks may stand."""

from __future__ import annotations

import inspect
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG, Asset, TaskGroup, dag, task, task_group
from airflow.serialization.serialized_objects import DagSerialization

from airflow_midjourney.operators import describe_group
from airflow_midjourney.operators.describe import DescribeImagesOperator
from airflow_midjourney.operators.describe_group import DescribeImagesGroup, describe_images_group
from airflow_midjourney.operators.scope import ImageScopeOperator
from airflow_midjourney.sensors.describe import DescribeImagesSensor
from tests.support.airflow_runs import make_dag, run_dag

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace

FIRST, LAST = "describe_images.submit", "describe_images.wait"


@task
def prefix_of_photos() -> str:
    return "in/"


@task
def prefixes_of_photos() -> list[str]:
    return ["a/", "none/", "b/"]


@task
def taken(batch: Any) -> Any:
    return batch


def chained(dag: DAG) -> dict[str, set[str]]:
    """Give the tasks after each task."""
    return {task_id: set(one.downstream_task_ids) for task_id, one in dag.task_dict.items()}


def test_it_is_chained_as_one_in_a_dag() -> None:
    with make_dag() as dag:
        before, after = task(lambda: None, task_id="before")(), task(lambda: None, task_id="after")()  # type: ignore[call-overload]
        group = describe_images_group(bucket="photos", prefix="in/")
        before >> group >> after

    assert isinstance(group, TaskGroup)
    assert chained(dag) == {"before": {FIRST}, FIRST: {LAST}, LAST: {"after"}, "after": set()}
    assert (group.submit.task_id, group.wait.task_id) == (FIRST, LAST)


def test_it_is_chained_as_one_in_a_dag_of_functions() -> None:
    @dag(f"dag_{uuid.uuid4().hex[:8]}", schedule=None)
    def describing() -> None:
        group = describe_images_group("nightly", bucket="photos", prefix=prefix_of_photos())
        taken(group.output)

    assert chained(describing()) == {
        "prefix_of_photos": {"nightly.submit"},
        "nightly.submit": {"nightly.wait"},
        "nightly.wait": {"taken"},
        "taken": set(),
    }


def test_each_argument_goes_to_its_task() -> None:
    done = Asset("done")
    with make_dag():
        group = describe_images_group(
            bucket="photos",
            prefix="in/",
            max_cost=2.5,
            mj_conn_id="mj_team",
            plan_only=True,
            trigger_rule="all_done",
            max_failure_rate=0.5,
            on_cap="finish",
            timeout=60,
            outlets=[done],
            db_conn_id="prompts",
            deferrable=True,
        )

    submit, wait = group.submit, group.wait
    assert (submit.bucket, submit.prefix, submit.max_cost, submit.mj_conn_id) == ("photos", "in/", 2.5, "mj_team")
    assert (submit.plan_only, submit.trigger_rule, submit.outlets) == (True, "all_done", [])
    assert (wait.max_failure_rate, wait.on_cap, wait.timeout, wait.outlets) == (0.5, "finish", 60, [done])
    assert (wait.bucket, wait.trigger_rule) == (None, "all_success")
    assert [(one.db_conn_id, one.deferrable) for one in (submit, wait)] == [("prompts", True)] * 2


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"max_submision": 3}, "'max_submision'. Did you mean 'max_submissions'?"),
        ({"retries": 3}, "'retries'. Give it to both tasks with default_args={'retries': ...}."),
        ({"batch": "a/b/c"}, "'batch'. The group gives its own batch to its sensor"),
        ({"task_id": "describe"}, "'task_id'. Its tasks are submit and wait; name the group with group_id=."),
        ({"colour": "red"}, "'colour'. Neither the operator nor the sensor has it."),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_an_argument_of_neither_task_is_named_when_the_dag_is_read(wrong: dict[str, Any], told: str) -> None:
    with make_dag() as dag, pytest.raises(TypeError) as caught:
        describe_images_group(bucket="photos", prefix="in/", **wrong)

    assert str(caught.value).startswith(f"describe_images_group() has no argument {told}")
    assert dag.task_dict == {}


def test_its_arguments_are_those_of_operator_and_sensor_with_their_types() -> None:
    def arguments(*classes: type) -> dict[str, str]:
        return {
            name: one.annotation
            for made in classes
            for name, one in inspect.signature(made.__init__).parameters.items()
            if one.kind is one.KEYWORD_ONLY
        }

    def typed(name: str) -> dict[str, str]:
        found = getattr(describe_group, name).__annotations__
        return {one: found[one].__forward_arg__ for one in found}

    (sensors,) = [one for one in DescribeImagesSensor.__mro__ if one.__name__ == "BaseSensorOperator"]
    general = {"trigger_rule": "str", "outlets": "Any | None"}
    operator = arguments(ImageScopeOperator, DescribeImagesOperator)
    sensor = arguments(sensors, DescribeImagesSensor)
    # None for Airflow's default is new in 3.3.
    sensor["timeout"] = sensor["timeout"].removesuffix(" | None")

    both = typed("ForBoth")
    assert both == {name: operator[name] for name in ("db_conn_id", "deferrable")}
    assert typed("ForSubmit") | both | general == operator | general
    assert typed("ForWait") | both | {"batch": sensor["batch"]} == sensor | {
        "db_conn_id": both["db_conn_id"],
        "outlets": general["outlets"],
    }


def test_default_arguments_are_those_of_the_dag_and_of_its_groups() -> None:
    of_dag = {"retries": 1, "pool": "dag", "aws_conn_id": "aws_of_dag"}
    with DAG("defaults", schedule=None, default_args=of_dag), TaskGroup("outer", default_args={"pool": "outer"}):
        inner = describe_images_group(bucket="photos", prefix="in/", default_args={"retries": 5})

    assert inner.group_id == "outer.describe_images"
    assert (inner.submit.task_id, inner.wait.task_id) == ("outer.describe_images.submit", "outer.describe_images.wait")
    assert [(one.retries, one.pool) for one in (inner.submit, inner.wait)] == [(5, "outer")] * 2
    assert inner.submit.aws_conn_id == "aws_of_dag"


def test_its_tasks_may_have_the_names_of_a_dag_without_the_group() -> None:
    with make_dag() as dag:
        group = describe_images_group(bucket="photos", prefix="in/", prefix_group_id=False)

    assert set(dag.task_dict) == {"submit", "wait"} == {group.submit.task_id, group.wait.task_id}


def test_a_group_of_no_images_is_refused_when_the_dag_is_read() -> None:
    with make_dag(), pytest.raises(ValueError, match="Give the operator bucket="):
        describe_images_group(prefix="in/")


def test_a_part_of_its_dag_still_has_its_tasks() -> None:
    with make_dag() as dag:
        described = describe_images_group(bucket="photos", prefix="in/")
        taken(described.output)

    part = dag.partial_subset(LAST, include_upstream=True)

    group = part.task_group.children["describe_images"]
    assert isinstance(group, DescribeImagesGroup)
    assert (group.submit, group.wait) == (part.get_task(FIRST), part.get_task(LAST))


def test_airflow_stores_it_as_a_group_like_any_other() -> None:
    with make_dag() as dag:
        described = describe_images_group(bucket="photos", prefix=prefix_of_photos(), tooltip="All of a day")
        taken(described.output)

    stored = DagSerialization.from_dict(DagSerialization.to_dict(dag))

    group = stored.task_group.children["describe_images"]
    assert (set(group.children), group.tooltip) == ({FIRST, LAST}, "All of a day")
    assert chained(stored) == chained(dag)


def test_a_task_after_it_has_the_batch_when_the_prompts_are_there(
    bucket: str,
    simulator: RunningSimulator,
    sqlite_place: MetadataPlace,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
) -> None:
    connect(simulator, sqlite_place)
    put_photos("in/", 2)
    with make_dag() as dag:
        described = describe_images_group(bucket=bucket, prefix=prefix_of_photos(), poke_interval=0.2)
        taken(described.output)

    run = run_dag(dag)

    assert run.state == "success"
    assert run.xcom("taken") == run.xcom(FIRST) == f"{dag.dag_id}/{FIRST}/{run.run_id}"
    assert run.xcom(LAST, "counts")[0]["succeeded"] == simulator.counters()["billed"] == 2


def test_each_prefix_may_have_a_group_of_its_own(
    bucket: str,
    simulator: RunningSimulator,
    sqlite_place: MetadataPlace,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
) -> None:
    connect(simulator, sqlite_place)
    put_photos("a/", 2)
    put_photos("b/", 1, first=2)
    with make_dag() as dag:

        @task_group
        def of_one(prefix: str) -> None:
            described = describe_images_group(bucket=bucket, prefix=prefix, on_empty="finish", deferrable=True)
            taken(described.output)

        of_one.expand(prefix=prefixes_of_photos())

    run = run_dag(dag)

    assert run.state == "success"
    batches = [f"{dag.dag_id}/of_one.{FIRST}/{run.run_id}/{index}" for index in range(3)]
    assert [run.xcom("of_one.taken", map_index=index) for index in range(3)] == batches
    counts = [run.xcom(f"of_one.{LAST}", "counts", map_index=index)[0]["succeeded"] for index in range(3)]
    assert counts == [2, 0, 1]


def test_it_takes_what_a_dag_gives_it_by_hand(
    bucket: str,
    simulator: RunningSimulator,
    sqlite_place: MetadataPlace,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
) -> None:
    connect(simulator, sqlite_place)
    put_photos("in/", 3)
    with DAG(
        f"dag_{uuid.uuid4().hex[:8]}",
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        params={"prefix": "in/", "most": 2},
        default_args={"retries": 1, "retry_delay": timedelta(0)},
    ) as dag:
        describe_images_group(
            bucket=bucket,
            prefix="{{ params.prefix }}",
            max_submissions="{{ params.most }}",
            on_cap="finish",
            poke_interval=0.2,
        )

    run = run_dag(dag)

    assert run.state == "success"
    assert simulator.counters()["billed"] == 2
