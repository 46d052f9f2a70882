"""What a row of each status does not hold: a move leaves behind all that belonged to the status before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Boolean, Float, Integer, Numeric, insert

from airflow_midjourney.describe.model.status import IN_FLIGHT, OPEN, Status
from airflow_midjourney.describe.table.columns import UTCDateTime
from airflow_midjourney.describe.table.transitions import (
    MOVES,
    UNLISTED,
    DoubtMove,
    DuplicateMove,
    Move,
    OrderMove,
    SubmissionMove,
)
from airflow_midjourney.describe.table.updates import move_rows
from tests.support import rows

if TYPE_CHECKING:
    from sqlalchemy import Column

    from airflow_midjourney.describe.table.database import Database, Transaction

DOUBT = {"in_doubt_after", "doubt_checked_at", "absent_since"}
LEASE = {"reserved_by", "reserved_until"}
WHY = {"reason", "detail"}

#: What keeps a row from being sent, or counts how often it was not.
TURN = {*LEASE, "not_before", "reservations"}

#: By the comments of the columns. It is empty, or a counter that is 0.
NEVER_HOLDS = {
    Status.PENDING: {"ended_at", "missing_since", *DOUBT},
    Status.SUBMITTING: {
        *("ended_at", "task_id", "submitted_at", "started_at", "finished_at", "missing_since", "shares_id"),
        *("doubt_checked_at", "absent_since", *TURN, *WHY),
    },
    Status.SUBMITTED: {"ended_at", "shares_id", *DOUBT, *TURN, *WHY},
    Status.SUCCEEDED: {"missing_since", *DOUBT, *TURN, *WHY},
    Status.FAILED: {"missing_since", "reservations", *DOUBT, *LEASE},
    Status.REJECTED: {"missing_since", *DOUBT, *LEASE},
    Status.IN_DOUBT: {"missing_since", "reservations", *LEASE},
}

#: What a row may get while it has the status, but does not bring along.
BEGINS_WITHOUT = {
    Status.PENDING: {*LEASE, "reservations"},
    Status.SUBMITTING: {"called_at"},
    Status.SUBMITTED: {"missing_since"},
}

#: What no row holds that makes the move, though another row of its status may.
NOT_BEFORE_THE_MOVE = {
    # A row with a lease waits for no twin, and one that waits for a twin has no lease.
    SubmissionMove.CLAIM: {"shares_id"},
    DuplicateMove.FAIL_WITH_TWIN: {*LEASE, "reservations"},
    DuplicateMove.DOUBT_WITH_TWIN: {*LEASE, "reservations"},
    DuplicateMove.LEAVE_TWIN: {*LEASE, "reservations"},
    # The claim has emptied them, and what waits for a twin was not claimed.
    SubmissionMove.TAKE_BACK: {"reason", "missing_since"},
    SubmissionMove.ACCEPT: {"reason", "missing_since", "shares_id", *TURN},
    DoubtMove.RECLAIM: {"reason", "shares_id", *TURN},
    OrderMove.RECOVER: {"not_before"},
}

CHANGES = [
    pytest.param(move, source, id=f"{move.name} {source}")
    for move in MOVES
    if move.value.source != UNLISTED and move.value.target is not None
    for source in move.value.source
    if source != move.value.target
]


def value(column: Column[Any]) -> Any:
    if isinstance(column.type, UTCDateTime):
        return rows.LONG_AGO
    if isinstance(column.type, Boolean):
        return True
    if isinstance(column.type, (Integer, Float, Numeric)):
        return 1
    return f"a {column.name}"


def held_by(tx: Transaction, names: set[str]) -> dict[str, Any]:
    """Give something for each of these columns."""
    return {column.name: value(column) for column in tx.tables.images.columns if column.name in names}


def put_row(tx: Transaction, move: Move, source: Status) -> dict[str, Any]:
    """Put a row into the table that holds all that a row of its status may hold.

    One that is to be on its way again may hold still more, since an older release may have left it there: what is left
    of an earlier doubt or task would be taken for the new one's.
    """
    columns = tx.tables.images.columns
    counters = {column.name for column in columns if not column.nullable}
    goes_on_its_way = source not in IN_FLIGHT and move.value.target in IN_FLIGHT
    never = NOT_BEFORE_THE_MOVE.get(move, set()) | (set() if goes_on_its_way else NEVER_HOLDS[source])
    facts = held_by(tx, {column.name for column in columns} - never)
    facts |= dict.fromkeys(never & counters, 0) | {"status": source.value}
    tx.connection.execute(insert(tx.tables.images), [facts])
    return rows.image_row(tx, 1)


@pytest.mark.parametrize(("move", "source"), CHANGES)
def test_a_row_that_changes_its_status_brings_nothing_along_that_has_no_place_there(
    database: Database, move: Move, source: Status
) -> None:
    target = move.value.target
    assert target is not None
    with database.writing() as tx:
        row = put_row(tx, move, source)
        brought = held_by(tx, {*move.value.takes, *move.value.may_take})
        held = {name: row[name] for name in move.value.held}

        assert move_rows(tx, move, held=held, **brought) == 1
        found, now = rows.image_row(tx, 1), tx.now

    absent = (NEVER_HOLDS[target] | BEGINS_WITHOUT.get(target, set())) - set(brought)
    assert {name: found[name] for name in absent if found[name]} == {}
    if target not in OPEN and move is not OrderMove.ERASE:
        assert found["ended_at"] == now
    if move.value.target == Status.SUBMITTED and move is not DoubtMove.RECLAIM:
        assert found["submitted_at"] == now


#: What is left of an erased image: marks, who may be asked about it and when it was, and counters that start anew.
LEFT_OF_AN_ERASED_ROW = {
    *("id", "image_uri", "bucket", "key", "image_version", "is_current", "content_sha256", "bot_type"),
    *("status", "reason", "detail", "created_at", "updated_at"),
}


@pytest.mark.parametrize("source", [pytest.param(status, id=f"ERASE {status}") for status in Status])
def test_of_an_image_that_is_erased_nothing_is_left_but_marks_and_it_is_not_on_its_way(
    database: Database, source: Status
) -> None:
    with database.writing() as tx:
        row = put_row(tx, OrderMove.ERASE, source)
        may_be_erased = source not in IN_FLIGHT

        assert move_rows(tx, OrderMove.ERASE, **held_by(tx, set(OrderMove.ERASE.value.takes))) == may_be_erased
        found = rows.image_row(tx, 1)

    assert {name for name, value in found.items() if value} == (
        LEFT_OF_AN_ERASED_ROW if may_be_erased else {name for name, value in row.items() if value}
    )
