"""What a row gets of the row with the same bytes, and which row that may be."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.describe.model.events import Event, EventKind
from airflow_midjourney.describe.model.status import BotType, Reason, Status
from airflow_midjourney.describe.table import duplicates, leases
from airflow_midjourney.describe.table.transitions import SHARED
from tests.support import rows

if TYPE_CHECKING:
    from sqlalchemy import Row

    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.database import Database, Transaction

DIGEST = rows.content("the same").content_sha256
A_LITTLE = timedelta(seconds=1)

#: What the first of two rows has, the twin.
TWIN: dict[str, Any] = {
    "status": Status.SUCCEEDED.value,
    "content_sha256": DIGEST,
    "ended_at": rows.LONG_AGO,
    "prompt_1": "one",
    "prompt_2": "two",
    "prompt_3": "three",
    "prompt_4": "four",
    "prompt_count": 4,
    "prompt_raw": "raw",
    "aspect_ratio": "3:2",
    "parser_version": 7,
    "account": "its account",
    "task_id": "1",
    "submitted_at": rows.LONG_AGO,
    "started_at": rows.LONG_AGO + A_LITTLE,
    "finished_at": rows.LONG_AGO + 2 * A_LITTLE,
    "price": 5,
    "attempts": 1,
}


def reserved_beside(tx: Transaction, twin: dict[str, Any]) -> Batch:
    """Have a worker reserve the second of two rows, for the second time."""
    rows.list_images(tx, [rows.listed("a"), rows.listed("b"), rows.listed("c")])
    batch = rows.open_batch(tx)
    for number in (1, 3):
        rows.set_columns(tx, number, status=Status.REJECTED.value)
    rows.set_columns(tx, 2, reservations=1, not_before=tx.now, reason="timeout", detail="before")
    assert [row.key for row in leases.reserve(tx, batch, "holder", 9)] == ["b"]
    rows.set_columns(tx, 1, **TWIN | twin)
    tx.events.clear()
    return batch


def share(tx: Transaction, batch: Batch, **columns: Any) -> bool:
    rows.set_columns(tx, 2, updated_at=tx.now, **columns)
    images = tx.tables.images
    row: Row[Any] = tx.connection.execute(images.select().where(images.c.id == 2)).one()
    return duplicates.share_with_twin(tx, row, DIGEST, batch.started_at)


def test_an_answer_that_is_here_is_given_for_nothing(database: Database) -> None:
    with database.writing() as tx:
        batch = reserved_beside(tx, {})
        before, twin, other = (rows.image_row(tx, number) for number in (2, 1, 3))
        assert share(tx, batch)

        emptied = ("reason", "detail", "reserved_by", "reserved_until", "not_before")
        shared = {name: twin[name] for name in SHARED}
        assert rows.image_row(tx, 2) == before | dict.fromkeys(emptied) | shared | {
            "status": "succeeded",
            "shares_id": 1,
            "price": 0,
            "reservations": 0,
            "ended_at": tx.now,
        }
        assert (rows.image_row(tx, 1), rows.image_row(tx, 3)) == (twin, other)
        assert list(tx.events) == [Event(EventKind.SUCCEEDED), Event(EventKind.SHARED)]


@pytest.mark.parametrize("status", [Status.SUBMITTING, Status.SUBMITTED, Status.IN_DOUBT, Status.FAILED])
def test_a_row_waits_without_a_lease_for_what_is_on_its_way_or_to_be_decided(
    database: Database, status: Status
) -> None:
    with database.writing() as tx:
        batch = reserved_beside(tx, {"status": status.value, "reason": Reason.BANNED.value})
        before = rows.image_row(tx, 2)
        assert share(tx, batch)

        assert rows.image_row(tx, 2) == before | {
            "shares_id": 1,
            "reserved_by": None,
            "reserved_until": None,
            "reservations": 0,
        }
        assert list(tx.events) == []


@pytest.mark.parametrize(
    ("twin", "columns", "is_shared"),
    [
        ({"status": Status.PENDING.value}, {}, False),
        ({"status": Status.REJECTED.value}, {}, False),
        ({"bot_type": BotType.NIJI_JOURNEY.value}, {}, False),
        ({"content_sha256": "another"}, {}, False),
        ({"shares_id": 3}, {}, True),
        ({"shares_id": 3, "status": Status.SUBMITTED.value}, {}, False),
        ({"shares_id": 3, "status": Status.FAILED.value, "reason": "banned"}, {}, False),
    ],
    ids=str,
)
def test_a_twin_has_the_same_bytes_and_bot_and_something_of_its_own_to_share(
    database: Database, twin: dict[str, Any], columns: dict[str, Any], is_shared: bool
) -> None:
    with database.writing() as tx:
        batch = reserved_beside(tx, twin)

        assert share(tx, batch, **columns) == is_shared


WANTED_AGAIN = {"redescribed_at": rows.LONG_AGO, "prompt_count": 4}


@pytest.mark.parametrize(
    ("ended_at", "columns", "is_shared"),
    [
        (rows.LONG_AGO - A_LITTLE, {}, True),
        (rows.LONG_AGO - A_LITTLE, WANTED_AGAIN, False),
        (rows.LONG_AGO, WANTED_AGAIN, True),
        (rows.LONG_AGO - A_LITTLE, WANTED_AGAIN | {"prompt_count": None}, True),
        (rows.LONG_AGO - A_LITTLE, WANTED_AGAIN | {"redescribed_at": None}, True),
    ],
    ids=str,
)
def test_a_row_that_has_prompts_and_is_wanted_again_shares_only_what_is_newer(
    database: Database, ended_at: Any, columns: dict[str, Any], is_shared: bool
) -> None:
    with database.writing() as tx:
        batch = reserved_beside(tx, {"ended_at": ended_at})
        assert share(tx, batch, **columns) == is_shared

        # What is on its way is newer in any case.
        rows.set_columns(tx, 2, status=Status.PENDING.value)
        rows.set_columns(tx, 1, status=Status.SUBMITTED.value)
        assert share(tx, batch, **columns)


@pytest.mark.parametrize(
    ("reason", "ago", "columns", "is_shared"),
    [
        (Reason.BANNED, A_LITTLE, {}, True),
        (Reason.TIMEOUT, A_LITTLE, {}, False),
        (Reason.TIMEOUT, 0 * A_LITTLE, {}, True),
        (Reason.BANNED, A_LITTLE, {"redescribed_at": 0 * A_LITTLE}, False),
        (Reason.BANNED, 0 * A_LITTLE, {"redescribed_at": 0 * A_LITTLE}, True),
        (Reason.TIMEOUT, A_LITTLE, {"redescribed_at": A_LITTLE}, True),
    ],
    ids=str,
)
def test_a_failure_is_shared_if_it_is_the_images_own_or_new(
    database: Database, reason: Reason, ago: timedelta, columns: dict[str, timedelta], is_shared: bool
) -> None:
    with database.writing() as tx:
        failure = {"status": Status.FAILED.value, "reason": reason.value, "ended_at": tx.now - ago}
        batch = reserved_beside(tx, failure)

        moments = {name: tx.now - before for name, before in columns.items()}
        assert share(tx, batch, **moments) == is_shared


def waiting(tx: Transaction, status: Status, twin: dict[str, Any]) -> dict[str, Any]:
    """Have the second of two rows wait for the first, with all that a row that waits may have."""
    reserved_beside(tx, twin)
    moments = dict.fromkeys(("ended_at", "in_doubt_after", "doubt_checked_at", "absent_since"), tx.now - A_LITTLE)
    lease = {"reserved_by": None, "reserved_until": None, "reservations": 0, "not_before": None}
    doubt = moments if status is Status.IN_DOUBT else {}
    rows.set_columns(tx, 2, status=status.value, shares_id=1, attempts=2, **lease, **doubt)
    return rows.image_row(tx, 2)


EMPTY = dict.fromkeys(("ended_at", "in_doubt_after", "doubt_checked_at", "absent_since"))


@pytest.mark.parametrize("status", [Status.PENDING, Status.IN_DOUBT])
@pytest.mark.parametrize("twin", Status)
def test_a_row_that_waits_gets_what_became_of_its_twin(database: Database, status: Status, twin: Status) -> None:
    facts = {"status": twin.value, "reason": "timeout", "detail": "why", "attempts": 3, "not_before": rows.LONG_AGO}
    with database.writing() as tx:
        before = waiting(tx, status, facts)
        moved = duplicates.resolve_shared(tx)
        row, events = rows.image_row(tx, 2), [event.kind for event in tx.events]
        detail = "Shares the bytes and the outcome of row 1: why"

        expected, told = before, []
        if twin is Status.SUCCEEDED:
            shared = {name: rows.image_row(tx, 1)[name] for name in SHARED}
            expected = before | EMPTY | shared | {"status": "succeeded", "price": 0, "reason": None, "detail": None}
            expected, told = expected | {"ended_at": tx.now}, [EventKind.SUCCEEDED, EventKind.SHARED]
        elif twin is Status.FAILED:
            expected = before | EMPTY | {"status": "failed", "reason": "timeout", "detail": detail}
            expected, told = expected | {"ended_at": tx.now}, [EventKind.FAILED]
        elif twin is Status.IN_DOUBT and status is Status.PENDING:
            expected = before | {"status": "in_doubt", "reason": "timeout", "detail": detail, "ended_at": tx.now}
            told = [EventKind.IN_DOUBT]
        elif twin in {Status.PENDING, Status.REJECTED} or (
            status is Status.IN_DOUBT and twin in {Status.SUBMITTING, Status.SUBMITTED}
        ):
            expected = before | EMPTY | {"status": "pending", "shares_id": None, "attempts": 3}
            expected |= {"not_before": rows.LONG_AGO}
        assert row | {"updated_at": None} == expected | {"updated_at": None}
        assert moved == (expected != before)
        assert events == told


@pytest.mark.parametrize(
    "columns",
    [{"shares_id": None}, {"shares_id": 99}, *({"status": s.value} for s in (Status.FAILED, Status.SUCCEEDED))],
    ids=str,
)
def test_a_row_that_waits_for_no_twin_gets_nothing_of_any(database: Database, columns: dict[str, Any]) -> None:
    with database.writing() as tx:
        waiting(tx, Status.PENDING, {})
        rows.set_columns(tx, 2, updated_at=tx.now, **columns)
        before = rows.image_row(tx, 2)

        assert duplicates.resolve_shared(tx) == 0
        assert rows.image_row(tx, 2) == before


@pytest.mark.parametrize(
    ("twin", "attempts"),
    [
        ({"status": Status.PENDING.value}, 4),
        ({"status": Status.FAILED.value}, 2),
        ({"status": Status.PENDING.value, "bot_type": BotType.NIJI_JOURNEY.value}, 2),
        ({"status": Status.PENDING.value, "content_sha256": "another"}, 2),
        ({"status": Status.PENDING.value, "attempts": 1}, 2),
    ],
    ids=str,
)
def test_what_the_bytes_have_cost_while_they_wait_counts_for_each_row(
    database: Database, twin: dict[str, Any], attempts: int
) -> None:
    with database.writing() as tx:
        reserved_beside(tx, {"attempts": 4} | twin)
        rows.set_columns(tx, 2, attempts=2)
        images = tx.tables.images
        row = tx.connection.execute(images.select().where(images.c.id == 2)).one()

        assert duplicates.attempts_of_the_bytes(tx, row, DIGEST) == attempts
