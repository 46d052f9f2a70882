"""The example DAG as a user runs it: each dialect of the service, on either database, all kinds of runs."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, text

from airflow_midjourney.describe.table.batches import read_batch
from airflow_midjourney.hooks.image_prompts import open_metadata
from airflow_midjourney.testing.simulator.settings import DialectName
from tests.support.airflow_runs import example_dag, run_dag
from tests.support.example_dags import load_example

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace


def rows_of(place: MetadataPlace) -> list[tuple[str, str, int, str]]:
    engine = create_engine(place.url)
    table = f"{place.names.schema}.image_prompts" if place.names.schema else "image_prompts"
    with engine.connect() as connection:
        query = text(f"SELECT key, status, prompt_count, dag_task_id FROM {table} ORDER BY key")
        rows = [tuple(row) for row in connection.execute(query)]
    engine.dispose()
    return rows


#: Where the dialects are described to: what the databases do differently, tests of the table and the engine show.
ON_SQLITE = frozenset({DialectName.NOVICEZK})


@pytest.mark.parametrize("dialect", list(DialectName))
def test_a_run_gives_every_image_its_prompts_and_another_run_pays_for_nothing(
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
    put_photos("in/", 4)
    conf = {"bucket": bucket, "prefix": "in/"}

    first = run_dag(example_dag(), conf)
    second = run_dag(example_dag(), conf)

    assert (first.state, first.state_of("submit"), first.state_of("wait")) == ("success", "success", "success")
    assert first.xcom("submit") == f"describe_images/submit/{first.run_id}"
    assert first.xcom("submit", "counts")["listed"]["new"] == 4
    assert first.xcom("wait", "counts")[0]["succeeded"] == 4
    assert rows_of(place) == [(f"in/{index:03}.jpg", "succeeded", 4, "submit") for index in range(4)]
    assert second.state == "success"
    assert second.xcom("submit", "counts")["listed"]["done"] == 4
    assert simulator.counters()["billed"] == 4


def yesterday_and_before(day: int) -> list[str]:
    return [f"incoming/2026-03-{one:02}/" for one in (day, day - 1, day - 2)]


@pytest.mark.parametrize(
    "moment",
    [
        {"logical_date": datetime(2026, 3, 5, 3, tzinfo=UTC)},
        {"logical_date": None, "run_after": datetime(2026, 3, 5, 12, tzinfo=UTC)},
    ],
    ids=["with a data interval", "without a logical date"],
)
def test_a_run_without_a_prefix_takes_yesterday_and_the_two_days_before(
    moment: dict[str, datetime | None],
    sqlite_place: MetadataPlace,
    bucket: str,
    simulator: RunningSimulator,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
) -> None:
    connect(simulator, sqlite_place)
    for day in range(1, 6):
        put_photos(f"incoming/2026-03-{day:02}/", 1, first=day)

    run = run_dag(example_dag(), {"bucket": bucket}, **moment)

    assert run.state == "success"
    expected = {
        "bucket": bucket,
        "prefix": yesterday_and_before(4),
        "keys": None,
        "bot_type": "MID_JOURNEY",
        "max_submissions": "None",
        "mj_conn_id": "midjourney_default",
        "aws_conn_id": "aws_default",
        "db_conn_id": "image_prompts_db",
    }
    rendered = run.rendered("submit")
    assert {name: rendered[name] for name in expected} == expected
    assert "***" not in str(rendered)
    assert [row[0] for row in rows_of(sqlite_place)] == [f"incoming/2026-03-{day:02}/{day:03}.jpg" for day in (2, 3, 4)]
    assert run.rendered("wait")["batch"] == run.xcom("submit")


def test_the_parameters_of_a_run_win(
    sqlite_place: MetadataPlace,
    bucket: str,
    simulator: RunningSimulator,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
) -> None:
    connect(simulator, sqlite_place)
    put_photos("archive/", 3)
    conf = {"bucket": bucket, "prefix": "archive/", "bot_type": "NIJI_JOURNEY", "max_submissions": 2, "priority": 7}

    run = run_dag(example_dag(), conf, logical_date=datetime(2026, 3, 6, 3, tzinfo=UTC))

    assert set(run.rendered("submit")["prefix"]) == {"archive/"}
    assert (run.rendered("submit")["bot_type"], run.rendered("submit")["max_submissions"]) == ("NIJI_JOURNEY", "2")
    assert priority_of(str(run.xcom("submit"))) == 7
    assert (run.state_of("submit"), run.state_of("wait")) == ("success", "skipped")
    assert simulator.counters()["billed"] == 2


def priority_of(batch_id: str) -> int:
    with open_metadata("image_prompts_db").reading() as tx:
        return read_batch(tx, batch_id).options.priority


@pytest.mark.parametrize("wrong", [{"priority": -1}, {"priority": 1001}, {"priority": "urgent"}])
@pytest.mark.parametrize("name", ["describe_images", "describe_manifest"])
def test_a_priority_is_a_number_with_bounds(name: str, wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="priority"):
        run_dag(load_example(name), {"manifest": "s3://photos/list"} | wrong)


@pytest.mark.parametrize("wrong", [{"bucket": ""}, {"bot_type": "MIDJOURNEY"}, {"max_submissions": "many"}])
def test_parameters_that_make_no_sense_start_no_run(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        run_dag(example_dag(), wrong)


@pytest.mark.parametrize("name", ["describe_images", "describe_manifest"])
def test_what_failed_is_priced_and_described_again_by_a_trigger(
    name: str,
    sqlite_place: MetadataPlace,
    s3: S3Client,
    bucket: str,
    simulate: Callable[..., RunningSimulator],
    connect: Callable[..., None],
    put_photos: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    simulator = simulate(latency=0.2)
    connect(simulator, sqlite_place, price=0.1)
    monkeypatch.setenv("AIRFLOW_CONN_MJ_TEAM", os.environ["AIRFLOW_CONN_MIDJOURNEY_DEFAULT"])
    put_photos("in/", 3)
    s3.put_object(Bucket=bucket, Key="list.txt", Body=b"in/000.jpg\nin/001.jpg\nin/002.jpg")
    scope = (
        {"bucket": bucket, "prefix": "in/"} if name == "describe_images" else {"manifest": f"s3://{bucket}/list.txt"}
    )
    # Each run loads the DAG anew: DAG.test() writes what a run asks for into the DAG's own parameters.
    assert run_dag(load_example(name), scope).state == "success"

    plan = run_dag(load_example(name), scope | {"redescribe": "all", "plan_only": True})
    rerun = run_dag(
        load_example(name), scope | {"redescribe": "all", "max_cost": 0.2, "on_cap": "finish", "mj_conn_id": "mj_team"}
    )

    planned = plan.xcom("submit", "counts")["plan"]
    assert planned.pop("seconds") >= 0
    assert planned == {"images": 3, "cost": "0.3", "currency": None}
    assert (plan.state_of("submit"), plan.state_of("wait")) == ("success", "skipped")
    assert rerun.rendered("submit")["mj_conn_id"] == "mj_team"
    assert (rerun.state_of("submit"), rerun.state_of("wait")) == ("success", "success")
    assert simulator.counters()["billed"] == 3 + 2


@pytest.mark.parametrize("wrong", [{"on_cap": "sulk"}, {"plan_only": "perhaps"}, {"redescribe": "some"}])
def test_words_that_make_no_sense_start_no_run(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        run_dag(example_dag(), wrong)
