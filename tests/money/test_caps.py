"""Prices, and the caps of a run and of a day: counted from the bill, exact, over all runs."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select

from airflow_midjourney.describe.engine.verdict import Ending, Tolerance, judge
from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.describe.table import budgets
from tests.support.batches import all_submitted, options, origin, put_photos, work_on
from tests.support.images import jpeg

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.model.batch import Scope
    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.engine import Engine


def rows_by_status(database: Database) -> dict[str, int]:
    images = database.tables.images.c
    with database.reading() as tx:
        found = tx.connection.execute(select(images.status, func.count()).group_by(images.status)).all()
    return {row[0]: row[1] for row in found}


def move_bill_back_to_yesterday(database: Database) -> None:
    """Let the submissions of today have been claimed in the last second of yesterday, UTC."""
    with database.writing() as tx:
        midnight = tx.now.replace(hour=0, minute=0, second=0, microsecond=0)
        submissions = tx.tables.submissions
        tx.connection.execute(submissions.update().values(claimed_at=midnight - timedelta(seconds=1)))


def test_rows_and_bill_say_what_was_paid(engine: Engine, scope: Scope, s3: S3Client, service: RunningSimulator) -> None:
    put_photos(s3, scope.bucket, range(3))
    s3.put_object(
        Bucket=scope.bucket,
        Key="in/twin.jpg",
        Body=s3.get_object(Bucket=scope.bucket, Key="in/0001.jpg")["Body"].read(),
    )

    _, counts = work_on(engine, scope)

    assert (counts.succeeded, counts.shared, counts.billed) == (4, 1, 3)
    assert (counts.cost, counts.currency) == (Decimal("0.3"), "USD")
    tables = engine.database.tables
    with engine.database.reading() as tx:
        images = tx.connection.execute(select(tables.images.c.price, tables.images.c.shares_id)).all()
        bill = tx.connection.execute(select(tables.submissions.c.price, tables.submissions.c.currency)).all()
    assert sorted(row.price for row in images) == [0, Decimal("0.1"), Decimal("0.1"), Decimal("0.1")]
    assert [tuple(row) for row in bill] == [(Decimal("0.1"), "USD")] * 3
    assert service.counters()["billed"] == 3


def test_a_run_stops_at_its_cap_and_the_next_of_its_tries_pays_for_no_more(
    engine: Engine, scope: Scope, s3: S3Client, service: RunningSimulator
) -> None:
    put_photos(s3, scope.bucket, range(10))

    progress, counts = work_on(engine, scope, options(max_submissions=4))
    work_on(engine, scope, options(max_submissions=4))

    assert progress.capped
    assert not progress.waits_for_tomorrow
    assert (counts.succeeded, counts.pending, counts.billed) == (4, 6, 4)
    assert service.counters()["billed"] == 4
    verdict = judge(progress.batch, counts, Tolerance(), "image_prompts")
    assert verdict.ending is Ending.INCOMPLETE
    assert "6 of 10 images are still pending" in verdict.message


def test_a_cap_is_raised_by_taking_the_batch_up_again(engine: Engine, scope: Scope, s3: S3Client) -> None:
    put_photos(s3, scope.bucket, range(6))
    work_on(engine, scope, options(max_submissions=2))

    progress, counts = work_on(engine, scope, options(max_submissions=5))

    assert (counts.succeeded, counts.pending) == (5, 1)
    assert progress.capped


@pytest.mark.parametrize(("max_cost", "paid"), [("0.3", 3), ("0.29", 2), ("0.05", 0), ("0.30000000000000004", 3)])
def test_a_cap_on_money_is_exact_to_the_cent(
    engine: Engine, scope: Scope, s3: S3Client, service: RunningSimulator, max_cost: str, paid: int
) -> None:
    put_photos(s3, scope.bucket, range(5))

    progress, counts = work_on(engine, scope, options(max_cost=max_cost))

    assert service.counters()["billed"] == paid
    assert (counts.billed, counts.pending) == (paid, 5 - paid)
    assert progress.run_capped


def test_what_a_twin_shares_counts_towards_no_cap(
    engine: Engine, scope: Scope, s3: S3Client, service: RunningSimulator
) -> None:
    """At the cap nothing more is read: who knows which of the rest are twins, and they stay pending."""
    for number in range(3):
        for name in ("a", "b"):
            s3.put_object(Bucket=scope.bucket, Key=f"in/{number}{name}.jpg", Body=jpeg(number))

    _, counts = work_on(engine, scope, options(max_submissions=3))

    assert (counts.succeeded, counts.shared, counts.pending) == (5, 2, 1)
    assert service.counters()["billed"] == 3


def test_a_submission_that_was_turned_away_counts_towards_no_cap(
    engine: Engine, scope: Scope, s3: S3Client, service: RunningSimulator
) -> None:
    service.set_scenarios(["queue_full:first=2"])
    put_photos(s3, scope.bucket, range(5))

    _, counts = work_on(engine, scope, options(max_submissions=4))

    assert (counts.succeeded, counts.pending) == (4, 1)
    assert service.counters()["billed"] == 4


@pytest.mark.parametrize(
    ("cap", "paid"),
    [({"max_submissions_per_day": 5}, 5), ({"max_cost_per_day": Decimal("0.35")}, 3)],
    ids=["submissions", "cost"],
)
def test_the_cap_of_a_day_holds_over_all_runs_until_midnight(
    engine: Engine, scope: Scope, s3: S3Client, service: RunningSimulator, cap: dict[str, Any], paid: int
) -> None:
    engine.account |= cap
    put_photos(s3, scope.bucket, range(12))

    first, _ = work_on(engine, scope, options(max_submissions=2), origin("first"))
    second, _ = work_on(engine, scope, options(), origin("second", dag_id="another_dag"))
    assert service.counters()["billed"] == paid
    assert (first.run_capped, first.waits_for_tomorrow) == (True, False)
    assert (second.run_capped, second.waits_for_tomorrow) == (False, True)

    move_bill_back_to_yesterday(engine.database)
    third, counts = work_on(engine, scope, options(), origin("third"))

    assert service.counters()["billed"] == 2 * paid
    assert rows_by_status(engine.database) == {Status.SUCCEEDED: 2 * paid, Status.PENDING: 12 - 2 * paid}
    assert third.waits_for_tomorrow
    assert counts.billed == paid


def test_the_first_second_of_a_day_counts_for_that_day(
    engine: Engine, scope: Scope, s3: S3Client, service: RunningSimulator
) -> None:
    engine.account |= {"max_submissions_per_day": 3}
    put_photos(s3, scope.bucket, range(6))
    work_on(engine, scope, options(max_submissions=2))
    with engine.database.writing() as tx:
        midnight = tx.now.replace(hour=0, minute=0, second=0, microsecond=0)
        tx.connection.execute(tx.tables.submissions.update().values(claimed_at=midnight))

    progress, _ = work_on(engine, scope, options(), origin("later"))

    assert service.counters()["billed"] == 3
    assert progress.waits_for_tomorrow


def test_a_batch_that_waits_for_tomorrow_goes_on_when_the_day_has_changed(
    engine: Engine, scope: Scope, s3: S3Client, service: RunningSimulator
) -> None:
    engine.account |= {"max_submissions_per_day": 2}
    put_photos(s3, scope.bucket, range(4))
    waiting, _ = work_on(engine, scope, until=all_submitted)
    assert waiting.waits_for_tomorrow

    move_bill_back_to_yesterday(engine.database)
    progress, counts = work_on(engine, scope)

    assert (counts.succeeded, counts.pending) == (4, 0)
    assert not progress.waits_for_tomorrow
    assert service.counters()["billed"] == 4


def test_a_cap_on_money_without_a_price_pays_for_nothing(
    engine: Engine, scope: Scope, s3: S3Client, service: RunningSimulator
) -> None:
    """The operator refuses it before anything is listed; the engine alone is on the safe side."""
    engine.account = {"max_cost_per_day": Decimal(10)}
    put_photos(s3, scope.bucket, range(2))

    _, counts = work_on(engine, scope)

    assert (counts.pending, counts.cost) == (2, None)
    assert service.counters()["billed"] == 0


@pytest.mark.parametrize("refunds", [False, True])
def test_tasks_that_fail_cost_nothing_where_the_service_gives_the_money_back(
    engine: Engine, scope: Scope, s3: S3Client, service: RunningSimulator, refunds: bool
) -> None:
    put_photos(s3, scope.bucket, range(8))
    engine.account |= {"refunds_failures": refunds, "max_in_flight": 1, "max_submissions_per_day": 100}
    service.set_scenarios(["banned_image:first=2"])

    _, counts = work_on(engine, scope, options(max_submissions=6))

    with engine.database.reading() as tx:
        spent = budgets.spent_today(tx, engine.settings.identity)
    assert counts.failed == 2
    # Six may be paid for, and two of those sent cost nothing.
    assert counts.succeeded == (6 if refunds else 4)
    assert (counts.billed, counts.cost) == (6, Decimal("0.6"))
    assert (spent.submissions, spent.cost) == (6, Decimal("0.6"))
    assert service.counters()["billed"] == (8 if refunds else 6)


def test_what_the_service_calls_a_success_is_paid_for_whatever_it_holds(
    engine: Engine, scope: Scope, s3: S3Client, service: RunningSimulator
) -> None:
    put_photos(s3, scope.bucket, range(2))
    engine.account |= {"refunds_failures": True}
    service.set_scenarios(["no_prompts"])

    _, counts = work_on(engine, scope)

    assert (counts.failed, counts.billed, counts.cost) == (2, 2, Decimal("0.2"))
