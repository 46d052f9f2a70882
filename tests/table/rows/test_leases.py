"""Which rows a worker may take, in which order, and in what state it gives them back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.model.events import Event, EventKind
from airflow_midjourney.describe.model.status import Reason, Status
from airflow_midjourney.describe.table import claims, leases
from tests.support import rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.database import Database, Transaction

SOON = timedelta(minutes=1)
PREFIX = Scope(rows.BUCKET, ("in/",))


def with_images(tx: Transaction, *keys: str) -> Batch:
    rows.list_images(tx, [rows.listed(key) for key in keys])
    return rows.open_batch(tx)


def taken(tx: Transaction, batch: Batch, limit: int = 9) -> list[str]:
    return [row.key for row in leases.reserve(tx, batch, "holder", limit)]


def reserved(tx: Transaction, **columns: Any) -> dict[str, Any]:
    """Have the only row reserved, after some reservations before."""
    batch = with_images(tx, "a")
    rows.set_columns(tx, 1, **columns)
    assert len(leases.reserve(tx, batch, "holder", 1)) == 1
    return rows.image_row(tx, 1)


def test_a_lease_lasts_five_minutes_and_counts_against_no_image(database: Database) -> None:
    with database.writing() as tx:
        row = reserved(tx, reservations=1)

        assert (row["reserved_by"], row["reservations"]) == ("holder", 1)
        assert row["reserved_until"] == tx.now + timedelta(minutes=5)
        assert row["status"] == Status.PENDING


@pytest.mark.parametrize("status", Status)
def test_only_what_waits_may_be_reserved(database: Database, status: Status) -> None:
    with database.writing() as tx:
        batch = with_images(tx, "a")
        rows.set_columns(tx, 1, status=status.value)

        assert leases.has_claimable(tx, batch) == (status is Status.PENDING)
        assert taken(tx, batch) == (["a"] if status is Status.PENDING else [])


@pytest.mark.parametrize(
    ("column", "moment", "is_free"),
    [
        ("reserved_until", SOON, False),
        ("reserved_until", -SOON, True),
        ("not_before", SOON, False),
        ("not_before", -SOON, True),
        ("not_before", timedelta(0), True),
        ("shares_id", None, False),
    ],
)
def test_a_row_that_another_worker_reads_or_that_waits_for_its_time_or_its_twin_is_not_free(
    database: Database, column: str, moment: timedelta | None, is_free: bool
) -> None:
    with database.writing() as tx:
        batch = with_images(tx, "a", "b")
        rows.set_columns(tx, 2, status=Status.SUCCEEDED.value)
        rows.set_columns(tx, 1, **{column: 2 if moment is None else tx.now + moment})

        assert leases.has_claimable(tx, batch) == is_free
        assert taken(tx, batch) == (["a"] if is_free else [])


def test_rows_that_were_turned_away_come_last_the_longest_waiting_first_and_no_more_than_wanted(
    database: Database,
) -> None:
    with database.writing() as tx:
        batch = with_images(tx, "a", "b", "c", "d")
        for number, seconds in ((1, 10), (2, 20)):
            rows.set_columns(tx, number, not_before=tx.now - timedelta(seconds=seconds))

        assert taken(tx, batch, 1) == ["c"]
        assert taken(tx, batch, 2) == ["b", "d"]
        assert taken(tx, batch, 2) == ["a"]


def test_a_row_whose_worker_died_is_read_alone_and_after_all_others(database: Database) -> None:
    with database.writing() as tx:
        batch = with_images(tx, "a", "b", "c")
        for number in (1, 2):
            rows.set_columns(tx, number, reservations=1)

        assert taken(tx, batch) == ["c"]
        assert taken(tx, batch) == ["a"]
        assert taken(tx, batch) == ["b"]


def test_what_is_pending_furthest_is_given_reserved_or_not_but_for_what_is_known(database: Database) -> None:
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed(key) for key in ("in/1", "in/2", "in/3", "in/4", "in/5", "out/1")])
        batch = rows.open_batch(tx, PREFIX)
        rows.set_columns(tx, 1, status=Status.SUBMITTING.value)
        rows.set_columns(tx, 2, reserved_by="another", reserved_until=tx.now + SOON, reservations=2)

        found = leases.furthest_pending(tx, batch, [4], 9)
        assert [row.is_suspected for row in found] == [False, False, True]
        assert [(row.key, row.reservations) for row in found] == [("in/5", 0), ("in/3", 0), ("in/2", 2)]
        assert leases.furthest_pending(tx, batch, [4], 1) == found[:1]
        assert rows.image_row(tx, 5)["reserved_by"] is None


GIVES_BACK: dict[str, Callable[[Transaction, str], None]] = {
    "release": lambda tx, holder: leases.release(tx, [1], holder),
    "put_last": lambda tx, holder: leases.put_last(tx, 1, holder, 7.5),
}


@pytest.mark.parametrize("how", GIVES_BACK)
def test_a_row_that_is_given_back_has_no_lease_and_counts_against_no_image(database: Database, how: str) -> None:
    with database.writing() as tx:
        before = reserved(tx, reservations=2)
        GIVES_BACK[how](tx, "another")
        assert rows.image_row(tx, 1) == before

        GIVES_BACK[how](tx, "holder")
        row = rows.image_row(tx, 1)
        assert (row["reserved_by"], row["reserved_until"], row["reservations"]) == (None, None, 0)
        assert row["not_before"] == (tx.now + timedelta(seconds=7.5) if how == "put_last" else None)
        assert row["status"] == Status.PENDING


@pytest.mark.parametrize("how", GIVES_BACK)
def test_no_other_row_is_given_back_with_it(database: Database, how: str) -> None:
    with database.writing() as tx:
        batch = with_images(tx, "a", "b")
        leases.reserve(tx, batch, "holder", 2)
        before = rows.image_row(tx, 2)

        GIVES_BACK[how](tx, "holder")
        assert rows.image_row(tx, 2) == before


def test_a_worker_that_has_read_the_image_may_die_without_blaming_it(database: Database) -> None:
    with database.writing() as tx:
        batch = with_images(tx, "a", "b")
        rows.set_columns(tx, 1, reservations=1)
        rows.set_columns(tx, 2, reservations=1)
        (row,) = leases.reserve(tx, batch, "holder", 1)
        other = rows.image_row(tx, 2)
        request = rows.request(batch, row)

        claims.note_content(tx, rows.request(batch, row, holder="another"))
        assert rows.image_row(tx, 1)["reservations"] == 1
        claims.note_content(tx, request)

        found = rows.image_row(tx, 1)
        assert (found["reservations"], found["reserved_by"]) == (0, "holder")
        assert {name: found[name] for name in ("content_sha256", "media_type", "width", "height", "version_id")} == {
            "content_sha256": request.content.content_sha256,
            "media_type": "image/jpeg",
            "width": 64,
            "height": 48,
            "version_id": "version-1",
        }
        assert (found["reader"], found["dag_id"], found["run_id"]) == (rows.READER, "dag", "run")
        assert rows.image_row(tx, 2) == other


def test_a_death_counts_against_the_images_that_are_decoded_until_their_worker_has_survived_it(
    database: Database,
) -> None:
    with database.writing() as tx:
        batch = with_images(tx, "a", "b", "c")
        a, b, _ = leases.reserve(tx, batch, "holder", 3)
        held = [replace(a, reservations=2), b]

        leases.suspect(tx, held, "another")
        assert [row["reservations"] for row in rows.image_rows(tx)] == [0, 0, 0]
        leases.suspect(tx, held, "holder")
        assert [row["reservations"] for row in rows.image_rows(tx)] == [3, 1, 0]
        leases.acquit(tx, [a.id], "another")
        assert [row["reservations"] for row in rows.image_rows(tx)] == [3, 1, 0]
        leases.acquit(tx, [a.id], "holder")
        assert [row["reservations"] for row in rows.image_rows(tx)] == [0, 1, 0]
        assert {row["reserved_by"] for row in rows.image_rows(tx)} == {"holder"}


def test_an_image_that_cannot_be_sent_is_rejected_by_its_worker_alone_and_once(database: Database) -> None:
    with database.writing() as tx:
        batch = with_images(tx, "a", "b")
        leases.reserve(tx, batch, "holder", 2)
        other = rows.image_row(tx, 2)
        tx.events.clear()

        leases.reject(tx, 1, "another", Reason.CORRUPT, "broken", "reader-2")
        assert rows.image_row(tx, 1)["status"] == Status.PENDING
        for _ in range(2):
            leases.reject(tx, 1, "holder", Reason.CORRUPT, "broken", "reader-2")
        row = rows.image_row(tx, 1)

        assert (row["status"], row["reason"], row["detail"], row["reader"]) == (
            "rejected",
            "corrupt",
            "broken",
            "reader-2",
        )
        assert list(tx.events) == [Event(EventKind.REJECTED, reason=Reason.CORRUPT)]
        assert rows.image_row(tx, 2) == other


def test_an_image_whose_three_workers_died_is_unprocessable_and_said_to_be_once(database: Database) -> None:
    with database.writing() as tx:
        batch = with_images(tx, "a", "b")
        rows.set_columns(tx, 2, not_before=tx.now + SOON)
        rows.set_columns(tx, 1, reservations=2, reserved_by="dead", reserved_until=tx.now - SOON)
        assert taken(tx, batch) == ["a"]
        rows.set_columns(tx, 1, reservations=3, reserved_until=tx.now - SOON)
        tx.events.clear()

        assert taken(tx, batch) == []
        row = rows.image_row(tx, 1)
        assert (row["status"], row["reason"]) == ("rejected", "unprocessable")
        assert row["detail"] == "3 workers died while they held this image to decode it."
        assert list(tx.events) == [Event(EventKind.REJECTED, 1, Reason.UNPROCESSABLE)]
        assert rows.image_row(tx, 2)["status"] == Status.PENDING


def test_only_what_the_named_earlier_batches_left_over_is_reserved_of_them(database: Database) -> None:
    with database.writing() as tx:
        first, second = (rows.open_batch(tx, PREFIX, run_id=run) for run in ("1", "2"))
        rows.list_images(tx, [rows.listed("in/1")], batch=first)
        rows.list_images(tx, [rows.listed("in/2")], batch=second)
        now = rows.open_batch(tx, Scope(rows.BUCKET, ("other/",)), run_id="3")
        assert not leases.has_claimable(tx, now)

        assert leases.reserve_left_over(tx, now, [], "holder", 9) == []
        found = leases.reserve_left_over(tx, now, [first.batch_id], "holder", 9)
        assert [row.key for row in found] == ["in/1"]
        assert rows.image_row(tx, 2)["reserved_by"] is None
        rows.set_columns(tx, 1, reserved_until=None, bucket="another")
        assert leases.reserve_left_over(tx, now, [first.batch_id], "holder", 9) == []


def test_the_leases_of_a_dead_worker_end_now_and_no_others(database: Database) -> None:
    with database.writing() as tx:
        batch = with_images(tx, "a", "b", "c")
        for holder in ("dead_1", "deadX1", "dead_2"):
            leases.reserve(tx, batch, holder, 1)
        past = tx.now - SOON
        rows.set_columns(tx, 3, reserved_until=past)

        assert leases.end_leases(tx, "dead_") == 1
        untils = [row["reserved_until"] for row in rows.image_rows(tx)]
        assert untils == [tx.now, tx.now + timedelta(minutes=5), past]
        assert rows.image_row(tx, 1)["reserved_by"] == "dead_1"
