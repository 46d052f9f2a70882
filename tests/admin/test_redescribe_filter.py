"""A person asks for all of a filter to be described again: what was shown, once each, whatever comes meanwhile."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from airflow_midjourney.describe.admin import redescribe_filter
from airflow_midjourney.describe.admin.redescribe import Price, follow_up
from airflow_midjourney.describe.admin.redescribe_filter import (
    FilterOffer,
    begin_order,
    count_by_dag,
    offer_all,
    rows_shown,
    take_part,
)
from airflow_midjourney.describe.model.batch import BatchOptions, Origin, Scope
from airflow_midjourney.describe.model.status import Reason, Status
from airflow_midjourney.describe.queries.filters import Filters, Span
from airflow_midjourney.describe.table import batches
from airflow_midjourney.describe.table import results as results_table
from tests.support import rows
from tests.support.gallery_scenes import PRICED

if TYPE_CHECKING:
    import pytest

    from airflow_midjourney.describe.table.database import Database, Transaction

DAG = frozenset({"dag"})
BOTH = frozenset({"dag", "other"})
ALL = Filters(reason=Reason.SERVICE_ERROR, within=Span.WEEK)


def fail(tx: Transaction, names: str, dag_id: str = "dag", reason: Reason = Reason.SERVICE_ERROR) -> list[int]:
    """Let images of a DAG fail, each with bytes of its own, a minute ago."""
    rows.open_batch(tx)
    scope = Scope(rows.BUCKET, (f"{dag_id}/{reason}/",))
    batch = batches.open_batch(tx, scope, BatchOptions(), Origin(dag_id, reason, "task"))
    rows.list_images(tx, [rows.listed(f"{dag_id}/{reason}/{name}.jpg") for name in names], batch=batch)
    failed = []
    for name in names:
        key = f"{dag_id} {reason} {name}"
        sent = rows.submit_next(tx, batch, task_id=key, body=key, account=PRICED)
        rows.set_columns(tx, sent.id, max_attempts=1)
        results_table.ended(tx, sent, reason, "why", results_table.RemoteTimes(), "")
        rows.set_columns(tx, sent.id, ended_at=tx.now - timedelta(minutes=1))
        failed.append(sent.id)
    return failed


def told(database: Database, filters: Filters = ALL, dag_ids: frozenset[str] = DAG) -> FilterOffer:
    with database.reading() as tx:
        return offer_all(tx, filters, dag_ids)


def order(
    database: Database,
    found: FilterOffer,
    request: str = "asked/1",
    dag_ids: frozenset[str] = DAG,
    size: int = 2,
    most_parts: int = 99,
) -> list[int]:
    """Carry an order out in parts, as the page does; it may be cut off after some."""
    price = Price(1, Decimal("0.05"), "USD")
    with database.reading() as tx:
        seen = rows_shown(tx, found.order)
    with database.writing() as tx:
        since = begin_order(tx, request, "anna", price)
    taken: list[int] = []
    for start in range(0, len(seen), size)[:most_parts]:
        with database.writing() as tx:
            part = seen[start : start + size]
            taken += take_part(tx, request, "anna", part, dag_ids, price, since)
    return taken


def statuses(database: Database) -> dict[int, str]:
    with database.reading() as tx:
        return {row["id"]: row["status"] for row in rows.image_rows(tx)}


def test_all_of_a_filter_is_priced_and_taken_and_nothing_else(database: Database) -> None:
    with database.writing() as tx:
        wanted = fail(tx, "abcde")
        others = [*fail(tx, "ab", "other"), *fail(tx, "a", reason=Reason.BANNED)]
        old, replaced, described = fail(tx, "xyz")
        rows.set_columns(tx, old, ended_at=tx.now - timedelta(days=8))
        rows.set_columns(tx, replaced, is_current=False)
        rows.set_columns(tx, described, status="succeeded", reason=None)

    found = told(database)
    taken = order(database, found)

    assert found.offer.image_ids == tuple(wanted)
    assert found.offer.prices == (Price(5, Decimal("0.05"), "USD"),)
    assert (found.order.dag_ids, found.order.images, found.fresh, found.more) == (DAG, 5, 0, False)
    assert taken == wanted
    now = statuses(database)
    assert {now[one] for one in wanted} == {"pending"}
    assert {now[one] for one in (*others, old, replaced)} == {"failed"}
    with database.reading() as tx:
        progress = follow_up(tx, "asked/1", DAG, "bob")
        assert progress is not None
        assert (progress.by_status, progress.asked.asked_by) == ({Status.PENDING: 5}, "anna")
        assert sorted(progress.asked.image_ids) == wanted
        assert rows.image_row(tx, wanted[0])["redescribed_by"] == "asked/1"


def test_doubtful_images_are_all_taken_together_and_counted(database: Database) -> None:
    with database.writing() as tx:
        doubtful = fail(tx, "abc")
        for one in doubtful:
            rows.set_columns(tx, one, status="in_doubt", reason=None)

    found = told(database, Filters(status=Status.IN_DOUBT))

    assert (found.offer.doubtful, order(database, found)) == (3, doubtful)


def test_two_people_at_once_take_each_image_once(database: Database) -> None:
    with database.writing() as tx:
        wanted = fail(tx, "abcde")
    annas, bobs = told(database), told(database)

    first = order(database, annas, "asked/1", most_parts=1)
    second = order(database, bobs, "asked/2")
    rest = order(database, annas, "asked/1")

    assert (sorted(first + second), rest) == (wanted, [])


def test_an_order_that_was_cut_off_goes_on_where_it_was_and_then_takes_nothing_twice(database: Database) -> None:
    with database.writing() as tx:
        wanted = fail(tx, "abcde")
    found = told(database)

    first = order(database, found, most_parts=1)
    with database.writing() as tx:
        # The first was sent, and failed once more, before the form came again.
        rows.set_columns(tx, first[0], status="failed", ended_at=tx.now, submit_token="another")
    second = order(database, found, size=3)
    third = order(database, found)

    assert (first + second, third) == (wanted, [])
    with database.reading() as tx:
        progress = follow_up(tx, "asked/1", DAG, "anna")
    assert progress is not None
    assert sorted(progress.asked.image_ids) == wanted


def test_what_ended_after_the_question_or_got_a_late_answer_is_left_alone(database: Database) -> None:
    with database.writing() as tx:
        late, again, unchanged = fail(tx, "abc")
    found = told(database)
    with database.writing() as tx:
        rows.set_columns(tx, late, status="succeeded", reason=None, ended_at=tx.now)
        rows.set_columns(tx, again, submit_token="another", ended_at=tx.now)
        (new,) = fail(tx, "d")
        rows.set_columns(tx, new, ended_at=tx.now)

    assert order(database, found) == [unchanged]
    assert statuses(database)[late] == "succeeded"


def test_what_moves_on_between_the_look_and_its_part_is_left_alone(database: Database) -> None:
    with database.writing() as tx:
        first, second = fail(tx, "ab")
    found = told(database)
    with database.reading() as tx:
        seen = rows_shown(tx, found.order)
    with database.writing() as tx:
        rows.set_columns(tx, first, submit_token="another")
        since = begin_order(tx, "asked/1", "anna", None)
        assert take_part(tx, "asked/1", "anna", seen, DAG, None, since) == [second]


def test_what_ended_a_moment_ago_is_said_and_left_for_the_next_question(database: Database) -> None:
    with database.writing() as tx:
        first, second = fail(tx, "ab")
        # However long this test is held up, it ended no longer ago than a moment.
        rows.set_columns(tx, second, ended_at=tx.now + timedelta(hours=1))

    found = told(database)

    assert (found.offer.image_ids, found.fresh) == ((first,), 1)


def test_of_more_than_an_order_takes_the_first_are_taken_and_no_other_moves_up(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redescribe_filter, "MOST_AT_ONCE", 3)
    with database.writing() as tx:
        wanted = fail(tx, "abcde")
    found = told(database)
    with database.writing() as tx:
        rows.set_columns(tx, wanted[0], status="pending", ended_at=None)

    assert (found.order.images, found.more) == (3, True)
    assert order(database, found) == wanted[1:3]
    assert told(database).offer.image_ids == tuple(wanted[3:])


def test_only_rows_of_dags_that_one_may_edit_then_and_now_are_taken(database: Database) -> None:
    with database.writing() as tx:
        mine, theirs = fail(tx, "ab"), fail(tx, "cd", "other")
    found = told(database, dag_ids=DAG)
    of_both = told(database, dag_ids=BOTH)
    with database.reading() as tx:
        assert count_by_dag(tx, ALL, frozenset({"other"})) == {"other": 2}

    # The right to the other DAG came after the question, or went before its answer.
    assert order(database, found, "asked/1", BOTH) == mine
    assert (of_both.order.dag_ids, order(database, of_both, "asked/2", DAG)) == (BOTH, [])
    assert {statuses(database)[one] for one in theirs} == {"failed"}


def test_twins_in_two_parts_share_one_answer(database: Database) -> None:
    with database.writing() as tx:
        wanted = fail(tx, "abc")
    found = told(database)

    order(database, found, size=1)

    with database.reading() as tx:
        assert len({rows.image_row(tx, one)["redescribed_at"] for one in wanted}) == 1
