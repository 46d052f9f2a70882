"""The operator: what it refuses, what it leaves behind, and that a second try costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_midjourney.describe.storage.objects import ImageStore
from airflow_midjourney.operators.describe import DescribeImagesOperator
from tests.support.airflow_runs import Troubles, make_dag, run_dag, submit_and_wait
from tests.support.hurrying import hurried_once

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import DAG

    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace


@pytest.fixture(autouse=True)
def _connected(simulator: RunningSimulator, sqlite_place: MetadataPlace, connect: Callable[..., None]) -> None:
    connect(simulator, sqlite_place, price=0.5, currency="USD")


def submit_only(troubles: Troubles | None = None, **arguments: Any) -> DAG:
    with make_dag(troubles, retries=1) as dag:
        DescribeImagesOperator(task_id="submit", **arguments)
    return dag


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prefix": ""}, "A prefix is empty after templating"),
        ({"prefix": "{{ params.get('nothing') }}"}, "A prefix is empty after templating"),
        ({"prefix": ["in/", " "]}, "whole_bucket=True"),
        ({}, "Give prefix= or keys="),
        ({"prefix": "in/", "bucket": "{{ params.get('nothing') }}"}, "The bucket is empty after templating"),
        ({"prefix": "in/", "keys": ["in/000.jpg"]}, "either prefix= or keys="),
        ({"keys": [f"{number}.jpg" for number in range(1001)]}, "1001 keys, at most 1000"),
        ({"keys": "['not', 'json']"}, "tojson"),
        ({"prefix": "in/", "bot_type": "MIDJOURNEY"}, "bot_type must be one of MID_JOURNEY, NIJI_JOURNEY"),
        ({"prefix": "in/", "max_submissions": "many"}, "max_submissions must be a whole number"),
        ({"prefix": "in/", "max_submissions": -1}, "max_submissions must not be negative"),
        ({"prefix": "in/", "priority": "urgent"}, "priority must be a whole number"),
        ({"prefix": "in/", "priority": -1}, "priority must be from 0 to 1000"),
    ],
)
def test_arguments_that_make_no_sense_fail_at_once(
    arguments: dict[str, Any], message: str, bucket: str, simulator: RunningSimulator
) -> None:
    troubles = Troubles()

    run = run_dag(submit_only(troubles, **{"bucket": bucket, **arguments}))

    assert (run.state_of("submit"), run.tries_of("submit"), troubles.retried) == ("failed", 1, [])
    assert isinstance(troubles.failed[0], AirflowFailException)
    assert message in str(troubles.failed[0])
    assert simulator.counters()["billed"] == 0


@pytest.mark.parametrize("prefix", [None, ""])
def test_the_whole_bucket_is_taken_when_that_is_said(
    prefix: str | None, bucket: str, simulator: RunningSimulator, put_photos: Callable[..., None]
) -> None:
    put_photos("", 1)
    put_photos("in/", 1, first=1)

    run = run_dag(submit_and_wait({"bucket": bucket, "prefix": prefix, "whole_bucket": True}))

    assert run.state == "success"
    assert simulator.counters()["billed"] == 2


def test_keys_may_be_text_that_a_template_made(
    bucket: str, simulator: RunningSimulator, put_photos: Callable[..., None]
) -> None:
    put_photos("in/", 3)

    run = run_dag(
        submit_and_wait({"bucket": bucket, "keys": "{{ ['in/000.jpg', 'in/002.jpg', 'in/gone.jpg'] | tojson }}"})
    )

    counts = run.xcom("wait", "counts")[0]
    assert (counts["succeeded"], counts["rejected"], counts["reasons"]) == (2, 1, {"missing": 1})
    assert simulator.counters()["billed"] == 2


def test_a_plan_submits_and_writes_nothing_and_its_sensor_is_skipped(
    bucket: str,
    simulator: RunningSimulator,
    put_photos: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    put_photos("in/", 3)

    run = run_dag(submit_and_wait({"bucket": bucket, "prefix": "in/", "plan_only": True}))

    log = capsys.readouterr().out
    assert "Plan only, nothing was submitted: 3 images would be, at most, for 1.5 USD." in log

    assert run.xcom("submit", "counts")["listed"]["new"] == 3
    assert (run.state_of("submit"), run.state_of("wait")) == ("success", "skipped")
    assert "is only a plan: nothing was submitted." in log
    assert simulator.counters()["billed"] == 0


def test_the_next_try_goes_on_where_a_killed_one_stopped(
    bucket: str,
    simulator: RunningSimulator,
    put_photos: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put_photos("in/", 6)
    troubles = Troubles()
    read, reads = ImageStore.read, []

    def read_until_killed(store: ImageStore, image: Any, *facts: Any, **more: Any) -> Any:
        reads.append(image.key)
        if len(reads) == 4:
            raise MemoryError("killed")
        return read(store, image, *facts, **more)

    monkeypatch.setattr(ImageStore, "read", read_until_killed)

    run = run_dag(submit_and_wait({"bucket": bucket, "prefix": "in/"}, troubles=troubles, retries=1))

    assert [type(error) for error in troubles.retried] == [MemoryError]
    assert (run.tries_of("submit"), run.state) == (2, "success")
    assert run.xcom("submit", "counts")["billed"] == 6
    assert simulator.counters()["billed"] == 6


def test_clearing_it_alone_keeps_the_batch_and_pays_for_what_is_new_only(
    bucket: str, simulator: RunningSimulator, put_photos: Callable[..., None]
) -> None:
    put_photos("in/", 2)
    run = run_dag(submit_and_wait({"bucket": bucket, "prefix": "in/"}))
    batch = run.xcom("submit")

    assert run.clear_and_run("submit") == "success"
    again = simulator.counters()["billed"]
    put_photos("in/", 1, first=2)
    assert run.clear_and_run("submit") == "success"

    assert run.xcom("submit") == batch
    assert again == 2
    assert simulator.counters()["billed"] == 3


def test_it_frees_the_worker_while_the_account_has_no_room(
    bucket: str,
    sqlite_place: MetadataPlace,
    simulator: RunningSimulator,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
    deferrals: list[dict[str, Any]],
) -> None:
    connect(simulator, sqlite_place, max_in_flight=1)
    put_photos("in/", 3)

    with hurried_once(simulator, lambda: deferrals):
        run = run_dag(submit_and_wait({"bucket": bucket, "prefix": "in/", "deferrable": True}))

    assert run.state == "success"
    assert deferrals
    assert {deferral["method_name"] for deferral in deferrals} == {"execute_complete"}
    assert all(deferral.get("kwargs") is None for deferral in deferrals)
    assert simulator.counters()["billed"] == 3
