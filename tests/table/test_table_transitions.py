"""Every move of a row is written in one place, and does to a row what that place says."""

from __future__ import annotations

import ast
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Boolean, Float, Integer, Numeric, insert

from airflow_midjourney import describe
from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.describe.table.columns import UTCDateTime
from airflow_midjourney.describe.table.transitions import (
    MOVES,
    UNLISTED,
    DoubtMove,
    LeaseMove,
    ListingMove,
    Move,
    ResultMove,
    transition,
)
from airflow_midjourney.describe.table.updates import RowFacts, build_update, move_each, move_rows
from tests.support import rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Column

    from airflow_midjourney.describe.table.database import Database, Transaction

HOME = Path(transition.__file__)
ENGINE = Path(describe.__file__).parent

#: Tables that other modules update; the metadata table is none of them.
OTHER_TABLES = {"batches", "submissions", "accounts", "requests", "meta"}

#: The type of a column in an exported file, which writes nothing to the table; and the one UPDATE, made of a move.
NAMES_THE_COLUMN = {"exports/arrow.py": ["{'status': …}"], "table/updates.py": ["tx.tables.images.update()"]}

MOVES_OF_A_ROW = [move for move in MOVES if move.value.source != UNLISTED]

BEFORE = datetime(2020, 1, 1, tzinfo=UTC)
BROUGHT = datetime(2021, 1, 1, tzinfo=UTC)


def writes(source: str) -> Iterator[str]:
    """Give each place that writes a status, or makes an UPDATE of a table that is not among the others."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            receiver, method = ast.unparse(node.func.value), node.func.attr
            if method == "update" and not node.args and not node.keywords:
                if receiver.split(".")[-1] not in OTHER_TABLES:
                    yield f"{receiver}.update()"
            elif method == "values" and any(keyword.arg == "status" for keyword in node.keywords):
                yield "values(status=…)"
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "update":
            yield f"update({ast.unparse(node.args[0])})"
        elif isinstance(node, ast.Dict):
            names = [ast.unparse(key) for key in node.keys if key is not None]
            yield from (f"{{{name}: …}}" for name in names if name == "'status'" or name.endswith(".c.status"))


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("tx.tables.images.update().where(a)", "tx.tables.images.update()"),
        ("rows = images\nrows.update()", "rows.update()"),
        ("update(images).where(a)", "update(images)"),
        ("statement.values(status='pending')", "values(status=…)"),
        ("row |= {'status': Status.PENDING.value}", "{'status': …}"),
        ("statement.values({images.c.status: 'pending'})", "{images.c.status: …}"),
    ],
)
def test_a_status_that_is_written_elsewhere_is_noticed(source: str, found: str) -> None:
    assert list(writes(source)) == [found]


@pytest.mark.parametrize("path", sorted(ENGINE.rglob("*.py")), ids=lambda path: str(path.relative_to(ENGINE)))
def test_no_other_module_writes_a_status_or_updates_the_metadata_table(path: Path) -> None:
    if path != HOME:
        assert list(writes(path.read_text())) == NAMES_THE_COLUMN.get(str(path.relative_to(ENGINE)), [])


def test_each_move_is_of_one_kind_and_bears_a_name_of_its_own() -> None:
    kinds = {type(move) for move in MOVES}

    assert kinds == set(Move.__subclasses__())
    assert len({move.name for move in MOVES}) == len({move.value for move in MOVES}) == len(MOVES)
    assert len(MOVES) == sum(len(kind) for kind in kinds)


@pytest.mark.parametrize("move", MOVES)
def test_a_move_writes_each_column_once_and_says_what_happens(move: Move) -> None:
    one = move.value
    columns = [*one.takes, *one.may_take, *one.stamps, *one.empties, *one.zeroes]

    assert len(columns) == len(set(columns))
    assert not {"status", "updated_at"} & set(columns)
    assert one.means.endswith(".")
    assert "|" not in one.means


def value(column: Column[Any], moment: datetime, number: int) -> Any:
    """Give a value of a column's type, another one for another number."""
    if isinstance(column.type, UTCDateTime):
        return moment
    if isinstance(column.type, Boolean):
        return number % 2 == 0
    if isinstance(column.type, (Integer, Float, Numeric)):
        return number
    return f"{column.name} {number}"


