"""What the bill and the row say of an image that is given up, or whose POST had no answer in time."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from airflow_midjourney.describe.model.events import Event, EventKind
from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.model.status import Reason, Status
from airflow_midjourney.describe.table import submissions
from airflow_midjourney.describe.table.submissions import PostFacts
from tests.support import rows

if TYPE_CHECKING:
    from airflow_midjourney.describe.table.claims import Claim
    from airflow_midjourney.describe.table.database import Database, Transaction

AGAIN_AND_AGAIN = "The service takes other images and turns this one away again and again: "


def claim_now(tx: Transaction, image_id: int) -> Claim:
    """Claim an image that was turned away, though its pause is not over."""
    rows.set_columns(tx, image_id, not_before=None)
    _, sent = rows.claim_next(tx, rows.open_batch(tx))
    assert sent.image_id == image_id
    return sent


def turn_away(database: Database, outcome: Outcome, facts: PostFacts, times: int) -> Claim:
    """Have an image turned away so often, with another one taken after the first time, and claim it once more."""
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed("bad.jpg"), rows.listed("good.jpg")])
        _, sent = rows.claim_next(tx, rows.open_batch(tx))
    for time in range(times):
        with database.writing() as tx:
            assert submissions.not_taken(tx, sent.submit_token, outcome, facts)
            assert rows.image_row(tx, sent.image_id)["status"] == Status.PENDING
        with database.writing() as tx:
            if time == 0:
                rows.submit_next(tx, rows.open_batch(tx))
            sent = claim_now(tx, sent.image_id)
    return sent


@pytest.mark.parametrize(
    ("outcome", "facts", "reason", "said"),
    [
        (Outcome.UNAVAILABLE, PostFacts(500, detail="it broke"), Reason.SERVICE_ERROR, "it broke"),
        (Outcome.DENIED, PostFacts(403), Reason.REFUSED, "HTTP 403, without an explanation"),
    ],
)
def test_an_image_that_is_turned_away_five_times_while_another_is_taken_is_given_up_and_the_bill_says_why(
    database: Database, outcome: Outcome, facts: PostFacts, reason: Reason, said: str
) -> None:
    sent = turn_away(database, outcome, facts, 4)

    with database.writing() as tx:
        assert submissions.not_taken(tx, sent.submit_token, outcome, facts)
        given_up, events, now = rows.image_row(tx, sent.image_id), list(tx.events), tx.now
        entry = rows.bill(tx)[-1]
        assert not submissions.not_taken(tx, sent.submit_token, outcome, facts)
        assert rows.image_row(tx, sent.image_id) == given_up

    assert (given_up["status"], given_up["reason"], given_up["detail"]) == ("failed", reason, AGAIN_AND_AGAIN + said)
    assert (given_up["ended_at"], given_up["in_doubt_after"]) == (now, None)
    assert (entry["outcome"], entry["result"], entry["reason"]) == (outcome, "failed", reason)
    assert entry["settled_at"] == now
    assert events == [Event(EventKind.FAILED, reason=reason)]


def test_an_image_that_was_turned_away_as_often_but_more_than_a_day_ago_is_tried_again(database: Database) -> None:
    facts = PostFacts(429)
    sent = turn_away(database, Outcome.DENIED, facts, 4)

    with database.writing() as tx:
        rows.let_time_pass(tx, timedelta(days=1, minutes=1))
        assert submissions.not_taken(tx, sent.submit_token, Outcome.DENIED, facts)
        row, now = rows.image_row(tx, sent.image_id), tx.now

    assert (row["status"], row["attempts"], row["submit_token"]) == ("pending", 0, None)
    assert row["not_before"] == now + timedelta(seconds=5)


def test_an_answer_that_counts_against_no_image_holds_its_row_up_for_no_time(database: Database) -> None:
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed("a.jpg")])
        _, sent = rows.claim_next(tx, rows.open_batch(tx))
        assert submissions.not_taken(tx, sent.submit_token, Outcome.FULL, PostFacts(429))

        assert rows.image_row(tx, sent.image_id)["not_before"] is None
        assert list(tx.events) == []


def test_a_claim_is_in_doubt_as_soon_as_its_time_is_over_and_not_before_and_says_what_may_have_become_of_it(
    database: Database,
) -> None:
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed("a.jpg"), rows.listed("b.jpg"), rows.listed("c.jpg")])
        batch = rows.open_batch(tx)
        _, over = rows.claim_next(tx, batch)
        _, in_time = rows.claim_next(tx, batch)
        taken = rows.submit_next(tx, batch)
        rows.set_columns(tx, over.image_id, in_doubt_after=tx.now - timedelta(seconds=1))
        rows.set_columns(tx, in_time.image_id, in_doubt_after=tx.now + timedelta(seconds=1))
        rows.set_columns(tx, taken.id, in_doubt_after=tx.now - timedelta(seconds=1))
        tx.events.clear()

        assert submissions.doubt_overdue(tx) == 1
        events, now = list(tx.events), tx.now
        found = {row["id"]: row for row in rows.image_rows(tx)}

    assert events == [Event(EventKind.IN_DOUBT, rows=1)]
    assert [row["status"] for row in found.values()] == ["in_doubt", "submitting", "submitted"]
    doubtful = found[over.image_id]
    assert doubtful["detail"] == "The submission had no answer in time: it may have been taken and billed."
    assert (doubtful["ended_at"], doubtful["in_doubt_after"] is not None) == (now, True)


def test_a_claim_may_wait_for_its_answer_as_long_as_its_account_says(database: Database) -> None:
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed("a.jpg")])
        _, sent = rows.claim_next(tx, rows.open_batch(tx))

        row = rows.image_row(tx, sent.image_id)
        assert row["in_doubt_after"] == tx.now + timedelta(seconds=rows.ACCOUNT.doubt_after)
