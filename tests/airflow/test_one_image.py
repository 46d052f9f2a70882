"""``MidjourneyHook.describe_image``: one image for a notebook or a function, through the table, paid for once."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import task
from sqlalchemy import create_engine, text

from airflow_midjourney import one_image
from airflow_midjourney.describe.model.errors import (
    DescribeError,
    ImageUndescribedError,
    ImageUnfinishedError,
    SettingsError,
)
from airflow_midjourney.describe.table.orders.pauses import pause_accounts
from airflow_midjourney.hooks.image_prompts import open_metadata
from airflow_midjourney.hooks.midjourney import MidjourneyHook
from airflow_midjourney.testing.simulator.settings import DialectName
from tests.support.airflow_runs import make_dag, run_dag

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace


def rows_of(place: MetadataPlace, columns: str, table: str = "image_prompts") -> list[tuple[Any, ...]]:
    engine = create_engine(place.url)
    name = f"{place.names.schema}.{table}" if place.names.schema else table
    with engine.connect() as connection:
        rows = [tuple(row) for row in connection.execute(text(f"SELECT {columns} FROM {name} ORDER BY 1"))]
    engine.dispose()
    return rows


def submits(simulator: RunningSimulator) -> int:
    number: int = simulator.counters()["requests"].get("submit", 0)
    return number


#: Where the dialects are described to: what the databases do differently, tests of the table and the engine show.
ON_SQLITE = frozenset({DialectName.NOVICEZK})


@pytest.mark.parametrize("dialect", list(DialectName))
def test_an_image_gives_its_prompts_and_is_paid_for_once(
    dialect: DialectName,
    request: pytest.FixtureRequest,
    bucket: str,
    simulate: Callable[..., RunningSimulator],
    connect: Callable[..., None],
    put_photos: Callable[..., None],
) -> None:
    place: MetadataPlace = request.getfixturevalue("sqlite_place" if dialect in ON_SQLITE else "postgres_place")
    simulator = simulate(dialect=dialect, latency=0.2, poll_interval=0.1, key="a-key-of-tests")
    connect(simulator, place, key="a-key-of-tests", auth="token" if dialect == DialectName.TRUEAI else "bearer")
    put_photos("in/", 2)

    first = MidjourneyHook().describe_image(f"s3://{bucket}/in/000.jpg")
    again = MidjourneyHook().describe_image(f"s3://{bucket}/in/000.jpg")

    assert len(first) == 4
    assert all(first)
    assert again == first
    assert rows_of(place, "key, status, prompt_1, dag_id") == [("in/000.jpg", "succeeded", first[0], None)]
    assert simulator.counters()["billed"] == 1


@pytest.fixture
def of_photo(
    bucket: str,
    sqlite_place: MetadataPlace,
    simulator: RunningSimulator,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
) -> str:
    """The address of one photo, with everything connected to describe it."""
    connect(simulator, sqlite_place)
    put_photos("in/", 3)
    return f"s3://{bucket}/in/000.jpg"


def test_it_may_be_called_where_an_event_loop_is_running(of_photo: str, simulator: RunningSimulator) -> None:
    async def cell_of_a_notebook() -> tuple[str, ...]:
        return MidjourneyHook().describe_image(of_photo)

    assert len(asyncio.run(cell_of_a_notebook())) == 4
    assert simulator.counters()["billed"] == 1


def test_a_function_describes_images_under_the_name_of_its_task(
    of_photo: str, sqlite_place: MetadataPlace, simulator: RunningSimulator
) -> None:
    with make_dag() as dag:

        @task
        def captions(uris: list[str]) -> list[str]:
            return [MidjourneyHook().describe_image(uri)[0] for uri in uris]

        captions([of_photo, of_photo.replace("000", "001")])

    run = run_dag(dag)

    assert run.state == "success"
    rows = rows_of(sqlite_place, "key, prompt_1, dag_id, run_id, dag_task_id")
    lineage = (dag.dag_id, run.run_id, "captions")
    assert [row[2:] for row in rows] == [lineage, lineage]
    assert [row[1] for row in rows] == run.xcom("captions")
    batches = [batch for (batch,) in rows_of(sqlite_place, "batch_id", "image_prompts_batches")]
    assert len(set(batches)) == 2
    assert all(batch.startswith(f"{dag.dag_id}/captions/") for batch in batches)
    assert simulator.counters()["billed"] == 2


def test_what_is_not_there_in_time_is_found_by_the_next_call(of_photo: str, simulator: RunningSimulator) -> None:
    with pytest.raises(ImageUnfinishedError, match="Call again to go on waiting: nothing is sent twice") as caught:
        MidjourneyHook().describe_image(of_photo, timeout=0)

    assert (caught.value.status, caught.value.retry_helps, caught.value.image_uri) == ("submitted", True, of_photo)
    assert len(MidjourneyHook().describe_image(of_photo)) == 4
    assert simulator.counters()["billed"] == 1


def test_an_image_that_failed_is_told_with_its_reason_and_not_sent_again(
    of_photo: str, simulator: RunningSimulator
) -> None:
    simulator.set_scenarios(["banned_image:first=1"])
    billed = []
    for _ in range(2):
        with pytest.raises(ImageUndescribedError, match="redescribe='failed', sends it again") as caught:
            MidjourneyHook().describe_image(of_photo)
        assert (caught.value.status, caught.value.reason) == ("failed", "banned")
        assert not caught.value.retry_helps
        billed.append(submits(simulator))

    assert billed == [1, 1]


@pytest.mark.parametrize(
    ("body", "reason"), [(None, "missing"), (b"no picture at all", "unsupported_format"), (b"", "empty")]
)
def test_an_image_that_cannot_be_sent_is_told_with_its_reason(
    body: bytes | None, reason: str, of_photo: str, bucket: str, s3: S3Client, simulator: RunningSimulator
) -> None:
    if body is not None:
        s3.put_object(Bucket=bucket, Key="in/other.jpg", Body=body)

    with pytest.raises(ImageUndescribedError) as caught:
        MidjourneyHook().describe_image(f"s3://{bucket}/in/other.jpg")

    assert (caught.value.status, caught.value.reason) == ("rejected", reason)
    assert simulator.counters()["billed"] == 0


def test_allowed_uris_hold(
    of_photo: str, sqlite_place: MetadataPlace, simulator: RunningSimulator, connect: Callable[..., None]
) -> None:
    connect(simulator, sqlite_place, allowed_uris=["s3://public/*"])

    with pytest.raises(ImageUndescribedError) as caught:
        MidjourneyHook().describe_image(of_photo)

    assert (caught.value.status, caught.value.reason) == ("rejected", "not_allowed")
    assert simulator.counters()["billed"] == 0


def test_a_daily_cap_holds(
    of_photo: str, sqlite_place: MetadataPlace, simulator: RunningSimulator, connect: Callable[..., None]
) -> None:
    connect(simulator, sqlite_place, max_submissions_per_day=1)
    MidjourneyHook().describe_image(of_photo)

    with pytest.raises(ImageUnfinishedError, match="daily cap of connection 'midjourney_default' is reached"):
        MidjourneyHook().describe_image(of_photo.replace("000", "001"))

    assert simulator.counters()["billed"] == 1


def test_hours_of_the_connection_hold_and_are_not_waited_for(
    of_photo: str, sqlite_place: MetadataPlace, simulator: RunningSimulator, connect: Callable[..., None]
) -> None:
    hours = [datetime.now(UTC) + timedelta(hours=number) for number in (3, 4)]
    opens, closes = (f"{moment:%H:00}" for moment in hours)
    connect(simulator, sqlite_place, submit_window=f"{opens}-{closes} UTC")

    with pytest.raises(ImageUnfinishedError, match=f"submits again at {opens} UTC") as caught:
        MidjourneyHook().describe_image(of_photo)

    assert caught.value.status == "pending"
    assert submits(simulator) == 0


def test_a_paused_account_is_told(of_photo: str, sqlite_place: MetadataPlace, simulator: RunningSimulator) -> None:
    hook = MidjourneyHook()
    open_metadata().write_here(pause_accounts, [hook.account()], "anna")

    with pytest.raises(ImageUnfinishedError, match="account of connection 'midjourney_default' is paused"):
        hook.describe_image(of_photo, timeout=0)

    assert submits(simulator) == 0


def test_an_interrupt_leaves_no_submission_without_its_record(
    of_photo: str,
    sqlite_place: MetadataPlace,
    simulate: Callable[..., RunningSimulator],
    connect: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    simulator = simulate(latency=0.2, pause=1.0)
    simulator.set_scenarios(["slow_submit:first=1"])
    connect(simulator, sqlite_place)

    class Interrupted(ThreadPoolExecutor):
        """Ctrl-C in a caller that waits while the POST is on its way."""

        def submit(self, *arguments: Any, **options: Any) -> Future[Any]:  # type: ignore[override]
            future = super().submit(*arguments, **options)

            def interrupt() -> None:
                while not submits(simulator):
                    time.sleep(0.01)
                raise KeyboardInterrupt

            future.result = interrupt  # type: ignore[assignment, method-assign]
            return future

    monkeypatch.setattr(one_image, "ThreadPoolExecutor", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        MidjourneyHook().describe_image(of_photo)
    monkeypatch.undo()

    assert rows_of(sqlite_place, "status") == [("submitted",)]
    connect(simulator, sqlite_place)
    assert len(MidjourneyHook().describe_image(of_photo)) == 4
    assert simulator.counters()["billed"] == 1


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("photos/in/a.jpg", "'photos/in/a.jpg' is no address of an object; write s3://bucket/key"),
        ("s3://photos", "'s3://photos' is no address of an object; write s3://bucket/key"),
        ("s3:/photos/a.jpg", "'s3:/photos/a.jpg' lacks a slash; write s3://bucket/key"),
        ("https://cdn.example.com/a.jpg?sig=private", "'https://cdn.example.com/a.jpg' is a link that does not say"),
    ],
)
def test_what_is_no_address_is_refused_with_what_to_write(address: str, told: str, of_photo: str) -> None:
    with pytest.raises(SettingsError) as caught:
        MidjourneyHook().describe_image(address)

    assert str(caught.value).startswith(told)
    assert "private" not in str(caught.value)


def test_other_mistakes_are_typed_errors_before_anything_is_sent(of_photo: str, simulator: RunningSimulator) -> None:
    with pytest.raises(SettingsError, match="bot_type must be one of"):
        MidjourneyHook().describe_image(of_photo, bot_type="BOT")
    with pytest.raises(SettingsError, match="no connection 'elsewhere'"):
        MidjourneyHook().describe_image(of_photo, db_conn_id="elsewhere")
    with pytest.raises(SettingsError, match="no connection 'mj_elsewhere'"):
        MidjourneyHook("mj_elsewhere").describe_image(of_photo)
    with pytest.raises(DescribeError, match="no connection 'aws_elsewhere'"):
        MidjourneyHook().describe_image(of_photo, aws_conn_id="aws_elsewhere")

    assert submits(simulator) == 0
