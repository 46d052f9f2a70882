"""Intents that the database has lost: which are written again, with what, and to which row."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.model.status import BotType, Status
from airflow_midjourney.describe.table import claims, leases
from airflow_midjourney.describe.table.claims import ClaimResult
from airflow_midjourney.describe.table.doubt import lost_intents
from airflow_midjourney.describe.table.doubt.lost_intents import NO_ROW, Sent
from tests.support import rows

if TYPE_CHECKING:
    from airflow_midjourney.describe.table.claims import Claim
    from airflow_midjourney.describe.table.database import Database, Transaction

ACCOUNT = replace(rows.ACCOUNT, price=Decimal("0.25"), currency="USD")
A_SECOND_AGO = timedelta(seconds=1)


def claimed(tx: Transaction, key: str = "a") -> Claim:
    """Claim an image, with all that may be kept of a claim."""
    rows.list_images(tx, [rows.listed(key)])
    batch = rows.open_batch(tx, max_attempts=3)
    (reserved,) = leases.reserve(tx, batch, "holder", 1)
    origin = replace(batch.origin, logical_date=rows.LONG_AGO, try_number=2, map_index=4)
    claim = replace(rows.request(batch, reserved), callback_digest=f"digest of {key}", origin=origin)
    assert rows.claim(tx, claim, ACCOUNT) is ClaimResult.CLAIMED
    return claim


def lose(tx: Transaction, claim: Claim, *, bill: bool = True, **row: Any) -> None:
    """Put the row back to what it was before it was reserved, and take the claim off the bill."""
    nothing = dict.fromkeys(("submit_token", "account", "in_doubt_after", "content_sha256", "callback_digest"))
    rows.set_columns(tx, claim.image_id, **{"status": Status.PENDING.value, "attempts": 0} | nothing | row)
    if bill:
        entries = tx.tables.submissions
        tx.connection.execute(entries.delete().where(entries.c.submit_token == claim.submit_token))


def test_what_is_written_again_is_what_the_claim_had_written(database: Database) -> None:
    with database.writing() as tx:
        claim = claimed(tx)
        row, entry = rows.image_row(tx, 1), rows.bill(tx)[0]
        lose(tx, claim, reason="timeout", shares_id=7, not_before=rows.LONG_AGO)

        moments = lost_intents.write_again(tx, [Sent(claim, 1.0)], ACCOUNT)
        assert moments == {claim.submit_token: tx.now - A_SECOND_AGO}
        assert rows.image_row(tx, 1) == row
        (again,) = rows.bill(tx)
        assert again | {"id": entry["id"]} == entry | {"claimed_at": tx.now - A_SECOND_AGO}

        assert lost_intents.write_again(tx, [Sent(claim, 5.0)], ACCOUNT) == moments
        assert (rows.image_row(tx, 1), rows.bill(tx)) == (row, [again])


def test_the_attempts_of_the_row_count_on(database: Database) -> None:
    with database.writing() as tx:
        claim = claimed(tx)
        lose(tx, claim, attempts=1)
        lost_intents.write_again(tx, [Sent(claim, 1.0)], ACCOUNT)

        row = rows.image_row(tx, 1)
        assert (row["status"], row["attempts"], row["max_attempts"]) == ("submitting", 2, 3)


@pytest.mark.parametrize("outcome", Outcome)
def test_a_row_alone_that_was_lost_is_claimed_again_only_while_an_answer_is_news(
    database: Database, outcome: Outcome
) -> None:
    is_news = outcome in {Outcome.SENT, Outcome.NEVER_SENT, Outcome.BROKEN_OFF}
    with database.writing() as tx:
        claim, other = claimed(tx, "a"), claimed(tx, "b")
        lose(tx, claim, bill=False)
        bill = tx.tables.submissions
        tx.connection.execute(bill.update().values(outcome=outcome.value))
        entries, untouched = rows.bill(tx), rows.image_row(tx, 2)

        found = lost_intents.write_again(tx, [Sent(claim, 9.0), Sent(other, 9.0)], ACCOUNT)
        assert found == {claim.submit_token: tx.now, other.submit_token: tx.now}
        row = rows.image_row(tx, 1)
        assert row["status"] == ("submitting" if is_news else "pending")
        assert row["submit_token"] == (claim.submit_token if is_news else None)
        assert rows.bill(tx) == entries
        assert rows.image_row(tx, 2) == untouched


def test_a_row_that_was_listed_anew_is_the_one_of_the_same_object_version_and_bot(database: Database) -> None:
    with database.writing() as tx:
        claim = claimed(tx)
        lose(tx, claim)
        images = tx.tables.images
        tx.connection.execute(images.delete())
        rows.list_images(tx, [rows.listed("a")], bot_type=BotType.NIJI_JOURNEY)
        rows.list_images(tx, [rows.listed("a", "another version")])
        rows.list_images(tx, [rows.listed("b")])

        lost_intents.write_again(tx, [Sent(claim, 1.0)], ACCOUNT)
        assert {row["status"] for row in rows.image_rows(tx)} == {"pending"}
        assert [entry["image_id"] for entry in rows.bill(tx)] == [NO_ROW]

        tx.connection.execute(tx.tables.submissions.delete())
        rows.list_images(tx, [rows.listed("a")])
        lost_intents.write_again(tx, [Sent(claim, 1.0)], ACCOUNT)
        (found,) = (row for row in rows.image_rows(tx) if row["status"] == "submitting")
        assert (found["image_uri"], found["image_version"]) == ("s3://photos/a", "etag")
        assert found["bot_type"] == BotType.MID_JOURNEY
        assert [entry["image_id"] for entry in rows.bill(tx)] == [found["id"]]


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.PENDING])
def test_a_row_that_does_not_wait_stays_and_the_answer_is_in_the_bill(database: Database, status: Status) -> None:
    with database.writing() as tx:
        claim = claimed(tx)
        lose(tx, claim, status=status.value)
        before = rows.image_row(tx, 1)

        lost_intents.write_again(tx, [Sent(claim, 1.0)], ACCOUNT)
        assert rows.image_row(tx, 1) == before
        assert [(entry["image_id"], entry["outcome"]) for entry in rows.bill(tx)] == [(1, "sent")]


def test_a_row_whose_twin_is_on_its_way_by_now_waits_and_the_answer_is_in_the_bill(database: Database) -> None:
    with database.writing() as tx:
        claim, twin = claimed(tx, "a"), claimed(tx, "b")
        lose(tx, claim)
        rows.set_columns(tx, twin.image_id, content_sha256=claim.content.content_sha256)

        lost_intents.write_again(tx, [Sent(claim, 1.0)], ACCOUNT)
        assert [row["status"] for row in rows.image_rows(tx)] == ["pending", "submitting"]
        assert {entry["submit_token"] for entry in rows.bill(tx)} == {claim.submit_token, twin.submit_token}


def test_an_account_that_was_lost_with_the_claim_is_made_again(database: Database) -> None:
    with database.writing() as tx:
        claim = claimed(tx)
        lose(tx, claim)
        tx.connection.execute(tx.tables.accounts.delete())

        lost_intents.write_again(tx, [Sent(claim, 1.0)], ACCOUNT)
        assert rows.image_row(tx, 1)["account"] == ACCOUNT.identity


def test_a_claim_writes_all_that_is_known_of_the_image_the_run_and_the_price(database: Database) -> None:
    with database.writing() as tx:
        claim = claimed(tx)
        row, (entry,), content = rows.image_row(tx, 1), rows.bill(tx), claim.content

    assert {name: row[name] for name in claims.content_values(claim)} == {
        "content_sha256": content.content_sha256,
        "media_type": "image/jpeg",
        "width": 64,
        "height": 48,
        "version_id": "version-1",
        "reader": rows.READER,
        "dag_id": "dag",
        "run_id": "run",
        "dag_task_id": "task",
        "map_index": 4,
        "logical_date": rows.LONG_AGO,
        "try_number": 2,
    }
    assert (row["submit_token"], row["callback_digest"]) == (claim.submit_token, "digest of a")
    assert (row["account"], row["batch_id"], row["attempts"]) == (ACCOUNT.identity, claim.batch.batch_id, 1)
    assert (row["max_attempts"], row["silence_before"]) == (3, 0.0)
    assert {name: value for name, value in entry.items() if value is not None} == {
        "id": entry["id"],
        "image_id": 1,
        "submit_token": claim.submit_token,
        "content_sha256": content.content_sha256,
        "bot_type": "MID_JOURNEY",
        "batch_id": claim.batch.batch_id,
        "cap_scope": claim.batch.origin.cap_scope,
        "account": ACCOUNT.identity,
        "outcome": "sent",
        "price": Decimal("0.25"),
        "currency": "USD",
        "dag_id": "dag",
        "run_id": "run",
        "dag_task_id": "task",
        "map_index": 4,
        "try_number": 2,
        "claimed_at": row["updated_at"],
    }
