"""The last line of a task that failed: where its images are, by reason."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowRescheduleException,
    AirflowSkipException,
    AirflowTaskTimeout,
)

from airflow_midjourney.links import IMAGES_BY_REASON, pages_line
from airflow_midjourney.operators.describe import DescribeImagesOperator
from airflow_midjourney.sensors.describe import DescribeImagesSensor
from tests.support.airflow_runs import Troubles, make_dag, run_dag, submit_and_wait

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace

WAYS = {
    "poke": {"mode": "poke"},
    "reschedule": {"mode": "reschedule"},
    "deferrable": {"deferrable": True},
}

CONTEXT: Any = {
    "ti": SimpleNamespace(dag_id="daily", run_id="a run", task_id="task", map_index=2, try_number=1),
    "run_id": "a run",
}

#: As the scheduler writes it down where a deferral has taken too long.
TIME_IS_UP: Any = ("__fail__", {"error": "Trigger timeout"}, CONTEXT)


def pages_of(error: BaseException) -> list[str]:
    """Give the batches whose pages the last line leads to, after having seen that no other line does."""
    *before, last = str(error).splitlines()
    assert before
    assert not [line for line in before if "/midjourney/" in line]
    words, addresses = last[: len(IMAGES_BY_REASON)], last[len(IMAGES_BY_REASON) :].split()
    assert words == IMAGES_BY_REASON
    assert {urlsplit(address).path for address in addresses} == {"/midjourney/batch"}
    return [parse_qs(urlsplit(address).query)["id"][0] for address in addresses]


@pytest.fixture
def refusing(
    simulate: Callable[..., RunningSimulator], sqlite_place: MetadataPlace, connect: Callable[..., None]
) -> None:
    connect(simulate(key="the-right-key"), sqlite_place, key="another-key")


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.usefixtures("refusing")
def test_a_sensor_whose_key_is_refused_names_its_page(
    way: dict[str, Any], bucket: str, put_photos: Callable[..., None]
) -> None:
    put_photos("in/", 2)
    troubles = Troubles()
    with make_dag(troubles) as dag:
        DescribeImagesSensor(task_id="wait", bucket=bucket, prefix="in/", poke_interval=0.2, **way)

    run = run_dag(dag)

    assert "HTTP 401" in str(troubles.failed[0])
    assert pages_of(troubles.failed[0]) == [f"{dag.dag_id}/wait/{run.run_id}"]


@pytest.mark.usefixtures("refusing")
def test_an_operator_whose_key_is_refused_names_its_page(bucket: str, put_photos: Callable[..., None]) -> None:
    put_photos("in/", 2)
    troubles = Troubles()

    run = run_dag(submit_and_wait({"bucket": bucket, "prefix": "in/"}, troubles=troubles))

    assert pages_of(troubles.failed[0]) == [f"{run.dag.dag_id}/submit/{run.run_id}"]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_sensor_whose_time_is_over_names_its_page(
    way: dict[str, Any],
    bucket: str,
    simulator: RunningSimulator,
    sqlite_place: MetadataPlace,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
) -> None:
    connect(simulator, sqlite_place)
    simulator.change(latency=3000.0)
    put_photos("in/", 1)
    troubles = Troubles()

    run = run_dag(submit_and_wait({"bucket": bucket, "prefix": "in/"}, {"timeout": 1.0, **way}, troubles))

    assert type(troubles.failed[0]).__name__ == "AirflowSensorTimeout"
    assert pages_of(troubles.failed[0]) == [f"{run.dag.dag_id}/submit/{run.run_id}"]


def test_a_bad_verdict_over_several_batches_names_the_bad_ones_alone(
    bucket: str,
    simulator: RunningSimulator,
    sqlite_place: MetadataPlace,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
) -> None:
    connect(simulator, sqlite_place)
    simulator.set_scenarios(["banned_image:first=1"])
    put_photos("bad/", 1)
    put_photos("good/", 1, first=5)
    troubles = Troubles()
    with make_dag(troubles) as dag:
        first = DescribeImagesOperator(task_id="first", bucket=bucket, prefix="bad/")
        second = DescribeImagesOperator(task_id="second", bucket=bucket, prefix="good/")
        both = [first.output, second.output]
        first >> second >> DescribeImagesSensor(task_id="wait", batch=both, poke_interval=0.2)

    run = run_dag(dag)

    assert pages_of(troubles.failed[0]) == [f"{dag.dag_id}/first/{run.run_id}"]


@pytest.mark.parametrize(
    ("arguments", "batch_ids"),
    [
        ({"batch": "daily/submit/a run"}, ["daily/submit/a run"]),
        ({"batch": ["daily/submit/a run/1", "daily/submit/a run/2"]}, ["daily/submit/a run/1", "daily/submit/a run/2"]),
        ({"bucket": "photos", "prefix": "in/"}, ["daily/task/a%20run/2"]),
    ],
)
def test_the_timeout_of_a_deferral_names_the_pages(arguments: dict[str, Any], batch_ids: list[str]) -> None:
    sensor = DescribeImagesSensor(task_id="task", deferrable=True, **arguments)

    with pytest.raises(AirflowException) as raised:
        sensor.resume_execution(*TIME_IS_UP)

    assert type(raised.value).__name__ == "AirflowSensorTimeout"
    assert pages_of(raised.value) == batch_ids


def test_the_timeout_of_an_operators_deferral_names_its_page() -> None:
    operator = DescribeImagesOperator(task_id="task", bucket="photos", prefix="in/", deferrable=True)

    with pytest.raises(AirflowException) as raised:
        operator.resume_execution(*TIME_IS_UP)

    assert pages_of(raised.value) == ["daily/task/a%20run/2"]


@pytest.mark.parametrize(
    ("soft_fail", "error"), [(False, AirflowTaskTimeout), (True, AirflowSkipException)], ids=["failed", "soft_fail"]
)
def test_an_execution_timeout_names_the_page_though_it_is_no_plain_exception(
    soft_fail: bool, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    sensor = DescribeImagesSensor(task_id="task", batch="daily/submit/a run", soft_fail=soft_fail)

    with pytest.raises(error) as raised:
        execute_where_a_poke_raises(AirflowTaskTimeout("Timeout, PID: 7"), sensor, monkeypatch)

    assert pages_of(raised.value) == ["daily/submit/a run"]


def test_a_skip_of_its_own_and_a_wait_are_left_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (AirflowSkipException("Only a plan."), AirflowRescheduleException("tomorrow")):
        sensor = DescribeImagesSensor(task_id="task", batch="daily/submit/a run")
        with pytest.raises(type(error)) as raised:
            execute_where_a_poke_raises(error, sensor, monkeypatch)
        assert "/midjourney/" not in str(raised.value)


def test_a_batch_that_is_not_in_the_table_has_no_page(
    simulator: RunningSimulator, sqlite_place: MetadataPlace, connect: Callable[..., None]
) -> None:
    connect(simulator, sqlite_place)
    troubles = Troubles()
    with make_dag(troubles) as dag:
        DescribeImagesSensor(task_id="wait", batch="no/such/batch")

    run_dag(dag)

    assert "no batch 'no/such/batch'" in str(troubles.failed[0])
    assert "/midjourney/" not in str(troubles.failed[0])


def test_of_very_many_pages_a_few_are_named_and_the_rest_counted() -> None:
    line = pages_line([f"daily/submit/run/{number}" for number in range(300)])

    assert line.count("/midjourney/batch?") == 10
    assert line.endswith(" and 290 more")


def execute_where_a_poke_raises(
    error: BaseException, sensor: DescribeImagesSensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def begun(self: Any, context: Any) -> None: ...

    def poke(self: Any, context: Any) -> bool:
        raise error

    monkeypatch.setattr(DescribeImagesSensor, "_begin", begun)
    monkeypatch.setattr(DescribeImagesSensor, "poke", poke)
    sensor.execute(CONTEXT)
