"""The same bytes under two keys cost one POST, whatever becomes of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.model.status import Reason, Status
from airflow_midjourney.describe.table import leases, results, submissions
from airflow_midjourney.describe.table.claims import ClaimResult
from airflow_midjourney.describe.table.doubt import former_tasks
from airflow_midjourney.describe.table.duplicates import resolve_shared
from airflow_midjourney.describe.table.results import RemoteTimes
from airflow_midjourney.describe.table.submissions import PostFacts
from airflow_midjourney.describe.table.transitions import SHARED
from tests.support import rows

if TYPE_CHECKING:
    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.database import Database, Transaction
    from airflow_midjourney.describe.table.results import InFlight

TIMES = RemoteTimes(rows.LONG_AGO, rows.LONG_AGO)


def twins(tx: Transaction, number: int = 2, max_attempts: int = 1) -> Batch:
    rows.list_images(tx, [rows.listed(f"{index}.jpg") for index in range(number)])
    return rows.open_batch(tx, max_attempts=max_attempts)


def leader_and_follower(tx: Transaction, max_attempts: int = 1) -> tuple[Batch, InFlight]:
    """One image on its way, and its twin that waits for it."""
    batch = twins(tx, max_attempts=max_attempts)
    leader = rows.submit_next(tx, batch, body="same")
    assert rows.claim_next(tx, batch, "same")[0] is ClaimResult.SHARED
    return batch, leader


def follower(tx: Transaction) -> dict[str, object]:
    return rows.image_rows(tx)[1]


def test_an_answer_that_is_there_is_shared_at_once(database: Database) -> None:
    with database.writing() as tx:
        batch = twins(tx)
        rows.described(tx, rows.submit_next(tx, batch, body="same"), rows.four_prompts(), "raw", TIMES)
        result, _ = rows.claim_next(tx, batch, "same")
        leader, shared = rows.image_rows(tx)

    assert result is ClaimResult.SHARED
    assert (shared["status"], shared["shares_id"], shared["price"]) == ("succeeded", leader["id"], 0)
    assert {name: shared[name] for name in SHARED} == {name: leader[name] for name in SHARED}
    assert (shared["content_sha256"], shared["dag_id"]) == (leader["content_sha256"], "dag")


def test_a_twin_waits_for_what_is_on_its_way_and_holds_no_slot(database: Database) -> None:
    with database.writing() as tx:
        batch, leader = leader_and_follower(tx)

        assert resolve_shared(tx) == 0
        assert leases.reserve(tx, batch, "holder", 5) == []
        assert (follower(tx)["status"], follower(tx)["shares_id"]) == ("pending", leader.id)

        rows.described(tx, leader, rows.four_prompts(), "raw", TIMES)
        assert resolve_shared(tx) == 1
        assert resolve_shared(tx) == 0
        assert (follower(tx)["status"], follower(tx)["prompt_4"]) == ("succeeded", "four")
        assert len(rows.bill(tx)) == 1


def test_what_the_leader_failed_with_is_the_followers_too(database: Database) -> None:
    with database.writing() as tx:
        _, leader = leader_and_follower(tx)
        results.ended(tx, leader, Reason.BANNED, "not allowed", TIMES, "")
        resolve_shared(tx)

        assert (follower(tx)["status"], follower(tx)["reason"]) == ("failed", "banned")
        assert "not allowed" in str(follower(tx)["detail"])
        assert follower(tx)["ended_at"] is not None


def test_a_doubtful_leader_makes_its_follower_doubtful_until_it_is_known(database: Database) -> None:
    with database.writing() as tx:
        batch = twins(tx)
        _, sent = rows.claim_next(tx, batch, "same")
        rows.claim_next(tx, batch, "same")
        rows.set_columns(tx, sent.image_id, in_doubt_after=rows.LONG_AGO)
        assert submissions.doubt_overdue(tx) == 1
        resolve_shared(tx)
        assert follower(tx)["status"] == "in_doubt"

        assert rows.accepted(tx, sent.submit_token, "1", PostFacts(200, 1))
        rows.described(tx, rows.in_flight(tx, sent.submit_token), rows.four_prompts(), "raw", TIMES)
        resolve_shared(tx)
        assert (follower(tx)["status"], follower(tx)["prompt_1"]) == ("succeeded", "one")
        assert len(rows.bill(tx)) == 1


def test_bytes_that_may_have_been_billed_are_not_sent_under_another_key(database: Database) -> None:
    with database.writing() as tx:
        batch = twins(tx)
        _, sent = rows.claim_next(tx, batch, "same")
        rows.set_columns(tx, sent.image_id, in_doubt_after=rows.LONG_AGO)
        submissions.doubt_overdue(tx)

        assert rows.claim_next(tx, batch, "same")[0] is ClaimResult.SHARED
        resolve_shared(tx)
        assert follower(tx)["status"] == "in_doubt"


def test_when_the_leader_goes_round_again_either_is_sent_and_attempts_count_for_both(database: Database) -> None:
    with database.writing() as tx:
        batch, leader = leader_and_follower(tx, max_attempts=2)
        results.ended(tx, leader, Reason.TIMEOUT, "too long", TIMES, "")
        resolve_shared(tx)
        waiting = follower(tx)
        assert (waiting["status"], waiting["shares_id"], waiting["attempts"]) == ("pending", None, 1)
        assert waiting["not_before"] is not None
        assert leases.reserve(tx, batch, "holder", 5) == []

        for row in rows.image_rows(tx):
            rows.set_columns(tx, row["id"], not_before=None)
        again = rows.submit_next(tx, batch, "2", body="same")
        assert rows.claim_next(tx, batch, "same")[0] is ClaimResult.SHARED
        assert results.ended(tx, again, Reason.TIMEOUT, "too long", TIMES, "") is Status.FAILED
        resolve_shared(tx)
        assert [row["status"] for row in rows.image_rows(tx)] == ["failed", "failed"]
        assert len(rows.bill(tx)) == 2


def test_a_task_that_came_to_nothing_is_asked_about_before_its_bytes_are_paid_for_under_another_key(
    database: Database,
) -> None:
    with database.writing() as tx:
        batch, leader = leader_and_follower(tx, max_attempts=2)
        results.ended(tx, leader, Reason.TIMEOUT, "too long", TIMES, "")
        resolve_shared(tx)
        rows.set_columns(tx, leader.id + 1, not_before=None)
        (row,) = leases.reserve(tx, batch, "holder", 5)
        wanted = rows.request(batch, row, "same")

        assert rows.claim_alone(tx, wanted, rows.ACCOUNT) is ClaimResult.ASK_FIRST
        (former,) = former_tasks.unasked(tx, wanted)
        assert (former.image_id, former.task_id) == (leader.id, leader.task_id)
        assert len(rows.bill(tx)) == 1

        asked = replace(wanted, asked=frozenset([former.submit_token]))
        assert rows.claim_alone(tx, asked, rows.ACCOUNT) is ClaimResult.CLAIMED


def test_when_the_leader_was_not_taken_either_is_sent(database: Database) -> None:
    with database.writing() as tx:
        batch = twins(tx)
        _, sent = rows.claim_next(tx, batch, "same")
        rows.claim_next(tx, batch, "same")
        submissions.not_taken(tx, sent.submit_token, Outcome.FULL, PostFacts(200, 23))
        resolve_shared(tx)

        assert len(leases.reserve(tx, batch, "holder", 5)) == 2
        assert [row["attempts"] for row in rows.image_rows(tx)] == [0, 0]


def test_a_leader_that_was_rejected_lets_its_follower_go(database: Database) -> None:
    with database.writing() as tx:
        batch, leader = leader_and_follower(tx)
        rows.set_columns(tx, leader.id, status="rejected", reason="replaced")
        resolve_shared(tx)

        assert len(leases.reserve(tx, batch, "holder", 5)) == 1


@pytest.mark.parametrize("body", ["other bytes", "same"])
def test_rows_of_other_bytes_or_bots_are_no_twins(database: Database, body: str) -> None:
    with database.writing() as tx:
        batch = twins(tx)
        rows.submit_next(tx, batch, body="same")
        if body == "same":
            rows.set_columns(tx, rows.image_rows(tx)[0]["id"], bot_type="NIJI_JOURNEY")

        assert rows.claim_next(tx, batch, body)[0] is ClaimResult.CLAIMED


def test_many_twins_are_resolved_without_sending_one(database: Database) -> None:
    with database.writing() as tx:
        batch = twins(tx, number=40)
        leader = rows.submit_next(tx, batch, body="same")
        for _ in range(39):
            assert rows.claim_next(tx, batch, "same")[0] is ClaimResult.SHARED
        rows.described(tx, leader, rows.four_prompts(), "raw", TIMES)

        assert resolve_shared(tx) == 39
        assert {row["status"] for row in rows.image_rows(tx)} == {"succeeded"}
        assert len(rows.bill(tx)) == 1


@pytest.mark.parametrize(
    ("reason", "long_ago", "shared"),
    [
        (Reason.BANNED, True, True),
        (Reason.UNPARSEABLE, True, True),
        (Reason.TIMEOUT, True, False),
        (Reason.SERVICE_ERROR, False, True),
    ],
)
def test_a_failure_is_shared_if_it_is_the_images_own_or_of_this_batch(
    database: Database, reason: Reason, long_ago: bool, shared: bool
) -> None:
    with database.writing() as tx:
        batch = twins(tx)
        sent = rows.submit_next(tx, batch, body="same")
        results.ended(tx, sent, reason, "why", TIMES, "")
        if long_ago:
            rows.set_columns(tx, sent.id, ended_at=rows.LONG_AGO)
        result, _ = rows.claim_next(tx, batch, "same")
        resolve_shared(tx)

        assert (result is ClaimResult.SHARED) is shared
        assert (follower(tx)["status"], follower(tx)["reason"]) == (
            ("failed", reason) if shared else ("submitting", None)
        )
        assert len(rows.bill(tx)) == (1 if shared else 2)


def test_what_is_described_again_shares_no_failure_from_before(database: Database) -> None:
    with database.writing() as tx:
        batch = twins(tx)
        sent = rows.submit_next(tx, batch, body="same")
        results.ended(tx, sent, Reason.BANNED, "why", TIMES, "")
    with database.writing() as tx:
        rows.set_columns(tx, rows.image_rows(tx)[1]["id"], redescribed_at=tx.now)

        assert rows.claim_next(tx, batch, "same")[0] is ClaimResult.CLAIMED


def test_what_the_bytes_have_cost_counts_for_a_twin_that_did_not_wait(database: Database) -> None:
    with database.writing() as tx:
        batch = twins(tx, number=3, max_attempts=2)
        first = rows.submit_next(tx, batch, body="same")
        assert results.ended(tx, first, Reason.TIMEOUT, "", TIMES, "") is Status.PENDING
        second = rows.submit_next(tx, batch, "2", body="same")
        assert results.ended(tx, second, Reason.TIMEOUT, "", TIMES, "") is Status.FAILED
        rows.set_columns(tx, first.id, not_before=None)

        for _ in range(2):
            assert rows.claim_next(tx, batch, "same")[0] is ClaimResult.SHARED
        resolve_shared(tx)
        assert [row["status"] for row in rows.image_rows(tx)] == ["failed"] * 3
        assert len(rows.bill(tx)) == 2
