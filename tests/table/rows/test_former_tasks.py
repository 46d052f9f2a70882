"""Which submissions of the same bytes are asked about before these are paid for again, and what each answer does."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.model.status import BotType, Reason, Status
from airflow_midjourney.describe.table import leases
from airflow_midjourney.describe.table.accounts import update_account
from airflow_midjourney.describe.table.doubt import former_tasks, late_results
from airflow_midjourney.describe.table.doubt.late_results import GivenUp
from airflow_midjourney.describe.table.results import RemoteTimes
from tests.support import rows

if TYPE_CHECKING:
    from airflow_midjourney.describe.table.claims import Claim
    from airflow_midjourney.describe.table.database import Database, Transaction

ME = rows.ACCOUNT.identity
BYTES = "the same bytes"
DIGEST = rows.content(BYTES).content_sha256
A_DAY = timedelta(hours=24)
A_LITTLE = timedelta(seconds=1)


def given_up(tx: Transaction) -> str:
    """Have an image submitted whose task came to nothing: its row has failed, and the bill has no result."""
    rows.list_images(tx, [rows.listed("former"), rows.listed("other")])
    batch = rows.open_batch(tx)
    sent = rows.submit_next(tx, batch, "task-1", BYTES)
    rows.submit_next(tx, batch, "task-2", "other bytes")
    change_row(tx, 1, status=Status.FAILED.value, reason=Reason.TIMEOUT.value, ended_at=tx.now)
    change_bill(tx, sent.submit_token, settled_at=tx.now, reason=Reason.TIMEOUT.value, result="failed")
    return sent.submit_token


def change_row(tx: Transaction, number: int, **columns: Any) -> None:
    rows.set_columns(tx, number, updated_at=tx.now, **columns)


def change_bill(tx: Transaction, token: str, **values: Any) -> None:
    bill = tx.tables.submissions
    tx.connection.execute(bill.update().where(bill.c.submit_token == token).values(submit_token=token, **values))


def entry(tx: Transaction, token: str) -> dict[str, Any]:
    (found,) = (one for one in rows.bill(tx) if one["submit_token"] == token)
    return found


def claim_of(tx: Transaction, body: str = BYTES) -> Claim:
    """Have a worker reserve another image, with these bytes."""
    rows.list_images(tx, [rows.listed("now")])
    batch = rows.open_batch(tx)
    (reserved,) = leases.reserve(tx, batch, "holder", 1)
    return rows.request(batch, reserved, body)


@pytest.mark.parametrize(
    ("ago", "values", "is_asked"),
    [
        (A_LITTLE, {}, True),
        (A_LITTLE, {"reason": Reason.LOST.value}, True),
        (A_LITTLE, {"reason": Reason.BANNED.value}, False),
        (A_LITTLE, {"settled_at": None, "reason": None}, True),
        (A_LITTLE, {"task_id": None}, False),
        *((A_LITTLE, {"outcome": outcome.value}, outcome is Outcome.ACCEPTED) for outcome in Outcome),
        (A_DAY, {}, True),
        (A_DAY + A_LITTLE, {}, False),
        (A_DAY + A_LITTLE, {"settled_at": None, "reason": None}, True),
    ],
    ids=str,
)
def test_what_was_accepted_and_given_up_in_the_last_day_is_asked_about(
    database: Database, ago: timedelta, values: dict[str, Any], is_asked: bool
) -> None:
    with database.writing() as tx:
        token = given_up(tx)
        change_bill(tx, token, **{"settled_at": tx.now - ago} | values)
        claim = claim_of(tx)

        asked = [one.submit_token for one in former_tasks.unasked(tx, claim)]
        assert asked == ([token] if is_asked else [])
        digests = former_tasks.digests_without_result(tx, [DIGEST, "another"], BotType.MID_JOURNEY)
        assert digests == ([DIGEST] if is_asked else [])
        waits = [one.submit_token for one in late_results.given_up(tx, ME)]
        assert waits == ([token] if is_asked else [])


@pytest.mark.parametrize(("ago", "is_asked"), [(A_DAY + timedelta(hours=2), True), (A_DAY + timedelta(hours=3), False)])
def test_what_was_claimed_more_than_a_day_and_two_hours_ago_is_not_asked_about(
    database: Database, ago: timedelta, is_asked: bool
) -> None:
    with database.writing() as tx:
        change_bill(tx, given_up(tx), claimed_at=tx.now - ago)

        assert bool(former_tasks.unasked(tx, claim_of(tx))) == is_asked
        assert bool(late_results.given_up(tx, ME)) == is_asked


@pytest.mark.parametrize(
    ("row", "bill", "is_found"),
    [
        ({}, {}, True),
        # Another release wrote no digest into the bill, and a row may have been read anew since.
        ({}, {"content_sha256": None}, True),
        ({"content_sha256": "another"}, {}, True),
        ({"content_sha256": "another"}, {"content_sha256": None}, False),
        ({"content_sha256": "another"}, {"bot_type": BotType.NIJI_JOURNEY.value}, False),
        ({"bot_type": BotType.NIJI_JOURNEY.value}, {"bot_type": BotType.NIJI_JOURNEY.value}, False),
    ],
    ids=str,
)
def test_a_submission_is_of_the_same_bytes_if_the_bill_or_its_row_says_so_for_the_same_bot(
    database: Database, row: dict[str, Any], bill: dict[str, Any], is_found: bool
) -> None:
    with database.writing() as tx:
        token = given_up(tx)
        claim = claim_of(tx)
        change_row(tx, 1, **row)
        change_bill(tx, token, **bill)

        assert [one.submit_token for one in former_tasks.unasked(tx, claim)] == ([token] if is_found else [])
        has_digest = bill.get("content_sha256", DIGEST) == DIGEST and "bot_type" not in bill
        digests = former_tasks.digests_without_result(tx, [DIGEST], BotType.MID_JOURNEY)
        assert digests == ([DIGEST] if has_digest else [])


def test_a_claim_of_other_bytes_asks_about_nothing_but_what_its_own_row_was_sent_for(database: Database) -> None:
    with database.writing() as tx:
        token = given_up(tx)
        claim = claim_of(tx, "quite other bytes")
        assert former_tasks.unasked(tx, claim) == []
        assert former_tasks.digests_without_result(tx, ["another"], BotType.MID_JOURNEY) == []

        change_bill(tx, token, image_id=claim.image_id)
        assert [one.submit_token for one in former_tasks.unasked(tx, claim)] == [token]


@pytest.mark.parametrize("status", Status)
def test_an_answer_goes_to_its_own_row_or_to_the_one_that_asks_where_that_cannot_take_it(
    database: Database, status: Status
) -> None:
    takes_it = status in {Status.FAILED, Status.PENDING, Status.IN_DOUBT}
    with database.writing() as tx:
        token = given_up(tx)
        change_bill(tx, token, claimed_at=tx.now - timedelta(seconds=40), unheard_since=rows.LONG_AGO)
        claim = claim_of(tx)
        change_row(tx, 1, status=status.value)
        (found,) = former_tasks.unasked(tx, claim)

        whose = 1 if takes_it else claim.image_id
        batch_id = claim.batch.batch_id
        assert found == GivenUp(whose, "task-1", token, ME, batch_id, age=40.0, is_unheard=True)
        assert former_tasks.latest_of(tx, 77, token) == GivenUp(
            1 if takes_it else 77, "task-1", token, ME, batch_id, age=40.0, is_unheard=True
        )
        assert [one.submit_token for one in late_results.given_up(tx, ME)] == ([token] if takes_it else [])


def test_a_token_that_the_bill_does_not_know_or_that_has_no_task_names_no_former_task(database: Database) -> None:
    with database.writing() as tx:
        token = given_up(tx)
        assert former_tasks.latest_of(tx, 1, "another") is None

        change_bill(tx, token, task_id=None)
        assert former_tasks.latest_of(tx, 1, token) is None


@pytest.mark.parametrize(
    ("unheard", "is_patient"),
    [(None, True), (timedelta(seconds=299), True), (timedelta(seconds=300), False)],
)
def test_a_row_waits_a_quarter_of_a_minute_each_time_until_five_minutes_are_over(
    database: Database, unheard: timedelta | None, is_patient: bool
) -> None:
    with database.writing() as tx:
        token = given_up(tx)
        claim = claim_of(tx)
        since = tx.now if unheard is None else tx.now - unheard
        change_bill(tx, token, unheard_since=None if unheard is None else since)
        (former,) = former_tasks.unasked(tx, claim)
        before = rows.image_row(tx, claim.image_id)
        assert not former_tasks.postpone(tx, claim.image_id, "another", former)
        assert rows.image_row(tx, claim.image_id) == before

        assert former_tasks.postpone(tx, claim.image_id, "holder", former) == is_patient
        row = rows.image_row(tx, claim.image_id)
        assert row["not_before"] == (tx.now + timedelta(seconds=15) if is_patient else None)
        assert row["reserved_by"] == (None if is_patient else "holder")
        assert [one["unheard_since"] for one in rows.bill(tx)] == [since, None]

        change_bill(tx, rows.bill(tx)[1]["submit_token"], unheard_since=rows.LONG_AGO)
        former_tasks.was_heard(tx, former)
        assert [one["unheard_since"] for one in rows.bill(tx)] == [None, rows.LONG_AGO]


def test_a_task_that_still_runs_is_waited_for_with_the_price_and_the_silence_of_its_account(
    database: Database,
) -> None:
    with database.writing() as tx:
        token = given_up(tx)
        change_bill(tx, token, price=5, currency="USD")
        former = former_tasks.latest_of(tx, 1, token)
        assert former is not None
        change_row(tx, 1, submit_token=None, task_id=None, account=None, started_at=tx.now, missing_since=tx.now)
        update_account(tx, ME, silence=30.0)
        other_row, other_entry = rows.image_row(tx, 2), rows.bill(tx)[1]

        assert former_tasks.resume(tx, former)
        row = rows.image_row(tx, 1)
        assert (row["status"], row["submit_token"], row["task_id"], row["account"]) == (
            "submitted",
            token,
            "task-1",
            ME,
        )
        assert (row["price"], row["currency"], row["silence_before"]) == (5, "USD", 30.0)
        assert (row["submitted_at"], row["started_at"], row["missing_since"]) == (tx.now, None, None)
        assert (row["reason"], row["ended_at"]) == (None, None)
        found = entry(tx, token)
        assert (found["result"], found["reason"], found["settled_at"]) == (None, None, None)
        assert (rows.image_row(tx, 2), rows.bill(tx)[1]) == (other_row, other_entry)


def test_a_task_whose_bytes_are_on_their_way_again_is_not_waited_for(database: Database) -> None:
    with database.writing() as tx:
        token = given_up(tx)
        former = former_tasks.latest_of(tx, 1, token)
        assert former is not None
        change_row(tx, 2, content_sha256=DIGEST)
        before = entry(tx, token)

        assert not former_tasks.resume(tx, former)
        assert rows.image_row(tx, 1)["status"] == Status.FAILED
        assert entry(tx, token) == before


def test_a_late_answer_is_noted_for_its_own_submission_and_given_to_one_row(database: Database) -> None:
    with database.writing() as tx:
        token = given_up(tx)
        change_row(tx, 1, shares_id=None, reserved_by="holder", reserved_until=tx.now, not_before=tx.now)
        other_row, other_entry = rows.image_row(tx, 2), rows.bill(tx)[1]
        (one,) = late_results.given_up(tx, ME)
        times = RemoteTimes(rows.LONG_AGO, rows.LONG_AGO + A_LITTLE)

        assert late_results.answered_late(tx, ME, one, rows.four_prompts(), "raw", times)
        row, found = rows.image_row(tx, 1), entry(tx, token)
        assert (row["status"], row["submit_token"], row["task_id"]) == ("succeeded", token, "task-1")
        assert (row["ended_at"], row["started_at"]) == (tx.now, rows.LONG_AGO)
        assert (found["result"], found["reason"], found["settled_at"]) == ("succeeded", None, tx.now)
        assert (rows.image_row(tx, 2), rows.bill(tx)[1]) == (other_row, other_entry)


def test_a_row_that_takes_the_answer_of_anothers_task_does_not_bear_its_token(database: Database) -> None:
    with database.writing() as tx:
        token = given_up(tx)
        claim = claim_of(tx)
        change_row(tx, 1, status=Status.REJECTED.value)
        (former,) = former_tasks.unasked(tx, claim)

        assert late_results.answered_late(tx, ME, former, rows.four_prompts(), "raw", RemoteTimes())
        row = rows.image_row(tx, claim.image_id)
        assert (row["status"], row["submit_token"], row["task_id"]) == ("succeeded", None, "task-1")
        assert rows.image_row(tx, 1)["submit_token"] == token
