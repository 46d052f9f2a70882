"""The sensor: its ways of waiting, its verdict, and what a clear of it does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_midjourney.describe.storage.objects import ImageStore
from airflow_midjourney.describe.table import results
from airflow_midjourney.sensors.describe import DescribeImagesSensor
from tests.support.airflow_runs import Troubles, make_dag, run_dag, submit_and_wait
from tests.support.hurrying import hurried_once

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace

WAYS = {
    "poke": {"mode": "poke"},
    "reschedule": {"mode": "reschedule"},
    "deferrable": {"deferrable": True},
}


@pytest.fixture(autouse=True)
def _connected(simulator: RunningSimulator, sqlite_place: MetadataPlace, connect: Callable[..., None]) -> None:
    connect(simulator, sqlite_place)


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every prefix that is listed, as often as it is."""
    listed, list_page = [], ImageStore.list_page

    def listing(store: ImageStore, bucket: str, prefix: str, **arguments: Any) -> Any:
        listed.append(prefix)
        return list_page(store, bucket, prefix, **arguments)

    monkeypatch.setattr(ImageStore, "list_page", listing)
    return listed


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_alone_it_lists_once_submits_and_waits(
    way: dict[str, Any],
    bucket: str,
    simulator: RunningSimulator,
    put_photos: Callable[..., None],
    pages: list[str],
    deferrals: list[dict[str, Any]],
) -> None:
    put_photos("in/", 3)
    with make_dag() as dag:
        DescribeImagesSensor(task_id="wait", bucket=bucket, prefix="in/", poke_interval=0.2, **way)

    with hurried_once(simulator, lambda: deferrals or "deferrable" not in way):
        run = run_dag(dag)

    assert run.state == "success"
    assert run.xcom("wait", "counts")[0]["succeeded"] == 3
    assert run.xcom("wait") == f"{dag.dag_id}/wait/{run.run_id}"
    assert pages == ["in/"]
    assert bool(deferrals) == ("deferrable" in way)
    assert all(deferral.get("kwargs") is None for deferral in deferrals)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_it_submits_again_what_failed_curably_after_the_operator_had_ended(
    way: dict[str, Any],
    bucket: str,
    simulator: RunningSimulator,
    put_photos: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(results, "RETRY_PAUSE", 0.3)
    simulator.set_scenarios(["task_timeout:first=1"])
    put_photos("in/", 2)

    run = run_dag(submit_and_wait({"bucket": bucket, "prefix": "in/"}, way))

    assert run.state == "success"
    assert run.xcom("wait", "counts")[0]["succeeded"] == 2
    assert run.xcom("wait") == run.xcom("submit")
    assert simulator.counters()["billed"] == 3


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_too_many_failures_fail_it_without_a_retry_and_clearing_changes_nothing(
    way: dict[str, Any], bucket: str, simulator: RunningSimulator, put_photos: Callable[..., None]
) -> None:
    simulator.set_scenarios(["banned_image:first=1"])
    put_photos("in/", 2)
    troubles = Troubles()

    run = run_dag(submit_and_wait({"bucket": bucket, "prefix": "in/"}, way, troubles, retries=2))
    billed = simulator.counters()["billed"]
    states = [run.state_of("wait"), *(run.clear_and_run(task) for task in ("wait", "submit", "wait"))]

    assert run.tries_of("submit") == 2
    assert states == ["failed", "failed", "success", "failed"]
    assert isinstance(troubles.failed[0], AirflowFailException)
    assert re.search(r"/midjourney/batch\?id=\S+$", str(troubles.failed[0]).splitlines()[-1])
    assert "50.0% failed" in str(troubles.failed[0])
    assert "banned: 1" in str(troubles.failed[0])
    assert "image_prompts" in str(troubles.failed[0])
    assert simulator.counters()["billed"] == billed


def test_failures_that_are_allowed_do_not_fail_it(
    bucket: str, simulator: RunningSimulator, put_photos: Callable[..., None]
) -> None:
    simulator.set_scenarios(["banned_image:first=1"])
    put_photos("in/", 2)

    run = run_dag(submit_and_wait({"bucket": bucket, "prefix": "in/"}, {"max_failure_rate": 0.5}))

    assert run.state == "success"


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize(("on_cap", "state"), [("skip", "skipped"), ("finish", "success")])
def test_at_a_cap_it_says_how_many_are_pending(
    way: dict[str, Any],
    on_cap: str,
    state: str,
    bucket: str,
    simulator: RunningSimulator,
    put_photos: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    put_photos("in/", 3)
    submit = {"bucket": bucket, "prefix": "in/", "max_submissions": 2}

    run = run_dag(submit_and_wait(submit, {"on_cap": on_cap, **way}))

    assert run.state_of("wait") == state
    assert "1 of 3 images are still pending" in capsys.readouterr().out
    assert simulator.counters()["billed"] == 2


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_it_gives_up_when_its_time_is_over(
    way: dict[str, Any], bucket: str, simulator: RunningSimulator, put_photos: Callable[..., None]
) -> None:
    simulator.change(latency=3000.0)
    put_photos("in/", 1)
    troubles = Troubles()

    # `dags test` ignores the timeout of a deferral, so this one waits on the worker.
    run = run_dag(submit_and_wait({"bucket": bucket, "prefix": "in/"}, {"timeout": 1.0, **way}, troubles, retries=1))

    assert (run.state_of("wait"), run.tries_of("wait")) == ("failed", 1)
    assert type(troubles.failed[0]).__name__ == "AirflowSensorTimeout"


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_soft_fail_skips_instead(
    way: dict[str, Any], bucket: str, simulator: RunningSimulator, put_photos: Callable[..., None]
) -> None:
    simulator.set_scenarios(["banned_image"])
    put_photos("in/", 1)

    run = run_dag(submit_and_wait({"bucket": bucket, "prefix": "in/"}, {"soft_fail": True, **way}))

    assert run.state_of("wait") == "skipped"


def test_a_batch_that_does_not_exist_is_named() -> None:
    troubles = Troubles()
    with make_dag(troubles) as dag:
        DescribeImagesSensor(task_id="wait", batch="no/such/batch")

    run = run_dag(dag)

    assert run.state == "failed"
    assert "no batch 'no/such/batch'" in str(troubles.failed[0])
    assert "batch=submit.output" in str(troubles.failed[0])


def test_a_batch_that_renders_to_nothing_starts_none_of_its_own(bucket: str, put_photos: Callable[..., None]) -> None:
    put_photos("in/", 1)
    troubles = Troubles()
    with make_dag(troubles) as dag:
        DescribeImagesSensor(task_id="wait", batch="{{ params.get('none') }}", bucket=bucket, prefix="in/")

    run = run_dag(dag)

    assert run.state == "failed"
    assert "batch= is empty" in str(troubles.failed[0])


def test_a_sensor_of_nothing_is_refused_when_the_dag_is_read() -> None:
    with make_dag(), pytest.raises(ValueError, match=r"batch=submit\.output"):
        DescribeImagesSensor(task_id="wait")
