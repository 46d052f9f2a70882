"""Reserving holds no slot and ends by itself; claiming is exact, and the same however often it is repeated."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.exc import IntegrityError

from airflow_midjourney.describe.engine.context import holders_of, new_holder
from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.model.status import Reason
from airflow_midjourney.describe.table import accounts, counts, leases, submissions
from airflow_midjourney.describe.table import results as results_table
from airflow_midjourney.describe.table.budgets import submissions_left
from airflow_midjourney.describe.table.claims import ClaimResult
from tests.support import rows

if TYPE_CHECKING:
    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.claims import Claim
    from airflow_midjourney.describe.table.database import Database, Transaction

HOUR = timedelta(hours=1)
THREADS = 8


def with_images(tx: Transaction, number: int, **options: Any) -> Batch:
    rows.list_images(tx, [rows.listed(f"{index:03}.jpg") for index in range(number)])
    return rows.open_batch(tx, **options)


def ids(reserved: list[leases.ReservedImage]) -> list[int]:
    return [row.id for row in reserved]


def test_a_reserved_row_is_nobody_elses_until_its_lease_ends(database: Database) -> None:
    with database.writing() as tx:
        batch = with_images(tx, 3)
        first = leases.reserve(tx, batch, "one", 2)
        second = leases.reserve(tx, batch, "two", 5)

        assert (len(first), len(second)) == (2, 1)
        assert set(ids(first)).isdisjoint(ids(second))
        assert leases.reserve(tx, batch, "three", 5) == []
        assert counts.count_open(tx, batch) == counts.OpenRows(pending=3, claimable=0)
        assert accounts.read_account(tx, rows.ACCOUNT.identity).in_flight == 0

        rows.set_columns(tx, first[0].id, reserved_until=tx.now - HOUR)
        assert ids(leases.reserve(tx, batch, "three", 5)) == [first[0].id]


def test_a_retry_takes_over_what_workers_of_its_batch_had_reserved_and_no_others(database: Database) -> None:
    died, alive, elsewhere = new_holder("a_batch"), new_holder("a_batch"), new_holder("aXbatch")
    with database.writing() as tx:
        batch = with_images(tx, 3)
        (lost,) = leases.reserve(tx, batch, died, 1)
        (kept,) = leases.reserve(tx, batch, alive, 1)
        (others,) = leases.reserve(tx, batch, elsewhere, 1)
        rows.claim_alone(tx, rows.request(batch, others, holder=elsewhere), rows.ACCOUNT)
        assert leases.end_leases(tx, holders_of("a_batch")) == 2
        # A worker that is not dead after all goes on until its rows are taken.
        assert rows.claim_alone(tx, rows.request(batch, kept, holder=alive), rows.ACCOUNT) is ClaimResult.CLAIMED

    with database.writing() as tx:
        retry = new_holder("a_batch")
        assert ids(leases.reserve(tx, batch, retry, 5)) == [lost.id]
        assert rows.image_row(tx, lost.id)["reservations"] == 0
        assert rows.claim_alone(tx, rows.request(batch, lost, holder=died), rows.ACCOUNT) is ClaimResult.LOST


def test_reserved_rows_say_all_that_reading_them_needs(database: Database) -> None:
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed("a.jpg", "v1", storage_class="GLACIER")])
        (row,) = leases.reserve(tx, rows.open_batch(tx), "holder", 1)

    assert (row.bucket, row.key, row.etag, row.size_bytes) == ("photos", "a.jpg", "v1", 1000)
    assert (row.last_modified, row.storage_class, row.task_id) == (rows.LONG_AGO, "GLACIER", None)


def test_whoever_lost_its_lease_cannot_claim_reject_or_release(database: Database) -> None:
    with database.writing() as tx:
        batch = with_images(tx, 1)
        (row,) = leases.reserve(tx, batch, "slow", 1)
        rows.set_columns(tx, row.id, reserved_until=tx.now - HOUR)
        leases.reserve(tx, batch, "next", 1)
        before = rows.image_rows(tx)

        assert rows.claim_alone(tx, rows.request(batch, row, holder="slow"), rows.ACCOUNT) is ClaimResult.LOST
        leases.reject(tx, row.id, "slow", Reason.CORRUPT, "", rows.READER)
        leases.release(tx, [row.id], "slow")
        assert rows.image_rows(tx) == before
        assert rows.claim_alone(tx, rows.request(batch, row, holder="next"), rows.ACCOUNT) is ClaimResult.CLAIMED


def test_released_rows_are_free_at_once_and_their_reader_did_not_die(database: Database) -> None:
    with database.writing() as tx:
        batch = with_images(tx, 1)
        for _ in range(10):
            (row,) = leases.reserve(tx, batch, "holder", 1)
            leases.release(tx, [row.id], "holder")

        assert rows.image_row(tx, row.id)["reservations"] == 0
        assert len(leases.reserve(tx, batch, "holder", 1)) == 1


def test_an_image_whose_bytes_three_workers_held_when_they_died_is_not_read_a_fourth_time(database: Database) -> None:
    with database.writing() as tx:
        batch = with_images(tx, 2)
        first, innocent = (row["id"] for row in rows.image_rows(tx))
        rows.set_columns(tx, innocent, not_before=tx.now + HOUR)
        for deaths in range(leases.MOST_DEATHS):
            (held,) = leases.reserve(tx, batch, "worker", 5)
            assert (held.id, held.is_suspected) == (first, deaths > 0)
            for _ in range(2):
                # A commit that went unheard is made again.
                leases.suspect(tx, [held], "worker")
            rows.set_columns(tx, first, reserved_until=tx.now - HOUR)
        rows.set_columns(tx, innocent, not_before=None)
        taken = [*leases.reserve(tx, batch, "worker", 5), *leases.reserve(tx, batch, "worker", 5)]

        assert ids(taken) == [innocent]
        row = rows.image_row(tx, first)
    assert (row["status"], row["reason"]) == ("rejected", "unprocessable")
    assert row["ended_at"] is not None


def test_a_worker_that_dies_before_it_holds_the_bytes_or_after_it_decoded_them_counts_against_no_image(
    database: Database,
) -> None:
    with database.writing() as tx:
        batch = with_images(tx, 1)
        for decodes in (False, True, False) * 2:
            (held,) = leases.reserve(tx, batch, "worker", 5)
            if decodes:
                leases.suspect(tx, [held], "worker")
                leases.acquit(tx, [held.id], "worker")
            leases.suspect(tx, [replace(held, reservations=7)], "another")
            rows.set_columns(tx, held.id, reserved_until=tx.now - HOUR)

        assert not leases.reserve(tx, batch, "worker", 5)[0].is_suspected


def test_suspected_rows_are_reserved_one_by_one_after_all_others(database: Database) -> None:
    with database.writing() as tx:
        batch = with_images(tx, 4)
        first, second, *others = leases.reserve(tx, batch, "worker", 4)
        leases.suspect(tx, [first, second], "worker")
        leases.end_leases(tx, "worker")

    with database.writing() as tx:
        assert ids(leases.reserve(tx, batch, "next", 5)) == ids(others)
        assert ids(leases.reserve(tx, batch, "next", 5)) == [first.id]
        assert ids(leases.reserve(tx, batch, "next", 5)) == [second.id]


def test_rows_that_wait_for_their_time_are_not_reserved(database: Database) -> None:
    with database.writing() as tx:
        batch = with_images(tx, 1)
        (row,) = rows.image_rows(tx)
        rows.set_columns(tx, row["id"], not_before=tx.now + HOUR)
        assert leases.reserve(tx, batch, "holder", 1) == []

        rows.set_columns(tx, row["id"], not_before=tx.now - HOUR)
        assert len(leases.reserve(tx, batch, "holder", 1)) == 1


def test_workers_that_reserve_at_once_share_the_rows_between_them(database: Database) -> None:
    with database.writing() as tx:
        batch = with_images(tx, 40)

    def reserve(number: int) -> list[int]:
        with database.writing() as tx:
            return ids(leases.reserve(tx, batch, f"worker-{number}", 7))

    with ThreadPoolExecutor(4) as threads:
        taken = [image_id for part in threads.map(reserve, range(6)) for image_id in part]

    assert len(taken) == len(set(taken)) == 40


def test_a_claim_writes_row_and_bill_in_one_go(database: Database) -> None:
    account = replace(rows.ACCOUNT, price=Decimal("0.05"), currency="USD")
    with database.writing() as tx:
        batch = with_images(tx, 1, max_attempts=3)
        result, wanted = rows.claim_next(tx, batch, "bytes", account)
        (row,), (entry,) = rows.image_rows(tx), rows.bill(tx)

    assert result is ClaimResult.CLAIMED
    assert (row["status"], row["submit_token"], row["account"]) == ("submitting", wanted.submit_token, account.identity)
    assert (row["attempts"], row["max_attempts"]) == (1, 3)
    assert (row["content_sha256"], row["media_type"]) == (wanted.content.content_sha256, "image/jpeg")
    assert (row["width"], row["height"], row["version_id"]) == (64, 48, "version-1")
    assert (row["dag_id"], row["run_id"], row["dag_task_id"]) == ("dag", "run", "task")
    assert (row["reserved_by"], row["reservations"]) == (None, 0)
    assert (row["in_doubt_after"] - row["updated_at"]).total_seconds() == account.doubt_after
    assert (entry["image_id"], entry["submit_token"], entry["outcome"]) == (row["id"], wanted.submit_token, "sent")
    assert (entry["price"], entry["currency"], entry["batch_id"]) == (Decimal("0.05"), "USD", batch.batch_id)


def test_what_was_read_is_kept_for_its_own_row_when_there_is_no_room(database: Database) -> None:
    with database.writing() as tx:
        batch = with_images(tx, 2)
        _, row = leases.reserve(tx, batch, "holder", 2)
        before, _ = rows.image_rows(tx)
        rows.set_account(tx, paused=True)

        for claim in (rows.claim_alone, rows.claim):
            assert claim(tx, rows.request(batch, row, "bytes")) is ClaimResult.NO_ROOM
            other, read = rows.image_rows(tx)
            assert other == before
            assert (read["content_sha256"], read["reader"]) == (rows.content("bytes").content_sha256, rows.READER)


def test_a_row_that_has_ended_is_not_claimed_though_its_lease_still_holds(database: Database) -> None:
    with database.writing() as tx:
        batch = with_images(tx, 1)
        (row,) = leases.reserve(tx, batch, "holder", 1)
        rows.set_columns(tx, row.id, status="failed")

        assert rows.claim_alone(tx, rows.request(batch, row)) is ClaimResult.LOST
        assert rows.bill(tx) == []


def test_a_claim_whose_commit_went_unheard_is_repeated_for_nothing(database: Database) -> None:
    with database.writing() as tx:
        batch = with_images(tx, 1)
        result, wanted = rows.claim_next(tx, batch)
        before = rows.image_rows(tx)

        assert rows.claim_alone(tx, wanted, rows.ACCOUNT) is result is ClaimResult.CLAIMED
        assert rows.image_rows(tx) == before
        assert len(rows.bill(tx)) == 1


def claim_all(database: Database, wanted: list[Claim], limit: int) -> list[ClaimResult]:
    account = replace(rows.ACCOUNT, max_in_flight=limit)

    def claim(request: Claim) -> ClaimResult:
        with database.writing() as tx:
            return rows.claim_alone(tx, request, account)

    with ThreadPoolExecutor(4) as threads:
        return list(threads.map(claim, wanted))


def test_slots_are_exact_however_many_claim_at_once(database: Database) -> None:
    with database.writing() as tx:
        batch = with_images(tx, 20)
        wanted = [rows.request(batch, row) for row in leases.reserve(tx, batch, "holder", 20)]

    results = claim_all(database, wanted, limit=7)

    assert results.count(ClaimResult.CLAIMED) == 7
    assert results.count(ClaimResult.NO_ROOM) == 13
    with database.reading() as tx:
        assert accounts.read_account(tx, rows.ACCOUNT.identity).in_flight == len(rows.bill(tx)) == 7


def test_the_cap_of_a_run_is_exact_over_its_map_indexes(database: Database) -> None:
    with database.writing() as tx:
        batches = [with_images(tx, 20, max_submissions=5, map_index=index) for index in range(4)]
        reserved = leases.reserve(tx, batches[0], "holder", 20)
        wanted = [rows.request(batches[row.id % 4], row) for row in reserved]
        other = rows.open_batch(tx, run_id="other", max_submissions=5)

    results = claim_all(database, wanted, limit=50)

    assert results.count(ClaimResult.CLAIMED) == 5
    assert results.count(ClaimResult.CAPPED) == 15
    with database.reading() as tx:
        assert [submissions_left(tx, batch, rows.ACCOUNT) for batch in (*batches, other)] == [0, 0, 0, 0, 5]


def test_what_cost_nothing_does_not_count_towards_a_cap(database: Database) -> None:
    with database.writing() as tx:
        batch = with_images(tx, 1, max_submissions=1)
        _, wanted = rows.claim_next(tx, batch)
        assert submissions_left(tx, batch, rows.ACCOUNT) == 0

        submissions.not_taken(tx, wanted.submit_token, Outcome.FULL, submissions.PostFacts(200, 23))
        assert submissions_left(tx, batch, rows.ACCOUNT) == 1
        outcomes_of = rows.claim_next(tx, batch)
        submissions.ambiguous(tx, outcomes_of[1].submit_token, submissions.PostFacts())
        assert submissions_left(tx, batch, rows.ACCOUNT) == 0


@pytest.mark.parametrize("blocking", [{"paused": True}, {"blocked_until": rows.LONG_AGO.replace(year=2999)}])
def test_a_paused_or_blocked_account_claims_nothing(database: Database, blocking: dict[str, Any]) -> None:
    with database.writing() as tx:
        batch = with_images(tx, 1)
        rows.set_account(tx, **blocking)

        assert rows.claim_next(tx, batch)[0] is ClaimResult.NO_ROOM
        assert accounts.read_account(tx, rows.ACCOUNT.identity).room(rows.ACCOUNT) == 0
        assert rows.bill(tx) == []


def test_after_a_no_one_at_a_time_is_sent_until_there_is_a_yes(database: Database) -> None:
    identity = rows.ACCOUNT.identity
    with database.writing() as tx:
        batch = with_images(tx, 4)
        accounts.open_breaker(tx, identity, "full", None, failing=False)
        rows.set_account(tx, blocked_until=tx.now, blocked_at=tx.now - HOUR)
        wanted = [rows.request(batch, row) for row in leases.reserve(tx, batch, "holder", 4)]
        first, second, third = (rows.claim_alone(tx, request, rows.ACCOUNT) for request in wanted[:3])
        assert (first, second, third) == (ClaimResult.CLAIMED, ClaimResult.NO_ROOM, ClaimResult.NO_ROOM)

        rows.set_account(tx, blocked_until=tx.now)
        assert rows.claim_alone(tx, wanted[1], rows.ACCOUNT) is ClaimResult.CLAIMED
        assert rows.claim_alone(tx, wanted[2], rows.ACCOUNT) is ClaimResult.NO_ROOM

        accounts.close_breaker(tx, identity, tx.now)
        assert rows.claim_alone(tx, wanted[2], rows.ACCOUNT) is ClaimResult.CLAIMED
        assert rows.claim_alone(tx, wanted[3], rows.ACCOUNT) is ClaimResult.CLAIMED


def test_the_index_is_the_fence_between_two_accounts_with_the_same_bytes(database: Database) -> None:
    with database.writing() as tx:
        batch = with_images(tx, 2)
        rows.claim_next(tx, batch, "bytes")
        waiting = rows.image_rows(tx)[1]["id"]
        values = {"status": "submitting", "content_sha256": rows.content("bytes").content_sha256}

    with pytest.raises(IntegrityError), database.writing() as tx:
        rows.set_columns(tx, waiting, **values)


def test_old_prompts_stay_while_an_image_is_described_again(database: Database) -> None:
    with database.writing() as tx:
        batch = with_images(tx, 1)
        rows.described(tx, rows.submit_next(tx, batch), rows.four_prompts(), "raw", results_table.RemoteTimes())
        (row,) = rows.image_rows(tx)
        rows.set_columns(tx, row["id"], status="pending")
        sent = rows.submit_next(tx, batch, "2")
        results_table.ended(tx, sent, Reason.BANNED, "no", results_table.RemoteTimes(), "")
        (row,) = rows.image_rows(tx)

    assert (row["status"], row["prompt_1"], row["prompt_raw"]) == ("failed", "one", "raw")


def test_only_rows_of_the_scope_are_reserved(database: Database) -> None:
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed(key) for key in ("a/1", "b/1", "b/2")])
        batch = rows.open_batch(tx, Scope(rows.BUCKET, ("b/",)))

        assert [row.key for row in leases.reserve(tx, batch, "holder", 9)] == ["b/1", "b/2"]
