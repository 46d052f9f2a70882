"""A task that Airflow stops: by its ``execution_timeout``, by a kill before there is a worker, or by hand."""

from __future__ import annotations

import gzip
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator

from airflow_midjourney.describe.storage.objects import ImageStore
from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.operators.describe import DescribeImagesOperator
from airflow_midjourney.operators.scope import ImageScopeOperator
from airflow_midjourney.sensors.describe import DescribeImagesSensor
from tests.support.airflow_runs import Troubles, make_dag, run_dag, submit_and_wait

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.storage.listed_images import ListedImage
    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace

IMAGES = 12


@pytest.fixture(autouse=True)
def _connected(simulator: RunningSimulator, sqlite_place: MetadataPlace, connect: Callable[..., None]) -> None:
    connect(simulator, sqlite_place, max_in_flight=2)


def outcomes(place: MetadataPlace) -> list[str]:
    """Give what every POST came to."""
    database = open_database(place.url, place.names)
    with database.engine.connect() as connection:
        found = list(connection.execute(database.tables.submissions.select()).mappings())
    database.close()
    return [row["outcome"] for row in found]


def test_an_execution_timeout_cuts_no_post_off(
    bucket: str, simulator: RunningSimulator, sqlite_place: MetadataPlace, put_photos: Callable[..., None]
) -> None:
    simulator.set_scenarios(["slow_submit"])
    simulator.change(pause=2.5)
    put_photos("in/", IMAGES)
    troubles = Troubles()
    # Within the ten seconds in which it claims, no more than eight can be sent; each may take five seconds longer.
    submit = {"bucket": bucket, "prefix": "in/", "execution_timeout": timedelta(seconds=20), "retries": 0}

    run = run_dag(submit_and_wait(submit, troubles=troubles))
    sent = outcomes(sqlite_place)

    assert run.state_of("submit") == "failed"
    assert "execution_timeout is nearly over" in str(troubles.failed[0])
    assert "left to submit" in str(troubles.failed[0])
    assert 1 <= len(sent) < IMAGES
    assert set(sent) == {"accepted"}
    assert len(sent) == simulator.counters()["billed"]


def test_the_next_try_after_an_execution_timeout_pays_for_the_rest_alone(
    bucket: str, simulator: RunningSimulator, put_photos: Callable[..., None]
) -> None:
    simulator.set_scenarios(["slow_submit:first=6"])
    simulator.change(pause=1.0)
    put_photos("in/", IMAGES)
    submit = {"bucket": bucket, "prefix": "in/", "execution_timeout": timedelta(seconds=5), "retries": 5}

    run = run_dag(submit_and_wait(submit, retries=5))

    assert run.state == "success"
    assert run.tries_of("submit") > 1
    assert simulator.counters()["billed"] == IMAGES


class KilledWhileItOpens(DescribeImagesOperator):
    """An operator that Airflow tells to stop after its batch is open, and before it has a worker."""

    async def open_batch(self, context: Any, *, plan_only: bool = False) -> Batch:
        batch = await super().open_batch(context, plan_only=plan_only)
        self.on_kill()
        return batch


def test_a_kill_before_there_is_a_worker_is_remembered(
    bucket: str, simulator: RunningSimulator, put_photos: Callable[..., None]
) -> None:
    put_photos("in/", 3)
    troubles = Troubles()
    with make_dag(troubles) as dag:
        KilledWhileItOpens(task_id="submit", bucket=bucket, prefix="in/")

    run = run_dag(dag)

    assert run.state == "failed"
    assert "told to stop" in str(troubles.failed[0])
    assert simulator.counters()["requests"].get("submit", 0) == 0


class _KilledWhileItReads(ImageScopeOperator):
    """Is told to stop with each part of a list that it reads before it has a batch."""

    parts = 0

    async def open_batch(self, context: Any, *, plan_only: bool = False) -> Batch:
        read_part = ImageStore.read_part

        def read_and_stop(store: ImageStore, stored: ListedImage, start: int, size: int) -> bytes:
            type(self).parts += 1
            self.on_kill()
            return read_part(store, stored, start, size)

        with patch.object(ImageStore, "read_part", read_and_stop):
            return await super().open_batch(context, plan_only=plan_only)


