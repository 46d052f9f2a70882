"""What all who wait for one account read of it, and what they make of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from airflow_midjourney.describe.table import accounts, results, submissions
from airflow_midjourney.describe.table.activity import WAKING_TAKES, Pulse, feel_pulse
from airflow_midjourney.describe.table.latency import latest_describes, on_their_way_since, quickest_seconds
from airflow_midjourney.describe.table.results import RemoteTimes
from airflow_midjourney.describe.table.submissions import PostFacts
from tests.support import rows

if TYPE_CHECKING:
    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.table.database import Database, Transaction

HERE = {(rows.BUCKET, "MID_JOURNEY")}
RUN = 40.0


def test_it_holds_what_is_on_its_way_and_what_ended_lately(database: Database) -> None:
    with database.writing() as tx:
        batch = rows.open_batch(tx)
        rows.list_images(tx, [rows.listed(f"{number}.jpg") for number in range(3)])
        ended, under_way = (rows.submit_next(tx, batch, task_id=f"{number}") for number in range(2))
        before = feel_pulse(tx, rows.ACCOUNT.identity, HERE, None)
        describe(tx, ended)
    with database.reading() as tx:
        after = feel_pulse(tx, rows.ACCOUNT.identity, HERE, before.account.now)
        elsewhere = feel_pulse(tx, rows.ACCOUNT.identity, {("another", "MID_JOURNEY")}, before.account.now)

    assert {row.key for row in before.on_their_way} == {"0.jpg", "1.jpg"}
    assert {row.id for row in after.on_their_way} == {under_way.id}
    assert {row.id: row.status for row in after.rows - before.rows} == {ended.id: "succeeded"}
    assert elsewhere.rows == elsewhere.on_their_way


def test_the_pace_is_that_of_the_quickest_answer(database: Database) -> None:
    with database.writing() as tx:
        batch = rows.open_batch(tx)
        rows.list_images(tx, [rows.listed(f"{number}.jpg") for number in range(3)])
        ended = [rows.submit_next(tx, batch, task_id=f"{number}") for number in range(2)]
        assert quickest_seconds(tx, rows.ACCOUNT.identity) is None
        for row in ended:
            describe(tx, row)
        bill = tx.tables.submissions
        for row, seconds in zip(ended, (RUN, 2 * RUN), strict=True):
            answered = bill.update().where(bill.c.image_id == row.id)
            tx.connection.execute(answered.values(answered_at=tx.now, settled_at=tx.now + timedelta(seconds=seconds)))
        assert quickest_seconds(tx, rows.ACCOUNT.identity) == pytest.approx(RUN)


@pytest.mark.parametrize(
    ("started", "finished", "believed"),
    [
        (0.0, RUN - 1, RUN - 1),
        (RUN / 2, RUN - 5, RUN - 5),
        (100.0, 100.0 + RUN - 1, RUN - 1),
        (-100.0, -100.0 + RUN / 2, RUN / 2),
        (100.0, 100.0 + RUN / 2 - 1, RUN),
        (0.0, RUN + 1, RUN),
        (0.0, None, RUN),
    ],
    ids=["agrees", "starts late", "is ahead", "is behind", "leaves out most", "goes on", "says nothing"],
)
def test_the_service_is_believed_when_an_image_ended(
    started: float, finished: float | None, believed: float, database: Database
) -> None:
    with database.writing() as tx:
        batch = rows.open_batch(tx)
        rows.list_images(tx, [rows.listed("0.jpg")])
        row = rows.submit_next(tx, batch)
        describe(tx, row)
        bill = tx.tables.submissions
        tx.connection.execute(bill.update().values(answered_at=tx.now, settled_at=tx.now + timedelta(seconds=RUN)))
        ended = None if finished is None else tx.now + timedelta(seconds=finished)
        rows.set_columns(tx, row.id, started_at=tx.now + timedelta(seconds=started), finished_at=ended)
        assert quickest_seconds(tx, rows.ACCOUNT.identity) == pytest.approx(believed)


@pytest.mark.parametrize(
    ("finished", "least", "most"),
    [(RUN - 1.5, RUN - 1.5, RUN - 1.5), (None, 0.8 * RUN, RUN), (RUN + 1, 0.8 * RUN, RUN)],
    ids=["named", "not named", "not believed"],
)
def test_what_the_service_does_not_tell_is_known_within_bounds(
    finished: float | None, least: float, most: float, database: Database
) -> None:
    with database.writing() as tx:
        describe_one(tx, finished, no_whole_second=True)
        (took,) = latest_describes(tx, rows.ACCOUNT.identity)

    assert (took.least, took.most) == (pytest.approx(least), pytest.approx(most))


def test_an_end_in_whole_seconds_may_have_been_a_second_later(database: Database) -> None:
    with database.writing() as tx:
        describe_one(tx, RUN - 10, no_whole_second=False)
        (took,) = latest_describes(tx, rows.ACCOUNT.identity)

    assert took.most - took.least == pytest.approx(1.0)


def describe_one(tx: Transaction, finished: float | None, *, no_whole_second: bool) -> None:
    """Describe one image in RUN seconds as far as we know, while the service names its own end."""
    batch = rows.open_batch(tx)
    rows.list_images(tx, [rows.listed("0.jpg")])
    row = rows.submit_next(tx, batch)
    describe(tx, row)
    began = tx.now.replace(microsecond=250_000 if no_whole_second else 0)
    bill = tx.tables.submissions
    tx.connection.execute(bill.update().values(answered_at=began, settled_at=began + timedelta(seconds=RUN)))
    ended = None if finished is None else began + timedelta(seconds=finished)
    rows.set_columns(tx, row.id, started_at=began, finished_at=ended)


def test_an_idle_account_is_asked_about_its_first_image_when_that_is_due(database: Database) -> None:
    with database.writing() as tx:
        batch = rows.open_batch(tx)
        rows.list_images(tx, [rows.listed("0.jpg"), rows.listed("1.jpg")])
        row = rows.submit_next(tx, batch)
        first = accounts.read_account(tx, rows.ACCOUNT.identity).next_poll_at
        describe(tx, row)
        bill = tx.tables.submissions
        tx.connection.execute(bill.update().values(answered_at=tx.now, settled_at=tx.now + timedelta(seconds=5)))
        rows.submit_next(tx, batch, task_id="2")
        second = accounts.read_account(tx, rows.ACCOUNT.identity).next_poll_at
        now = tx.now

    assert first == now + timedelta(seconds=rows.ACCOUNT.poll_interval)
    # It may have ended some time before we heard of it.
    assert (second - now).total_seconds() == pytest.approx(0.8 * 5, abs=0.3)


def describe(tx: Transaction, row: results.InFlight) -> None:
    times = RemoteTimes(row.submitted_at, row.submitted_at + timedelta(seconds=RUN))
    assert rows.described(tx, row, rows.four_prompts(), "raw", times)


@pytest.mark.parametrize(
    ("age", "soon"), [(0.0, 0), (RUN - WAKING_TAKES - 1, 0), (RUN - WAKING_TAKES + 1, 1), (RUN, 1), (RUN + 1, 0)]
)
def test_a_slot_that_is_free_when_the_worker_comes_counts_already(database: Database, age: float, soon: int) -> None:
    pulse = one_under_way(database, age)

    assert pulse.room_soon(slots(1), RUN) == soon
    assert pulse.room_soon(slots(1), None) == 0
    assert pulse.room_soon(slots(3), RUN) == 2 + soon


def test_with_a_queue_there_nothing_is_hurried(database: Database) -> None:
    pulse = one_under_way(database, RUN)

    assert replace(pulse, account=replace(pulse.account, queued=1)).room_soon(slots(1), RUN) == 0


def slots(number: int) -> AccountSettings:
    return replace(rows.ACCOUNT, max_in_flight=number)


def one_under_way(database: Database, age: float) -> Pulse:
    with database.writing() as tx:
        batch = rows.open_batch(tx)
        rows.list_images(tx, [rows.listed("a.jpg")])
        sent = rows.submit_next(tx, batch)
        rows.set_columns(tx, sent.id, submitted_at=tx.now - timedelta(seconds=age))
        return feel_pulse(tx, rows.ACCOUNT.identity, (), None)


def test_the_queue_is_what_the_service_has_not_begun_with(database: Database) -> None:
    with database.writing() as tx:
        batch = rows.open_batch(tx)
        rows.list_images(tx, [rows.listed(f"{number}.jpg") for number in range(2)])
        begun, _ = (rows.submit_next(tx, batch, task_id=f"{number}") for number in range(2))
        silent = accounts.read_account(tx, rows.ACCOUNT.identity)
        results.started(tx, begun, RemoteTimes(begun.submitted_at))
        told = accounts.read_account(tx, rows.ACCOUNT.identity)

    assert (silent.in_flight, silent.queued) == (2, 0), "a service that does not say has no queue that we know of"
    assert (told.in_flight, told.queued) == (2, 1)


@pytest.mark.parametrize("facts", [PostFacts(), PostFacts(500)], ids=["no answer", "an error"])
def test_an_adopted_task_is_on_its_way_since_its_claim_and_tells_no_time(database: Database, facts: PostFacts) -> None:
    with database.writing() as tx:
        batch = rows.open_batch(tx)
        rows.list_images(tx, [rows.listed("answered.jpg"), rows.listed("adopted.jpg")])
        answered = rows.submit_next(tx, batch, "1")
        _, claim = rows.claim_next(tx, batch)
        if facts.http_status:
            submissions.ambiguous(tx, claim.submit_token, facts)
        claimed_at = tx.now
        rows.let_time_pass(tx, timedelta(seconds=7))
    with database.writing() as tx:
        assert rows.accepted(tx, claim.submit_token, "2", PostFacts(detail="adopted"))
        adopted = rows.in_flight(tx, claim.submit_token)
        since = on_their_way_since(tx, rows.ACCOUNT.identity)
        assert [(tx.now - moment).total_seconds() >= 7 for moment in since] == [True, True]
        assert adopted.submitted_at > claimed_at
        for row in (answered, adopted):
            assert rows.described(tx, row, rows.four_prompts(), "", RemoteTimes())
        assert len(latest_describes(tx, rows.ACCOUNT.identity)) == 1
