"""The UPDATEs of the metadata table, each made from a move: no other module makes one."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import Update, and_, bindparam

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement

    from airflow_midjourney.describe.table.database import Transaction
    from airflow_midjourney.describe.table.transitions import Move


def build_update(
    tx: Transaction, move: Move, *which: ColumnElement[bool], held: Mapping[str, Any] | None = None, **facts: Any
) -> Update:
    """Give the UPDATE by which rows make a move, each if it still can.

    :param which: conditions that say which rows.
    :param held: what the writer holds of the columns that the move compares: a value, or the list of all that it holds.
    :param facts: the columns that the move takes.
    :raises TypeError: if the move compares or takes other columns.
    """
    if set(held or ()) != set(move.value.held):
        raise TypeError(f"{move.name} compares {', '.join(move.value.held) or 'no column'}.")
    columns = tx.tables.images.c
    compared = (
        columns[name].in_(value) if isinstance(value, list) else columns[name] == value
        for name, value in (held or {}).items()
    )
    return tx.tables.images.update().where(and_(*which, *compared, move.guard(tx))).values(move.columns(tx, facts))


def move_rows(
    tx: Transaction, move: Move, *which: ColumnElement[bool], held: Mapping[str, Any] | None = None, **facts: Any
) -> int:
    """Let rows make a move, each if it still can.

    :param which: conditions that say which rows.
    :param held: see :func:`build_update`.
    :param facts: the columns that the move takes.
    :return: how many made it.
    """
    return tx.connection.execute(build_update(tx, move, *which, held=held, **facts)).rowcount


@dataclass(frozen=True, slots=True)
class RowFacts:
    """One row of many that make the same move.

    :param held: what the writer holds of the columns that the move compares.
    :param facts: the columns that the move takes.
    """

    image_id: int
    facts: Mapping[str, Any]
    held: Mapping[str, Any] = field(default_factory=dict)


def move_each(tx: Transaction, move: Move, rows: Sequence[RowFacts]) -> None:
    """Let rows make a move, each with facts of its own. The writer has locked them, and knows that they can.

    Rows whose writer brings the same columns go into one statement.
    """
    alike: dict[tuple[str, ...], list[RowFacts]] = defaultdict(list)
    for row in rows:
        alike[tuple(row.facts)].append(row)
    for names, some in alike.items():
        update = build_update(
            tx,
            move,
            tx.tables.images.c.id == bindparam("row_id"),
            held={name: bindparam(f"held_{name}") for name in some[0].held},
            **{name: bindparam(f"new_{name}") for name in names},
        )
        tx.connection.execute(update, [_parameters(row) for row in some])


def _parameters(row: RowFacts) -> dict[str, Any]:
    held = {f"held_{name}": value for name, value in row.held.items()}
    return {"row_id": row.image_id} | held | {f"new_{name}": value for name, value in row.facts.items()}
