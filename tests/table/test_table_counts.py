"""Where a batch stands, compared with counting by hand."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.model.status import OPEN, Reason, Status
from airflow_midjourney.describe.table import batches, counts, latency, results, submissions
from airflow_midjourney.describe.table.results import RemoteTimes
from airflow_midjourney.describe.table.submissions import PostFacts
from tests.support import rows

if TYPE_CHECKING:
    from airflow_midjourney.describe.table.database import Database, Transaction

HOUR = timedelta(hours=1)
PRICED = replace(rows.ACCOUNT, price=Decimal("0.05"), currency="USD", max_in_flight=100)


def scatter(tx: Transaction, seed: int) -> None:
    """Give rows of three prefixes any status, some of which ended before the batch started."""
    chance = random.Random(seed)
    rows.list_images(tx, [rows.listed(f"{prefix}/{index:02}") for prefix in "abc" for index in range(30)])
    for row in rows.image_rows(tx):
        status = chance.choice(list(Status))
        values: dict[str, Any] = {"status": status}
        if status not in OPEN:
            values["ended_at"] = tx.now + chance.choice([-HOUR, HOUR])
        if status in (Status.FAILED, Status.REJECTED):
            values["reason"] = chance.choice(["banned", "lost", "corrupt"])
        if status is Status.PENDING:
            values |= chance.choice([{}, {"not_before": tx.now + HOUR}, {"reserved_until": tx.now + HOUR}])
            values["shares_id"] = chance.choice([None, None, 1])
        rows.set_columns(tx, row["id"], **values)


@pytest.mark.parametrize("seed", range(3))
def test_counts_are_those_of_counting_by_hand(database: Database, seed: int) -> None:
    scope = Scope(rows.BUCKET, ("a/", "c/1"))
    with database.writing() as tx:
        batch = rows.open_batch(tx, scope)
        scatter(tx, seed)
        mine = [row for row in rows.image_rows(tx) if row["key"].startswith(scope.prefixes)]
        still_open = [row for row in mine if row["status"] in OPEN]
        ended = [row for row in mine if row["status"] not in OPEN and row["ended_at"] >= batch.started_at]
        expected = Counter(row["status"] for row in (*still_open, *ended))
        claimable = [
            row
            for row in still_open
            if row["status"] == "pending"
            and row["shares_id"] is None
            and row["reserved_until"] is None
            and row["not_before"] is None
        ]

        found = counts.count(tx, batch)
        open_rows = counts.count_open(tx, batch)

    assert {status: getattr(found, status) for status in Status} == {status: expected[status] for status in Status}
    assert found.reasons == dict(Counter(row["reason"] for row in ended if row["reason"]))
    assert (found.open, found.ended, found.total) == (len(still_open), len(ended), len(still_open) + len(ended))
    assert (open_rows.total, open_rows.claimable) == (len(still_open), len(claimable))
    assert open_rows.sharing == sum(row["status"] == "pending" and row["shares_id"] == 1 for row in still_open)
    assert open_rows.pending == expected["pending"] == open_rows.sharing + open_rows.to_submit


def test_an_empty_batch_has_nothing(database: Database) -> None:
    with database.writing() as tx:
        batch = rows.open_batch(tx)

        assert counts.count(tx, batch) == counts.Counts()
        assert counts.count_open(tx, batch) == counts.OpenRows()
        assert latency.typical_seconds(tx, rows.ACCOUNT.identity) is None
        assert latency.oldest_in_flight(tx, rows.ACCOUNT.identity) is None


def test_money_is_counted_from_the_bill_of_the_batch(database: Database) -> None:
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed(f"{index}") for index in range(5)])
        batch, other = rows.open_batch(tx), rows.open_batch(tx, run_id="other")
        sent = [rows.submit_next(tx, batch, f"{number}", account=PRICED) for number in range(3)]
        rows.submit_next(tx, other, "9", account=PRICED)
        _, full = rows.claim_next(tx, batch, account=PRICED)
        submissions.not_taken(tx, full.submit_token, Outcome.FULL, PostFacts(429))
        rows.described(tx, sent[0], rows.four_prompts(), "raw", RemoteTimes())
        found = counts.count(tx, batch)

    assert (found.billed, found.cost, found.currency) == (3, Decimal("0.15"), "USD")
    assert Decimal(found.to_json()["cost"]) == Decimal("0.15")


def open_with_images(tx: Transaction, number: int) -> None:
    rows.list_images(tx, [rows.listed(f"{index:03}") for index in range(number)])
    rows.open_batch(tx, max_attempts=1)


def test_ten_failures_alike_in_a_row_stop_a_run_but_not_nine(database: Database) -> None:
    with database.writing() as tx:
        open_with_images(tx, 10)
        batch = rows.open_batch(tx, max_attempts=1)
        for index in range(10):
            assert counts.alike_in_a_row(tx, batch) is None
            sent = rows.submit_next(tx, batch, f"{index}", account=PRICED)
            results.ended(tx, sent, Reason.SERVICE_ERROR, "captcha", RemoteTimes(), "")

        assert counts.alike_in_a_row(tx, batch) == ("service_error", "captcha")
        assert counts.alike_in_a_row(tx, batches.read_batch(tx, batch.batch_id)) is not None


@pytest.mark.parametrize(
    "mixed",
    [[Reason.BANNED] * 12, [Reason.TIMEOUT] * 9 + [Reason.LOST], [Reason.LOST] * 5 + [None] + [Reason.LOST] * 9],
)
def test_images_fault_or_mixed_reasons_stop_nothing(database: Database, mixed: list[Reason | None]) -> None:
    with database.writing() as tx:
        open_with_images(tx, len(mixed))
        batch = rows.open_batch(tx, max_attempts=1)
        for index, reason in enumerate(mixed):
            sent = rows.submit_next(tx, batch, f"{index}", account=PRICED)
            if reason is None:
                rows.described(tx, sent, rows.four_prompts(), "raw", RemoteTimes())
            else:
                results.ended(tx, sent, reason, "", RemoteTimes(), "")

        assert counts.alike_in_a_row(tx, batch) is None


@pytest.mark.parametrize(
    ("texts", "stops"),
    [
        (["Could not describe this image."] * 10, True),
        (["Could not describe this image."] * 9, False),
        (["Could not describe this image."] * 9 + ["a boat"], False),
        ([f"number {number}" for number in range(12)], False),
    ],
)
def test_one_and_the_same_answer_without_prompts_stops_a_run_whatever_it_says(
    database: Database, texts: list[str], stops: bool
) -> None:
    with database.writing() as tx:
        open_with_images(tx, len(texts))
        batch = rows.open_batch(tx, max_attempts=1)
        for index, text in enumerate(texts):
            sent = rows.submit_next(tx, batch, f"{index}", account=PRICED)
            results.ended(tx, sent, Reason.UNPARSEABLE, text, RemoteTimes(), text)

        assert (counts.alike_in_a_row(tx, batch) == ("unparseable", texts[0])) == stops


@pytest.mark.parametrize(("together", "stops"), [(True, False), (False, True)])
def test_tasks_that_vanish_together_are_one_event(database: Database, together: bool, stops: bool) -> None:
    with database.writing() as tx:
        open_with_images(tx, 12)
        batch = rows.open_batch(tx, max_attempts=1)
        sent = [rows.submit_next(tx, batch, f"{index}", account=PRICED) for index in range(12)]
    for some in [sent] if together else [[one] for one in sent]:
        with database.writing() as tx:
            for one in some:
                results.ended(tx, one, Reason.LOST, "unknown", RemoteTimes(), "")

    with database.reading() as tx:
        assert (counts.alike_in_a_row(tx, batch) is not None) == stops


@pytest.mark.parametrize(("status", "stops"), [(401, False), (403, False), (200, True)])
def test_images_that_a_firewall_refuses_beside_others_do_not_stop_the_run(
    database: Database, status: int, stops: bool
) -> None:
    with database.writing() as tx:
        open_with_images(tx, 12)
        batch = rows.open_batch(tx)
        for _ in range(12):
            _, sent = rows.claim_next(tx, batch)
            submissions.refused(tx, sent.submit_token, Reason.REFUSED, PostFacts(status, None, "no"))

        assert (counts.alike_in_a_row(tx, batch) is not None) == stops


def test_images_that_were_given_up_because_others_passed_do_not_stop_the_run(database: Database) -> None:
    with database.writing() as tx:
        open_with_images(tx, 12)
        batch = rows.open_batch(tx)
        for _ in range(12):
            _, sent = rows.claim_next(tx, batch)
            submissions.refused(tx, sent.submit_token, Reason.SERVICE_ERROR, PostFacts(500, None, "no"))
        tx.connection.execute(tx.tables.submissions.update().values(outcome=Outcome.BROKEN_OFF.value))

        assert counts.alike_in_a_row(tx, batch) is None


def test_one_image_that_fails_again_and_again_is_one_event(database: Database) -> None:
    with database.writing() as tx:
        open_with_images(tx, 1)
        batch = rows.open_batch(tx, max_attempts=12)
        for index in range(12):
            sent = rows.submit_next(tx, batch, f"{index}", account=PRICED)
            results.ended(tx, sent, Reason.SERVICE_ERROR, "captcha", RemoteTimes(), "")
            rows.set_columns(tx, sent.id, not_before=None)

        assert counts.alike_in_a_row(tx, batch) is None


def test_what_stopped_one_try_does_not_stop_the_next(database: Database) -> None:
    with database.writing() as tx:
        open_with_images(tx, 10)
        batch = rows.open_batch(tx, max_attempts=1)
        for index in range(10):
            sent = rows.submit_next(tx, batch, f"{index}", account=PRICED)
            results.ended(tx, sent, Reason.REFUSED, "", RemoteTimes(), "")
        assert counts.alike_in_a_row(tx, batch) is not None
    with database.writing() as tx:
        assert counts.alike_in_a_row(tx, batches.begin_try(tx, batch.batch_id)) is None


def test_how_long_describes_take_is_learnt_from_the_latest(database: Database) -> None:
    with database.writing() as tx:
        open_with_images(tx, 2)
        batch = rows.open_batch(tx)
        for number in range(2):
            rows.described(tx, rows.submit_next(tx, batch, f"{number}"), rows.four_prompts(), "raw", RemoteTimes())
        first, second = (entry["id"] for entry in rows.bill(tx))
        entries = tx.tables.submissions
        for entry, seconds in ((first, 30), (second, 50)):
            answered = {"answered_at": tx.now, "settled_at": tx.now + timedelta(seconds=seconds)}
            tx.connection.execute(entries.update().where(entries.c.id == entry).values(**answered))

        assert latency.typical_seconds(tx, rows.ACCOUNT.identity) == pytest.approx(40)


def test_final_rows_are_not_open() -> None:
    final = {Status.SUCCEEDED, Status.FAILED, Status.REJECTED}
    assert final.isdisjoint(OPEN)
    assert {*final, *OPEN, Status.IN_DOUBT} == set(Status)
