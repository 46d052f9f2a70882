"""``describe_partitions``: the day is the partition of the run, of its prefix and of the event that it makes."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.models import DagRun
from airflow.utils.session import create_session
from sqlalchemy import select

from tests.support.airflow_runs import run_dag
from tests.support.example_dags import load_example
from tests.support.partitions import give_partition, partitions_told, scheduled_after

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient

    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace

SUBMIT, WAIT = "describe_images.submit", "describe_images.wait"


@pytest.fixture(autouse=True)
def _three_days(
    sqlite_place: MetadataPlace,
    simulator: RunningSimulator,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
) -> None:
    connect(simulator, sqlite_place)
    for day in (3, 4, 5):
        put_photos(f"incoming/2026-03-0{day}/", 1, first=day)


def test_a_scheduled_run_describes_the_day_before_and_tells_it_as_a_partition(
    bucket: str, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    dag = load_example("describe_partitions")
    info = scheduled_after(dag, datetime(2026, 3, 5, tzinfo=UTC))
    assert (info.run_after, info.partition_key) == (datetime(2026, 3, 5, 3, tzinfo=UTC), "2026-03-04")
    give_partition(monkeypatch, info.partition_key, info.partition_date)

    run = run_dag(dag, {"bucket": bucket}, logical_date=None, run_after=info.run_after)

    assert run.state == "success"
    assert run.rendered(SUBMIT)["prefix"] == "incoming/2026-03-04/"
    assert run.xcom(WAIT, "counts")[0]["succeeded"] == simulator.counters()["billed"] == 1
    assert partitions_told("image_prompts_of_day", run) == ["2026-03-04"]


def test_a_run_by_hand_takes_the_key_that_it_is_given(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    give_partition(monkeypatch, "2026-03-03", None)

    run = run_dag(
        load_example("describe_partitions"),
        {"bucket": bucket},
        logical_date=None,
        run_after=datetime(2026, 3, 20, 12, tzinfo=UTC),
    )

    assert (run.state, run.rendered(SUBMIT)["prefix"]) == ("success", "incoming/2026-03-03/")


@pytest.mark.parametrize(
    ("conf", "prefix"), [({}, "incoming/2026-03-05/"), ({"prefix": "incoming/2026-03-03/"}, "incoming/2026-03-03/")]
)
def test_a_run_by_hand_without_a_key_takes_the_day_before_or_what_it_is_told(
    conf: dict[str, str], prefix: str, bucket: str
) -> None:
    run = run_dag(
        load_example("describe_partitions"),
        {"bucket": bucket, **conf},
        logical_date=None,
        run_after=datetime(2026, 3, 6, 12, tzinfo=UTC),
    )

    assert (run.state, run.rendered(SUBMIT)["prefix"]) == ("success", prefix)
    assert partitions_told("image_prompts_of_day", run) == [None]


def test_airflows_api_takes_the_key_of_a_run_by_hand(api: TestClient, as_user: Callable[..., dict[str, str]]) -> None:
    bag = DagBag(dag_folder=os.devnull)
    bag.bag_dag(load_example("describe_partitions"))
    sync_bag_to_db(bag, "dags-folder", None)

    answer = api.post(
        "/api/v2/dags/describe_partitions/dagRuns",
        json={"partition_key": "2026-01-05", "logical_date": None},
        headers=as_user("admin"),
    )

    assert answer.status_code == 200, answer.text
    with create_session() as session:
        query = select(DagRun.partition_key).where(DagRun.run_id == answer.json()["dag_run_id"])
        assert session.scalars(query).one() == "2026-01-05"
