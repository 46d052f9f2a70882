"""What may be paid a second time for want of an answer: within bounds, once per bytes, and by its sender's policy."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.describe.model.status import Reason, Status
from airflow_midjourney.describe.table import leases, submissions
from airflow_midjourney.describe.table.doubt import in_doubt
from airflow_midjourney.describe.table.doubt.in_doubt import FEWEST_RESUBMISSIONS
from airflow_midjourney.describe.table.submissions import PostFacts
from tests.support import rows

if TYPE_CHECKING:
    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.database import Database, Transaction

ME = rows.ACCOUNT.identity


def doubt(tx: Transaction, batch: Batch, number: int, body: str | None = None) -> list[int]:
    """Send images of a batch that have no answer, at a service that cannot be asked."""
    have = len(rows.image_rows(tx))
    rows.list_images(tx, [rows.listed(f"{have + place:03}.jpg") for place in range(number)], batch=batch)
    sent = [rows.claim_next(tx, batch, body)[1] for _ in range(number)]
    let_them_be_doubtful(tx)
    return [claim.image_id for claim in sent]


def let_them_be_doubtful(tx: Transaction) -> None:
    images = tx.tables.images
    overdue = images.c.status == Status.SUBMITTING
    tx.connection.execute(images.update().where(overdue).values(in_doubt_after=rows.LONG_AGO))
    submissions.doubt_overdue(tx)
    asked = images.c.status == Status.IN_DOUBT
    tx.connection.execute(images.update().where(asked).values(doubt_checked_at=tx.now))


def test_hourly_runs_share_the_bound_of_the_accounts_day(database: Database) -> None:
    released = 0
    for hour in range(4):
        with database.writing() as tx:
            batch = rows.open_batch(tx, run_id=f"hour-{hour}")
            doubt(tx, batch, 3)
            released += len(in_doubt.release_for_resubmission(tx, batch, ME))
            # They are sent, and have an answer this time.
            images = tx.tables.images
            tx.connection.execute(
                images.update().where(images.c.status == Status.PENDING).values(status="succeeded", ended_at=tx.now)
            )
    assert released == FEWEST_RESUBMISSIONS

    with database.writing() as tx:
        rows.let_time_pass(tx, timedelta(days=1))
        assert len(in_doubt.release_for_resubmission(tx, batch, ME)) == FEWEST_RESUBMISSIONS


@pytest.mark.parametrize(("sender", "other", "released"), [("hold", "resubmit", 0), ("resubmit", "hold", 2)])
def test_its_senders_policy_counts_and_no_other_batchs(
    database: Database, sender: str, other: str, released: int
) -> None:
    with database.writing() as tx:
        doubt(tx, rows.open_batch(tx, run_id="sender", in_doubt=sender), 2)
        beside: Any = rows.open_batch(tx, run_id="other", in_doubt=other)

        assert len(in_doubt.release_for_resubmission(tx, beside, ME)) == released


def test_the_same_bytes_are_sent_once_more_however_many_rows_have_them(database: Database) -> None:
    with database.writing() as tx:
        batch = rows.open_batch(tx)
        first, *_ = doubt(tx, batch, 1, "the bytes")
        assert len(in_doubt.release_for_resubmission(tx, batch, ME)) == 1
        (row,) = leases.reserve(tx, batch, "holder", 1)
        again = rows.request(batch, row, "the bytes")
        rows.claim(tx, again)
        submissions.refused(tx, again.submit_token, Reason.BANNED, PostFacts(200))
        rows.set_columns(tx, first, status="rejected", reason="replaced")
        doubt(tx, batch, 1, "the bytes")

        assert in_doubt.release_for_resubmission(tx, batch, ME) == []


def test_two_doubtful_rows_with_the_same_bytes_are_one(database: Database) -> None:
    with database.writing() as tx:
        batch = rows.open_batch(tx)
        ids = doubt(tx, batch, 2)
        digest = rows.image_row(tx, ids[0])["content_sha256"]
        rows.set_columns(tx, ids[1], content_sha256=digest)

        assert in_doubt.release_for_resubmission(tx, batch, ME) == ["s3://photos/000.jpg"]
