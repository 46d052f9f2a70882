"""A person asks for images to be described again: with the price, once, with a name, and nothing that is on its way."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.describe.admin.redescribe import Price, ask_again, follow_up, offer
from airflow_midjourney.describe.model.batch import BatchOptions, Origin, Scope
from airflow_midjourney.describe.model.status import BotType, Reason, Status
from airflow_midjourney.describe.table import batches, leases, matching
from airflow_midjourney.describe.table import results as results_table
from airflow_midjourney.describe.table.claims import ClaimResult
from airflow_midjourney.describe.table.matching import Asker
from airflow_midjourney.describe.table.orders.seen_rows import SeenRow, name_submission
from tests.support import rows

if TYPE_CHECKING:
    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.database import Database, Transaction

DAG = frozenset({"dag"})
PRICED = replace(rows.ACCOUNT, price=Decimal("0.05"), currency="USD")
PRICE = Price(2, Decimal("0.05"), "USD")


def open_run(tx: Transaction, run_id: str) -> Batch:
    scope = Scope(rows.BUCKET, (f"{run_id}/",))
    return batches.open_batch(tx, scope, BatchOptions(), Origin("dag", run_id, "task"))


def one_row(tx: Transaction, batch: Batch, key: str, body: str, reason: Reason | None = None) -> int:
    """Describe an image, or let it fail."""
    rows.list_images(tx, [rows.listed(key)], batch=batch)
    sent = rows.submit_next(tx, batch, task_id=key, body=body, account=PRICED)
    if reason is None:
        rows.described(tx, sent, rows.four_prompts(), "raw", results_table.RemoteTimes())
    else:
        rows.set_columns(tx, sent.id, max_attempts=1)
        results_table.ended(tx, sent, reason, "why", results_table.RemoteTimes(), "")
    return sent.id


@pytest.fixture
def failed(database: Database) -> list[int]:
    """Two images that failed, with bytes of their own."""
    with database.writing() as tx:
        rows.open_batch(tx)
        batch = open_run(tx, "first")
        return [one_row(tx, batch, f"first/{name}.jpg", name, Reason.SERVICE_ERROR) for name in "ab"]


def statuses(database: Database) -> dict[int, str]:
    with database.reading() as tx:
        return {row["id"]: row["status"] for row in rows.image_rows(tx)}


def shown(database: Database, ids: list[int]) -> list[SeenRow]:
    """Give rows as a page shows them at this moment."""
    with database.reading() as tx:
        known = {row["id"]: row for row in rows.image_rows(tx)}
    return [SeenRow(one, known[one]["status"], name_submission(known[one]["submit_token"])) for one in ids]


def ask(
    database: Database,
    ids: list[int],
    request: str = "asked/1",
    dags: frozenset[str] = DAG,
    seen: list[SeenRow] | None = None,
) -> Any:
    chosen = shown(database, ids) if seen is None else seen
    with database.writing() as tx:
        return ask_again(tx, request, "anna", chosen, dags, PRICE)


def test_it_is_recorded_who_asked_when_and_at_which_price(database: Database, failed: list[int]) -> None:
    asked = ask(database, failed)

    with database.reading() as tx:
        (request,) = tx.connection.execute(tx.tables.requests.select()).mappings()
        found = follow_up(tx, "asked/1", DAG, "bob")
        hidden = follow_up(tx, "asked/1", frozenset({"other"}), "anna")
        row = rows.image_row(tx, failed[0])
    assert asked.image_ids == tuple(failed)
    assert (request["asked_by"], request["image_ids"]) == ("anna", failed)
    assert (request["price"], request["currency"]) == (Decimal("0.05"), "USD")
    assert found is not None
    assert (found.by_dag, found.by_status) == ({"dag": 2}, {Status.PENDING: 2})
    assert hidden is None
    assert (row["status"], row["redescribed_by"], row["attempts"]) == ("pending", "asked/1", 0)


def test_pressed_twice_is_once_even_after_it_has_failed_again(database: Database, failed: list[int]) -> None:
    ask(database, failed)
    with database.writing() as tx:
        for one in failed:
            rows.set_columns(tx, one, status="failed", reason="timeout", ended_at=tx.now)
    ask(database, failed[:1], "asked/2")
    with database.writing() as tx:
        rows.set_columns(tx, failed[0], status="failed", reason="timeout", ended_at=tx.now)

    repeated = ask(database, failed)

    assert repeated.repeated
    assert repeated.image_ids == tuple(failed)
    assert set(statuses(database).values()) == {"failed"}


def test_what_is_on_its_way_pending_rejected_or_replaced_is_left_alone(database: Database, failed: list[int]) -> None:
    with database.writing() as tx:
        batch = open_run(tx, "second")
        rows.list_images(tx, [rows.listed(f"second/{number}.jpg") for number in range(4)], batch=batch)
        on_its_way = rows.submit_next(tx, batch, body="x", account=PRICED).id
        _, claimed = rows.claim_next(tx, batch, body="y", account=PRICED)
        (unread,) = leases.reserve(tx, batch, "holder", 1)
        leases.reject(tx, unread.id, "holder", Reason.CORRUPT, "broken", "1")
        rows.set_columns(tx, failed[1], is_current=False)
        ids = [row["id"] for row in rows.image_rows(tx)]
        told = offer(tx, ids, DAG)
    before = statuses(database)

    asked = ask(database, ids)

    assert asked.image_ids == told.image_ids == (failed[0],)
    assert told.left_alone == {"pending": 1, "rejected": 1, "replaced": 1, "submitted": 1, "submitting": 1}
    assert {on_its_way, claimed.image_id} <= set(ids)
    assert statuses(database) == before | {failed[0]: "pending"}


def test_rows_of_dags_that_one_may_not_edit_are_neither_offered_nor_taken(
    database: Database, failed: list[int]
) -> None:
    with database.reading() as tx:
        told = offer(tx, failed, frozenset({"other"}))

    asked = ask(database, failed, dags=frozenset({"other"}))

    assert (told.image_ids, told.left_alone, told.prices) == ((), {}, ())
    assert asked.image_ids == ()
    with database.reading() as tx:
        assert follow_up(tx, "asked/1", DAG, "bob") is None
        assert follow_up(tx, "asked/1", DAG, "anna") is not None
    assert set(statuses(database).values()) == {"failed"}


def test_the_price_is_the_latest_and_the_same_bytes_count_once(database: Database, failed: list[int]) -> None:
    with database.writing() as tx:
        twin = one_row(tx, open_run(tx, "third"), "third/a.jpg", "other bytes")
        rows.set_columns(tx, twin, content_sha256=rows.image_row(tx, failed[0])["content_sha256"])
        tx.connection.execute(tx.tables.submissions.update().values(price=Decimal("0.08")))
        told = offer(tx, [*failed, twin], DAG)
        tx.connection.execute(tx.tables.submissions.update().values(price=None))
        unknown = offer(tx, failed, DAG)

    assert told.prices == (Price(2, Decimal("0.08"), "USD"),)
    assert told.prices[0].total == Decimal("0.16")
    assert unknown.prices[0].total is None


def test_doubtful_images_are_offered_with_a_warning(database: Database, failed: list[int]) -> None:
    with database.writing() as tx:
        rows.set_columns(tx, failed[0], status="in_doubt")
        told = offer(tx, failed, DAG)

    assert (told.image_ids, told.doubtful) == (tuple(failed), 1)


def test_the_next_run_of_the_task_sends_them_through_claims_and_caps_like_any_other(
    database: Database, failed: list[int]
) -> None:
    ask(database, failed)
    capped = replace(PRICED, max_submissions_per_day=3)

    with database.writing() as tx:
        rows.let_time_pass(tx, tx.now - tx.now.replace(microsecond=0))
        batch = open_run(tx, "next")
        earlier = [one.batch_id for one in batches.left_over_batches(tx, batch)]
        reserved = leases.reserve_left_over(tx, batch, earlier, "holder", 5)
        results = [rows.claim(tx, rows.request(batch, row, f"new {row.id}"), capped) for row in reserved]

    assert [row.id for row in reserved] == failed
    # Two were paid for before, and the day allows three.
    assert results == [ClaimResult.CLAIMED, ClaimResult.CAPPED]


def test_an_order_takes_only_rows_that_are_still_what_was_shown(database: Database, failed: list[int]) -> None:
    seen = shown(database, failed)
    ask(database, failed, "asked/2")
    with database.writing() as tx:
        # Another order has had them described again, and they have failed once more.
        for image_id in failed:
            rows.set_columns(tx, image_id, status="failed", submit_token=f"another {image_id}", ended_at=tx.now)

    late = ask(database, failed, "asked/3", seen=seen)

    assert late.image_ids == ()
    assert set(statuses(database).values()) == {"failed"}
    assert ask(database, failed, "asked/4").image_ids == tuple(failed)


def test_a_late_answer_before_the_order_stays(database: Database, failed: list[int]) -> None:
    seen = shown(database, failed)
    with database.writing() as tx:
        rows.set_columns(tx, failed[0], status="succeeded", reason=None, prompt_count=4)

    asked = ask(database, failed, seen=seen)

    assert asked.image_ids == (failed[1],)
    assert statuses(database)[failed[0]] == "succeeded"


def test_a_listing_takes_only_failed_rows_that_are_still_failed_when_it_writes(
    database: Database, failed: list[int]
) -> None:
    with database.writing() as tx:
        batch = open_run(tx, "next")
        asker = Asker(batch.batch_id, BotType.MID_JOURNEY, rows.READER, "failed", batch.started_at)
        page = [rows.listed(f"first/{name}.jpg") for name in "ab"]
        comparison = matching.compare_page(tx, page, asker)
    with database.writing() as tx:
        rows.set_columns(tx, failed[0], status="succeeded", reason=None, prompt_count=4)
    with database.writing() as tx:
        matching.write_page(tx, comparison, asker)

    assert list(statuses(database).values()) == ["succeeded", "pending"]


def test_prompts_stay_until_there_are_new_ones(database: Database) -> None:
    with database.writing() as tx:
        rows.open_batch(tx)
        good = one_row(tx, open_run(tx, "first"), "first/a.jpg", "a")

    asked = ask(database, [good])

    assert asked.image_ids == (good,)
    with database.reading() as tx:
        assert rows.image_row(tx, good)["prompt_1"] == "one"


@pytest.mark.parametrize(
    ("images", "attempts", "most"),
    [
        (2, 1, "0.20"),
        (2, 2, "0.30"),
        # Of few images at most three are sent once more for want of an answer, of many one in a hundred.
        (10, 2, "1.15"),
        (1000, 2, "100.50"),
    ],
)
def test_the_most_it_may_cost_counts_attempts_and_what_is_sent_once_more(images: int, attempts: int, most: str) -> None:
    assert Price(images, Decimal("0.05"), "USD").most(attempts) == Decimal(most)
    assert Price(images).most(attempts) is None
