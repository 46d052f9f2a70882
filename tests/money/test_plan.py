"""A plan says what a run would do and cost, and then the run does just that."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.describe.engine.plan import plan_of
from airflow_midjourney.describe.engine.reporting import listing_line
from airflow_midjourney.describe.model.status import BotType
from tests.support.batches import options, origin, put_photos, work_on

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.engine.progress import Progress
    from airflow_midjourney.describe.model.batch import Scope
    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.engine import Engine


def listing_ended(progress: Progress) -> bool:
    return progress.listing_ended


def test_a_plan_submits_nothing_and_leaves_no_rows(
    engine: Engine, scope: Scope, s3: S3Client, service: RunningSimulator
) -> None:
    put_photos(s3, scope.bucket, range(5))

    progress, counts = work_on(engine, scope, options(plan_only=True), until=listing_ended)

    assert service.counters()["requests"] == {}
    assert counts.total == 0
    assert progress.batch.listed.to_describe == 5
    assert "5 images would be, at most, for 0.5 USD." in plan_of(progress.batch, engine.settings, None).line()


@pytest.mark.parametrize(
    ("chosen", "most"),
    [
        ({}, "can make it 1.3 USD at most"),
        ({"in_doubt": "hold"}, "can make it 1 USD at most"),
        ({"in_doubt": "hold", "max_attempts": 1}, None),
        ({"max_cost": "0.7"}, "can make it 0.7 USD at most"),
    ],
)
def test_a_plan_says_what_failures_and_lost_answers_can_add(
    engine: Engine, scope: Scope, s3: S3Client, chosen: dict[str, Any], most: str | None
) -> None:
    put_photos(s3, scope.bucket, range(5))

    plan, _ = work_on(engine, scope, options(plan_only=True, **chosen), until=listing_ended)

    line = plan_of(plan.batch, engine.settings, None).line()
    assert "5 images would be, at most, for 0.5 USD." in line
    assert most in line if most else "can make it" not in line


def test_a_plan_counts_what_would_happen_to_each_image(
    engine: Engine, scope: Scope, s3: S3Client, service: RunningSimulator
) -> None:
    put_photos(s3, scope.bucket, range(6))
    s3.put_object(Bucket=scope.bucket, Key="in/broken.jpg", Body=b"no image")
    service.set_scenarios(["banned_image:first=1"])
    work_on(engine, scope, options(max_submissions=4), origin("first"))
    s3.put_object(Bucket=scope.bucket, Key="in/0000.jpg", Body=b"changed")
    put_photos(s3, scope.bucket, [50, 51])
    s3.put_object(Bucket=scope.bucket, Key="in/notes.txt", Body=b"text")

    progress, _ = work_on(engine, scope, options(plan_only=True), origin("plan"), listing_ended)

    listed = progress.batch.listed
    assert (listed.keys, listed.images) == (10, 9)
    assert (listed.new, listed.changed, listed.failed + listed.done) == (2, 1, 3)
    assert listed.pending + listed.rejected == 3
    assert listed.to_describe == 3 + listed.pending
    assert "2 new, 1 changed" in listing_line(progress.batch)


def test_a_plan_prices_what_an_earlier_run_left_pending(
    engine: Engine, scope: Scope, s3: S3Client, service: RunningSimulator
) -> None:
    put_photos(s3, scope.bucket, range(6))
    work_on(engine, scope, options(max_submissions=2), origin("first"))

    plan, _ = work_on(engine, scope, options(plan_only=True), origin("plan"), listing_ended)
    _, counts = work_on(engine, scope, options(), origin("second"))

    assert "4 images would be, at most, for 0.4 USD." in plan_of(plan.batch, engine.settings, None).line()
    assert counts.billed == 4
    assert service.counters()["billed"] == 6


@pytest.mark.parametrize(
    ("cap", "planned"),
    [({"max_submissions": 3}, "3 images would be, at most, for 0.3 USD."), ({"max_cost": "0.25"}, "2 images would be")],
    ids=["submissions", "cost"],
)
def test_a_plan_stays_below_the_caps_of_the_run(
    engine: Engine, scope: Scope, s3: S3Client, cap: dict[str, object], planned: str
) -> None:
    put_photos(s3, scope.bucket, range(5))

    plan, _ = work_on(engine, scope, options(plan_only=True, **cap), origin("plan"), listing_ended)

    assert planned in plan_of(plan.batch, engine.settings, None).line()


def test_a_plan_says_where_another_bot_would_do_it(engine: Engine, scope: Scope, s3: S3Client) -> None:
    put_photos(s3, scope.bucket, range(1))

    niji = replace(scope, bot_type=BotType.NIJI_JOURNEY)
    plans = [work_on(engine, each, options(plan_only=True), origin("plan"), listing_ended)[0] for each in (niji, scope)]
    lines = [plan_of(plan.batch, engine.settings, None).line() for plan in plans]

    assert "novicezk has no NIJI_JOURNEY: alone or behind a gateway, it bills these images and" in lines[0]
    assert "novicezk" not in lines[1]


def test_a_plan_of_describing_all_again_counts_each_image_again(engine: Engine, scope: Scope, s3: S3Client) -> None:
    put_photos(s3, scope.bucket, range(3))
    work_on(engine, scope)

    plan, _ = work_on(engine, scope, options(plan_only=True, redescribe="all"), origin("plan"), listing_ended)

    assert (plan.batch.listed.again, plan.batch.listed.to_describe) == (3, 3)


def test_a_plan_turned_into_a_run_starts_from_the_beginning(
    engine: Engine, scope: Scope, s3: S3Client, service: RunningSimulator
) -> None:
    put_photos(s3, scope.bucket, range(3))
    work_on(engine, scope, options(plan_only=True), until=listing_ended)

    _, counts = work_on(engine, scope, options())

    assert counts.succeeded == 3
    assert service.counters()["billed"] == 3