class OperatorKilledWhileItReads(_KilledWhileItReads, DescribeImagesOperator):
    """Reads the list to know its bucket."""


class SensorKilledWhileItReads(_KilledWhileItReads, DescribeImagesSensor):
    """Reads the list to know its bucket."""


@pytest.mark.parametrize("name", ["list.csv", "list.csv.gz", "manifest.json"])
@pytest.mark.parametrize("kind", [OperatorKilledWhileItReads, SensorKilledWhileItReads])
def test_a_kill_is_heard_while_a_list_says_which_bucket_it_is_about(
    kind: type[_KilledWhileItReads], name: str, bucket: str, s3: S3Client, simulator: RunningSimulator
) -> None:
    # Of two and a half megabytes, of which a part has one.
    body = b"".join(b"s3://%s/in/%s/%09d.jpg\n" % (bucket.encode(), b"x" * 1_005, number) for number in range(2_600))
    s3.put_object(Bucket=bucket, Key=name, Body=gzip.compress(body, 0) if name.endswith(".gz") else body)
    kind.parts = 0
    troubles = Troubles()
    with make_dag(troubles) as dag:
        kind(task_id="describe", manifest=f"s3://{bucket}/{name}", retries=0)

    run = run_dag(dag)

    assert run.state == "failed"
    assert "told to stop" in str(troubles.failed[0])
    assert kind.parts == 1
    assert simulator.counters()["requests"].get("submit", 0) == 0


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_sensor_without_the_operators_xcom_finds_its_batch(
    deferrable: bool, bucket: str, simulator: RunningSimulator, put_photos: Callable[..., None]
) -> None:
    put_photos("in/", 2)
    with make_dag() as dag:
        submit = DescribeImagesOperator(task_id="submit", bucket=bucket, prefix="in/", do_xcom_push=False)
        wait = DescribeImagesSensor(task_id="wait", batch=submit.output, poke_interval=0.2, deferrable=deferrable)
        submit >> wait

    run = run_dag(dag)

    assert run.xcom("submit") is None
    assert run.state == "success"
    assert run.xcom("wait", "counts")[0]["succeeded"] == 2
    assert simulator.counters()["billed"] == 2


def test_a_sensor_finds_the_batch_of_a_task_that_is_not_just_before_it(
    bucket: str, simulator: RunningSimulator, put_photos: Callable[..., None]
) -> None:
    put_photos("in/", 2)
    with make_dag() as dag:
        submit = DescribeImagesOperator(task_id="submit", bucket=bucket, prefix="in/", do_xcom_push=False)
        gate = EmptyOperator(task_id="gate")
        wait = DescribeImagesSensor(
            task_id="wait", batch="{{ ti.xcom_pull(task_ids='submit') }}", poke_interval=0.2, deferrable=False
        )
        submit >> gate >> wait

    run = run_dag(dag)

    assert run.state == "success"
    assert run.xcom("wait", "counts")[0]["succeeded"] == 2
    assert simulator.counters()["billed"] == 2


def test_a_mapped_sensor_without_an_xcom_waits_for_its_own_index_alone(
    bucket: str, simulator: RunningSimulator, put_photos: Callable[..., None]
) -> None:
    for prefix in ("a/", "b/"):
        put_photos(prefix, 1, first=ord(prefix[0]))
    with make_dag() as dag:
        submit = DescribeImagesOperator.partial(task_id="submit", bucket=bucket).expand(prefix=["a/", "b/"])
        wait = DescribeImagesSensor.partial(task_id="wait", poke_interval=0.2).expand(batch=["", ""])
        submit >> wait

    run = run_dag(dag)

    assert run.state == "success"
    waited_for = [run.xcom("wait", "counts", map_index=index) for index in range(2)]
    assert [len(batches) for batches in waited_for] == [1, 1]
    assert [batches[0]["batch"].rsplit("/", 1)[-1] for batches in waited_for] == ["0", "1"]


def test_a_sensor_after_a_task_that_opened_no_batch_says_so() -> None:
    troubles = Troubles()
    with make_dag(troubles) as dag:
        EmptyOperator(task_id="submit") >> DescribeImagesSensor(task_id="wait", batch="{{ params.get('none') }}")

    run = run_dag(dag)

    assert run.state == "failed"
    assert "no task before this one (submit) has opened a batch" in str(troubles.failed[0])
