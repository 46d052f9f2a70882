"""``describe_on_arrival``: events of an asset in, prompts and an event with counts out."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.models.dag import DagModel
from airflow.sdk import DAG, Asset, task
from airflow.utils.session import create_session
from sqlalchemy import update

from airflow_midjourney import arrivals
from tests.support.airflow_runs import run_dag
from tests.support.asset_events import events_of, forget_events, hand_over, is_queued, post_event
from tests.support.example_dags import load_example

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace


@pytest.fixture
def dag() -> Iterator[DAG]:
    """The DAG as Airflow knows it, unpaused."""
    forget_events()
    loaded = load_example("describe_on_arrival")
    bag = DagBag(dag_folder=os.devnull)
    bag.bag_dag(loaded)
    sync_bag_to_db(bag, "dags-folder", None)
    with create_session() as session:
        session.execute(update(DagModel).where(DagModel.dag_id == loaded.dag_id).values(is_paused=False))
    yield loaded
    forget_events()


def test_all_events_since_the_last_run_are_described_at_once(
    dag: DAG,
    postgres_place: MetadataPlace,
    bucket: str,
    simulator: RunningSimulator,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect(simulator, postgres_place)
    put_photos("in/", 5)
    post_event("incoming_photos", bucket=bucket, key="in/000.jpg")
    post_event("incoming_photos", bucket=bucket, keys=["in/001.jpg", "in/000.jpg"])
    post_event("incoming_photos", person="materialized it by hand")

    assert is_queued(dag)
    hand_over(monkeypatch, "incoming_photos")
    run = run_dag(dag)

    assert (run.state, run.state_of("submit", 0), run.state_of("wait")) == ("success", "success", "success")
    (counts,) = run.xcom("wait", "counts")
    assert (counts["succeeded"], counts["rejected"]) == (2, 0)
    assert run.xcom("buckets") == [bucket]
    assert simulator.counters()["billed"] == 2


def test_several_buckets_and_more_keys_than_one_batch_takes_are_batches_of_one_run(
    dag: DAG,
    sqlite_place: MetadataPlace,
    s3: S3Client,
    bucket: str,
    simulator: RunningSimulator,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect(simulator, sqlite_place)
    monkeypatch.setattr(arrivals, "MOST_KEYS", 2)
    put_photos("in/", 3)
    other = f"a-{bucket}"
    s3.create_bucket(Bucket=other)
    strange = '<it\'s> & "{{ params }}" é.jpg'
    for key, source in ((strange, "in/000.jpg"), ("b.jpg", "in/001.jpg")):
        s3.copy_object(Bucket=other, Key=key, CopySource={"Bucket": bucket, "Key": source})
    post_event("incoming_photos", bucket=bucket, keys=["in/000.jpg", "in/001.jpg", "in/002.jpg"])
    post_event("incoming_photos", bucket=other, key=strange)

    hand_over(monkeypatch, "incoming_photos")
    run = run_dag(dag)

    assert run.xcom("buckets") == [other, bucket, bucket]
    assert run.state == "success"
    assert [one["succeeded"] for one in run.xcom("wait", "counts")] == [1, 2, 1]
    assert simulator.counters()["billed"] == 3
    (extra,) = events_of("image_prompts", run)
    assert extra["batches"] == [run.xcom("submit", map_index=index) for index in range(3)]
    assert (extra["succeeded"], extra["shared"], extra["billed"]) == (4, 1, 3)


def test_by_hand_the_keys_come_from_the_parameters(
    dag: DAG,
    sqlite_place: MetadataPlace,
    bucket: str,
    simulator: RunningSimulator,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
) -> None:
    connect(simulator, sqlite_place)
    put_photos("in/", 2)

    run = run_dag(dag, {"bucket": bucket, "keys": ["in/001.jpg"]})

    assert run.xcom("wait", "counts")[0]["succeeded"] == 1
    assert simulator.counters()["billed"] == 1


def test_without_anything_that_arrived_nothing_is_done(
    dag: DAG, sqlite_place: MetadataPlace, simulator: RunningSimulator, connect: Callable[..., None]
) -> None:
    connect(simulator, sqlite_place)

    run = run_dag(dag)

    assert (run.state_of("submit"), run.state_of("wait")) == ("skipped", "skipped")
    assert simulator.counters()["requests"] == {}


def test_a_dag_that_is_scheduled_on_the_prompts_sees_what_came_of_them(
    dag: DAG,
    sqlite_place: MetadataPlace,
    bucket: str,
    simulator: RunningSimulator,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[dict[str, Any]] = []
    with DAG(f"consumer_{uuid.uuid4().hex[:8]}", schedule=[Asset("image_prompts")]) as consumer:

        @task
        def read(triggering_asset_events: Any = None) -> None:
            seen.extend(event.extra for of_asset in triggering_asset_events.values() for event in of_asset)

        read()
    connect(simulator, sqlite_place)
    put_photos("in/", 1)
    producer = run_dag(dag, {"bucket": bucket, "keys": ["in/000.jpg", "in/none.jpg"]})

    hand_over(monkeypatch, "image_prompts")
    assert run_dag(consumer).state == "success"

    (extra,) = seen
    assert extra["batches"] == [producer.xcom("submit", map_index=0)]
    assert (extra["succeeded"], extra["rejected"], extra["pending"], extra["billed"]) == (1, 1, 0, 1)
