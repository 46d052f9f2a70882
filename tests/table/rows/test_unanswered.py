"""Submissions without an answer: which there are, and what the bill and the service's list can say of them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.model.outcome import TAKEN, Outcome
from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.describe.table.doubt import in_doubt, unanswered
from airflow_midjourney.describe.table.doubt.in_doubt import Doubt
from airflow_midjourney.describe.table.submissions import PostFacts
from tests.support import rows

if TYPE_CHECKING:
    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.claims import Claim
    from airflow_midjourney.describe.table.database import Database, Transaction

ME = rows.ACCOUNT.identity
LATE = timedelta(seconds=unanswered.LOOKED_FOR_AFTER)
A_LITTLE = timedelta(milliseconds=1)


def claimed(tx: Transaction, keys: str, scope: Scope = rows.EVERYTHING) -> tuple[Batch, list[Claim]]:
    """Claim images, a letter each."""
    rows.list_images(tx, [rows.listed(key) for key in keys])
    batch = rows.open_batch(tx, scope)
    return batch, [rows.claim_next(tx, batch)[1] for _ in keys]


def change_bill(tx: Transaction, token: str, **values: object) -> None:
    bill = tx.tables.submissions
    tx.connection.execute(bill.update().where(bill.c.submit_token == token).values(**values))


def put_in_doubt(tx: Transaction, sent: Claim, **columns: object) -> None:
    since = tx.now - timedelta(seconds=30)
    facts = {"in_doubt_after": since, "ended_at": since, "updated_at": since}
    rows.set_columns(tx, sent.image_id, status=Status.IN_DOUBT.value, **(facts | columns))


@pytest.mark.parametrize(("ago", "is_late"), [(LATE + A_LITTLE, True), (LATE, True), (LATE - A_LITTLE, False)])
def test_an_answer_is_late_five_seconds_after_the_claim(database: Database, ago: timedelta, is_late: bool) -> None:
    assert timedelta(seconds=5) == LATE
    with database.writing() as tx:
        _, (sent,) = claimed(tx, "a")
        rows.set_columns(tx, sent.image_id, updated_at=tx.now - ago)

        assert unanswered.any_unanswered(tx, ME) == is_late
        assert unanswered.unanswered(tx, ME) == ({sent.submit_token: tx.now - ago} if is_late else {})
        assert unanswered.expected_by(tx.now - LATE) == tx.now


@pytest.mark.parametrize("status", Status)
def test_only_a_claim_waits_for_the_answer_to_its_post(database: Database, status: Status) -> None:
    with database.writing() as tx:
        batch, (sent,) = claimed(tx, "a")
        rows.set_columns(tx, sent.image_id, status=status.value, updated_at=rows.LONG_AGO, in_doubt_after=tx.now)
        waits = status is Status.SUBMITTING

        assert unanswered.any_unanswered(tx, ME) == waits
        assert list(unanswered.unanswered(tx, ME)) == ([sent.submit_token] if waits else [])
        found = unanswered.unproved(tx, batch, rows.ACCOUNT)
        assert (found is not None) == (waits or status is Status.IN_DOUBT)


def test_what_another_account_waits_for_is_none_of_ours(database: Database) -> None:
    with database.writing() as tx:
        batch, (sent,) = claimed(tx, "a")
        rows.set_columns(tx, sent.image_id, updated_at=rows.LONG_AGO, account="another")
        change_bill(tx, sent.submit_token, account="another")

        assert not unanswered.any_unanswered(tx, ME)
        assert unanswered.unanswered(tx, ME) == {}
        assert unanswered.without_a_task(tx, ME) == {}
        assert unanswered.unproved(tx, batch, rows.ACCOUNT) is None
        assert list(unanswered.without_a_task(tx, "another")) == [sent.submit_token]


def test_the_proof_takes_until_the_last_of_them_may_be_looked_for_twice(database: Database) -> None:
    with database.writing() as tx:
        batch, sent = claimed(tx, "abcd")
        assert unanswered.unproved(tx, batch, rows.ACCOUNT) is None

        rows.set_columns(tx, sent[0].image_id, updated_at=tx.now - LATE, in_doubt_after=tx.now + timedelta(seconds=9))
        put_in_doubt(tx, sent[1], absent_since=tx.now - timedelta(seconds=20))
        # Asked about already, or waiting for a twin: no list says more of them.
        put_in_doubt(tx, sent[2], doubt_checked_at=tx.now, in_doubt_after=tx.now + timedelta(hours=1))
        put_in_doubt(tx, sent[3], shares_id=1, in_doubt_after=tx.now + timedelta(hours=1))
        confirmed = rows.ACCOUNT.absence_confirmed_after

        assert unanswered.unproved(tx, batch, rows.ACCOUNT) == unanswered.Unproved(2, 9 + confirmed)
        rows.set_columns(tx, sent[0].image_id, status=Status.SUBMITTED.value)
        assert unanswered.unproved(tx, batch, rows.ACCOUNT) == unanswered.Unproved(1, confirmed - 20)
        rows.set_columns(tx, sent[1].image_id, absent_since=rows.LONG_AGO)
        assert unanswered.unproved(tx, batch, rows.ACCOUNT) == unanswered.Unproved(1, 0)
        elsewhere = rows.open_batch(tx, Scope(rows.BUCKET, ("other/",)), run_id="another")
        assert unanswered.unproved(tx, elsewhere, rows.ACCOUNT) is None


@pytest.mark.parametrize("outcome", Outcome)
def test_a_task_in_the_list_is_news_to_what_seemed_never_sent_and_to_what_has_no_answer(
    database: Database, outcome: Outcome
) -> None:
    waits = outcome in {Outcome.SENT, Outcome.AMBIGUOUS, Outcome.NEVER_SENT, Outcome.BROKEN_OFF}
    with database.writing() as tx:
        _, (sent,) = claimed(tx, "a")
        change_bill(tx, sent.submit_token, outcome=outcome.value)

        assert unanswered.without_a_task(tx, ME) == ({sent.submit_token: tx.now} if waits else {})


@pytest.mark.parametrize(("ago", "is_known"), [(timedelta(hours=24), True), (timedelta(hours=24) + A_LITTLE, False)])
def test_a_task_is_taken_for_a_submission_of_the_last_day(database: Database, ago: timedelta, is_known: bool) -> None:
    with database.writing() as tx:
        _, (sent,) = claimed(tx, "a")
        change_bill(tx, sent.submit_token, claimed_at=tx.now - ago)

        assert bool(unanswered.without_a_task(tx, ME)) == is_known


def test_a_doubtful_submission_is_given_with_all_that_its_proof_needs(database: Database) -> None:
    with database.writing() as tx:
        _, (broken, died) = claimed(tx, "ab")
        for sent in (broken, died):
            put_in_doubt(tx, sent)
        rows.set_columns(tx, died.image_id, absent_since=tx.now - timedelta(seconds=20))
        change_bill(tx, broken.submit_token, outcome=Outcome.AMBIGUOUS.value, claimed_at=rows.LONG_AGO)

        assert in_doubt.unresolved(tx, ME) == [
            Doubt(broken.image_id, "s3://photos/a", broken.submit_token, rows.LONG_AGO, 30.0, was_broken_off=True),
            Doubt(died.image_id, "s3://photos/b", died.submit_token, tx.now, 30.0, False, absent_for=20.0),
        ]


@pytest.mark.parametrize(
    "columns",
    [
        {"status": Status.SUBMITTING.value},
        {"status": Status.FAILED.value},
        {"account": "another"},
        {"doubt_checked_at": rows.LONG_AGO},
        {"shares_id": 1},
    ],
    ids=str,
)
def test_a_row_that_another_asks_about_or_that_was_asked_about_is_not_unresolved(
    database: Database, columns: dict[str, object]
) -> None:
    with database.writing() as tx:
        _, (sent,) = claimed(tx, "a")
        put_in_doubt(tx, sent)
        assert len(in_doubt.unresolved(tx, ME)) == 1

        rows.set_columns(tx, sent.image_id, **columns)
        assert in_doubt.unresolved(tx, ME) == []


def doubt_of(tx: Transaction, sent: Claim) -> Doubt:
    (found,) = (one for one in in_doubt.unresolved(tx, ME) if one.submit_token == sent.submit_token)
    return found


def test_a_list_that_lacks_a_submission_is_remembered_for_it_alone_and_from_the_first_time_on(
    database: Database,
) -> None:
    with database.writing() as tx:
        _, (sent, other) = claimed(tx, "ab")
        for one in (sent, other):
            put_in_doubt(tx, one)
        doubt = doubt_of(tx, sent)
        in_doubt.note_absent(tx, doubt)
        assert [row["absent_since"] for row in rows.image_rows(tx)] == [tx.now, None]
        rows.set_columns(tx, sent.image_id, absent_since=tx.now - LATE)
        in_doubt.note_absent(tx, doubt)

        assert [row["absent_since"] for row in rows.image_rows(tx)] == [tx.now - LATE, None]
        in_doubt.cannot_tell(tx, doubt)
        assert [row["doubt_checked_at"] for row in rows.image_rows(tx)] == [tx.now, None]
        assert [row["status"] for row in rows.image_rows(tx)] == ["in_doubt"] * 2


@pytest.mark.parametrize("outcome", Outcome)
def test_only_what_the_same_account_took_before_the_claim_testifies(database: Database, outcome: Outcome) -> None:
    with database.writing() as tx:
        _, (witness, at_once, later, elsewhere, sent) = claimed(tx, "abcde")
        put_in_doubt(tx, sent)
        moment = tx.now
        for one, answered in ((witness, -A_LITTLE), (at_once, 0 * A_LITTLE), (later, A_LITTLE), (elsewhere, -A_LITTLE)):
            change_bill(tx, one.submit_token, outcome=outcome.value, answered_at=moment + answered)
        change_bill(tx, elsewhere.submit_token, account="another")
        testify = outcome in TAKEN

        found = in_doubt.witnesses(tx, ME, doubt_of(tx, sent))
        assert found.submit_tokens == ({witness.submit_token} if testify else set())
        times = in_doubt.claims_of_accepted(tx, ME)
        ours = [witness, at_once, later] if testify else []
        assert times == {one.submit_token: moment for one in ours}


def test_an_accepted_post_is_no_doubt_of_its_account(database: Database) -> None:
    with database.writing() as tx:
        _, (sent,) = claimed(tx, "a")
        assert rows.accepted(tx, sent.submit_token, "1", PostFacts(200, 1))

        assert in_doubt.unresolved(tx, ME) == []
        assert unanswered.without_a_task(tx, ME) == {}
        assert list(in_doubt.claims_of_accepted(tx, ME)) == [sent.submit_token]
