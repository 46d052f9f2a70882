"""Claims that go together come to what each would come to alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_midjourney.describe.admin.erase import erase
from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.model.status import Reason, Status
from airflow_midjourney.describe.table import claims, leases, results, submissions
from airflow_midjourney.describe.table.claims import ClaimResult
from airflow_midjourney.describe.table.results import RemoteTimes
from tests.support import rows

if TYPE_CHECKING:
    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.claims import Claim
    from airflow_midjourney.describe.table.database import Database, Transaction

#: Bytes that were described, erased, given up, are on their way, or belong to no row yet.
BODIES = ("described", "erased", "given up", "on its way", "new", "newer", "newest")


@pytest.fixture
def batch(database: Database) -> Batch:
    """A batch over a table that has met some bytes before."""
    with database.writing() as tx:
        batch = rows.open_batch(tx, max_attempts=1)
        for folder, body in (("in", "described"), ("gone", "erased")):
            rows.list_images(tx, [rows.listed(f"{folder}/{body}")])
            row = rows.submit_next(tx, batch, body, body)
            assert rows.described(tx, row, rows.four_prompts(), "raw", RemoteTimes())
        rows.list_images(tx, [rows.listed("in/given up")])
        row = rows.submit_next(tx, batch, "given up", "given up")
        assert results.ended(tx, row, Reason.TIMEOUT, "too long", RemoteTimes(), "") is Status.FAILED
        rows.set_columns(tx, row.id, ended_at=rows.LONG_AGO)
        rows.list_images(tx, [rows.listed("in/on its way")])
        rows.submit_next(tx, batch, "on its way", "on its way")
    erase(database, [Scope("photos", ("gone/",))], "a run")
    return batch


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(bodies=st.lists(st.sampled_from(BODIES), min_size=1, max_size=6), room=st.integers(0, 8))
def test_together_or_alone_they_come_to_the_same(
    bodies: list[str], room: int, database: Database, batch: Batch
) -> None:
    together = _outcome(database, batch, bodies, room, alone=False)
    alone = _outcome(database, batch, bodies, room, alone=True)

    assert together[ClaimResult.CLAIMED] == alone[ClaimResult.CLAIMED] <= room
    if room >= len(bodies):
        assert together == alone
    assert together[ClaimResult.ERASED] == alone[ClaimResult.ERASED] == bodies.count("erased")


def test_a_repeated_group_comes_to_the_same(database: Database, batch: Batch) -> None:
    with database.writing() as tx:
        wanted = _wanted(tx, batch, ["new", "given up", "newer"])
        billed = len(rows.bill(tx))
        first = claims.claim(tx, wanted, rows.ACCOUNT)
    with database.writing() as tx:
        again = claims.claim(tx, wanted, rows.ACCOUNT)
        assert again == first == [ClaimResult.CLAIMED, ClaimResult.ASK_FIRST, ClaimResult.CLAIMED]
        assert len(rows.bill(tx)) == billed + 2


@pytest.mark.parametrize("meanwhile", ["given back", "doubted", "sent by another"])
def test_a_claim_that_is_repeated_too_late_is_lost(database: Database, batch: Batch, meanwhile: str) -> None:
    with database.writing() as tx:
        wanted = _wanted(tx, batch, ["new"])
        assert claims.claim(tx, wanted, rows.ACCOUNT) == [ClaimResult.CLAIMED]
    with database.writing() as tx:
        if meanwhile == "doubted":
            rows.set_columns(tx, wanted[0].image_id, in_doubt_after=rows.LONG_AGO)
            submissions.doubt_overdue(tx)
        else:
            submissions.not_taken(tx, wanted[0].submit_token, Outcome.NEVER_SENT, submissions.PostFacts())
        if meanwhile == "sent by another":
            rows.set_columns(tx, wanted[0].image_id, not_before=None)
            rows.submit_next(tx, batch, "again", "new")
        billed = len(rows.bill(tx))
    with database.writing() as tx:
        assert claims.claim(tx, wanted, rows.ACCOUNT) == [ClaimResult.LOST]
        assert rows.claim_alone(tx, wanted[0], rows.ACCOUNT) is ClaimResult.LOST
        assert len(rows.bill(tx)) == billed


def _outcome(database: Database, batch: Batch, bodies: list[str], room: int, *, alone: bool) -> Counter[ClaimResult]:
    """Claim rows with these bytes, and take it back."""
    # One slot is in use.
    account = replace(rows.ACCOUNT, max_in_flight=room + 1)
    with database.writing() as tx:
        undo = tx.connection.begin_nested()
        wanted = _wanted(tx, batch, bodies)
        if alone:
            found = Counter(rows.claim_alone(tx, one, account) for one in wanted)
        else:
            found = Counter(claims.claim(tx, wanted, account))
        sent = [row for row in rows.image_rows(tx) if row["status"] == "submitting"]
        undo.rollback()
    assert len(sent) == found[ClaimResult.CLAIMED]
    assert all(row["attempts"] == 1 and row["submit_token"] for row in sent)
    return found


def _wanted(tx: Transaction, batch: Batch, bodies: list[str]) -> list[Claim]:
    rows.list_images(tx, [rows.listed(f"in/{number}") for number in range(len(bodies))])
    reserved = leases.reserve(tx, batch, "holder", len(bodies))
    return [rows.request(batch, row, body) for row, body in zip(reserved, bodies, strict=True)]