def full_row(tx: Transaction, status: Status, number: int) -> dict[str, Any]:
    """Put a row into the table of which every column holds something."""
    columns = tx.tables.images.columns
    facts = {column.name: value(column, BEFORE, number) for column in columns} | {"status": status.value}
    tx.connection.execute(insert(tx.tables.images), [facts])
    return rows.image_row(tx, number)


def facts_of(tx: Transaction, move: Move, number: int) -> dict[str, Any]:
    columns = tx.tables.images.c
    names = (*move.value.takes, *move.value.may_take)
    return {name: value(columns[name], BROUGHT, number) for name in names}


def expected(tx: Transaction, move: Move, row: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
    one = move.value
    if Status(row["status"]) not in one.source:
        return row
    written = dict.fromkeys(one.stamps, tx.now) | dict.fromkeys(one.empties) | dict.fromkeys(one.zeroes, 0)
    target = {} if one.target is None else {"status": one.target.value}
    return row | facts | written | target | ({} if one.is_mark else {"updated_at": tx.now})


@pytest.mark.parametrize("status", Status)
def test_a_row_that_can_make_a_move_has_then_what_the_move_says_and_any_other_is_left_alone(
    database: Database, status: Status
) -> None:
    with database.writing() as tx:
        for step, move in enumerate(MOVES_OF_A_ROW):
            number = 10 * step + 1
            row = full_row(tx, status, number)
            facts = facts_of(tx, move, number + 1)
            this_one = tx.tables.images.c.id == number
            held = {name: row[name] for name in move.value.held}
            for name in move.value.held:
                assert move_rows(tx, move, this_one, held=held | {name: "another"}, **facts) == 0
                assert rows.image_row(tx, number) == row

            moved = move_rows(tx, move, this_one, held=held, **facts)

            assert moved == (status in move.value.source), move
            assert rows.image_row(tx, number) == expected(tx, move, row, facts), move


def test_rows_that_move_together_each_get_their_own_facts_and_a_row_that_cannot_stays(database: Database) -> None:
    with database.writing() as tx:
        waiting = [full_row(tx, Status.SUBMITTED, number) for number in (1, 3)]
        ended = full_row(tx, Status.FAILED, 5)
        facts = {row["id"]: facts_of(tx, ResultMove.DESCRIBE, row["id"] + 1) for row in (*waiting, ended)}
        del facts[3]["started_at"]
        held = {row["id"]: {"submit_token": row["submit_token"]} for row in (*waiting, ended)}

        move_each(tx, ResultMove.DESCRIBE, [RowFacts(number, facts[number], held[number]) for number in (1, 3, 5)])

        assert rows.image_row(tx, 1) == expected(tx, ResultMove.DESCRIBE, waiting[0], facts[1])
        assert rows.image_row(tx, 3) == expected(tx, ResultMove.DESCRIBE, waiting[1], facts[3])
        assert rows.image_row(tx, 5) == ended


def test_the_list_of_what_a_writer_holds_stands_for_each_of_it(database: Database) -> None:
    with database.writing() as tx:
        tokens = [full_row(tx, Status.IN_DOUBT, number)["submit_token"] for number in (1, 3, 5)]

        assert move_rows(tx, DoubtMove.LEAVE_IN_DOUBT, held={"submit_token": tokens[:2]}) == 2


@pytest.mark.parametrize(
    ("held", "facts", "message"),
    [
        ({}, {"not_before": BROUGHT}, "POSTPONE compares reserved_by"),
        ({"submit_token": "a"}, {"not_before": BROUGHT}, "POSTPONE compares reserved_by"),
        ({"reserved_by": "a"}, {}, "not_before"),
        ({"reserved_by": "a"}, {"not_before": BROUGHT, "attempts": 1}, "attempts"),
    ],
)
def test_a_writer_that_brings_or_compares_other_columns_than_its_move_is_refused(
    database: Database, held: dict[str, Any], facts: dict[str, Any], message: str
) -> None:
    with database.writing() as tx, pytest.raises(TypeError, match=message):
        build_update(tx, LeaseMove.POSTPONE, held=held, **facts)


def test_a_new_row_has_every_column_that_may_not_be_empty(database: Database) -> None:
    images = database.tables.images
    needed = {column.name for column in images.columns if not column.nullable} - {"id"}
    with database.writing() as tx:
        for move in (ListingMove.LIST, ListingMove.LIST_UNSENDABLE):
            assert needed <= set(move.columns(tx, dict.fromkeys(move.value.takes)))
