"""What a cap left over: later runs of the same task take it up after their own images, others never do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.model.status import BotType, Status
from tests.support.batches import options, origin, put_photos, work_on

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from simulator.serving import RunningSimulator
    from tests.support.engine import Engine


@pytest.fixture
def yesterday(bucket: str) -> Scope:
    return Scope(bucket, ("day-1/",))


@pytest.fixture
def today(bucket: str) -> Scope:
    return Scope(bucket, ("day-2/",))


@pytest.fixture
def left_over(engine: Engine, s3: S3Client, yesterday: Scope, today: Scope) -> Engine:
    """A run that paid for two of its six images, and four new images since."""
    put_photos(s3, yesterday.bucket, range(6), "day-1/")
    work_on(engine, yesterday, options(max_submissions=2), origin("day-1"))
    put_photos(s3, today.bucket, range(10, 14), "day-2/")
    return engine


def succeeded(engine: Engine) -> dict[str, int]:
    images = engine.database.tables.images.c
    with engine.database.reading() as tx:
        keys = tx.connection.execute(select(images.key).where(images.status == Status.SUCCEEDED)).scalars().all()
    return {day: sum(key.startswith(day) for key in keys) for day in ("day-1", "day-2")}


def test_the_next_run_describes_its_own_images_and_then_what_was_left_over(
    left_over: Engine, today: Scope, service: RunningSimulator
) -> None:
    progress, counts = work_on(left_over, today, options(), origin("day-2"))

    assert succeeded(left_over) == {"day-1": 6, "day-2": 4}
    assert progress.all_ended
    assert counts.succeeded == 4
    assert service.counters()["billed"] == 10


def test_its_own_images_come_first(left_over: Engine, today: Scope) -> None:
    progress, _ = work_on(left_over, today, options(max_submissions=5), origin("day-2"))

    assert succeeded(left_over) == {"day-1": 3, "day-2": 4}
    assert progress.capped


def test_with_none_it_is_left_where_it_is(left_over: Engine, today: Scope) -> None:
    progress, _ = work_on(left_over, today, options(backlog="none"), origin("day-2"))

    assert succeeded(left_over) == {"day-1": 2, "day-2": 4}
    assert not progress.capped


def test_what_another_dag_left_over_is_not_touched(left_over: Engine, today: Scope) -> None:
    work_on(left_over, today, options(), origin("day-2", dag_id="another_dag"))

    assert succeeded(left_over) == {"day-1": 2, "day-2": 4}


def test_what_was_left_over_is_not_sent_to_another_bot(
    left_over: Engine, today: Scope, service: RunningSimulator
) -> None:
    niji = Scope(today.bucket, today.prefixes, bot_type=BotType.NIJI_JOURNEY)

    work_on(left_over, niji, options(), origin("day-2"))

    assert succeeded(left_over) == {"day-1": 2, "day-2": 4}
    assert service.counters()["billed"] == 6


def test_left_over_images_are_described_once_however_many_runs_follow(
    left_over: Engine, today: Scope, yesterday: Scope, service: RunningSimulator
) -> None:
    for run_id in ("day-2", "day-3", "day-1"):
        work_on(left_over, yesterday if run_id == "day-1" else today, options(), origin(run_id))

    assert service.counters()["billed"] == 10
