"""What later releases add to the tables, in order. Nothing is ever renamed, removed or made narrower.

A release adds nullable columns, tables and indexes, and names them here under the next number. So the release before it
goes on beside it with the tables that it knows, and its tables need a few statements and no rewriting.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import Column, Index, Table
    from sqlalchemy.engine import Dialect
    from sqlalchemy.engine.reflection import Inspector

    from airflow_midjourney.describe.table.schema import Tables

#: What the tables of version 1 had before anything was added.
FIRST: Final = 1


@dataclass(frozen=True, slots=True)
class Revision:
    """What one release adds. Tables are named as the fields of :class:`~.schema.Tables`.

    :param number: counts from 2.
    :param columns: table and column.
    :param tables: whole tables, with their indexes.
    :param indexes: table and index; the index without the metadata table's name: ``ix_{}_scope``.
    """

    number: int
    columns: tuple[tuple[str, str], ...] = ()
    tables: tuple[str, ...] = ()
    indexes: tuple[tuple[str, str], ...] = ()


REVISIONS: Final = (
    Revision(
        2,
        columns=(("images", "absent_since"), ("batches", "manifest")),
        tables=("members",),
    ),
    Revision(
        3,
        columns=(
            ("images", "callback_digest"),
            ("images", "called_at"),
            ("accounts", "calls_from"),
            ("accounts", "announced_at"),
        ),
        indexes=(("images", "ix_{}_callback"),),
    ),
    Revision(4, indexes=(("batches", "ix_{}_batches_dag"), ("batches", "ix_{}_batches_run"))),
    Revision(
        5,
        tables=("requests",),
        indexes=(
            ("images", "ix_{}_of_dag"),
            ("images", "ix_{}_of_run"),
            ("images", "ix_{}_of_reason"),
        ),
    ),
    Revision(
        6,
        tables=("tallies",),
        indexes=(("submissions", "ix_{}_submissions_run"), ("submissions", "ix_{}_submissions_account")),
    ),
)


def latest(revisions: tuple[Revision, ...] = REVISIONS) -> int:
    """Give the number of the latest revision."""
    return revisions[-1].number if revisions else FIRST


@dataclass(frozen=True, slots=True)
class Addition:
    """One thing that is added, and the statements that add it.

    :param part: a column or an index of the table; None for the whole table.
    """

    table: Table
    part: Column[object] | Index | None

    def statements(self, dialect: Dialect) -> Iterator[str]:
        """Give the statements that add it."""
        if self.part is None:
            yield str(CreateTable(self.table).compile(dialect=dialect)).strip()
            for index in sorted(self.table.indexes, key=lambda one: str(one.name)):
                yield str(CreateIndex(index).compile(dialect=dialect)).strip()
        elif self.part in self.table.indexes:
            yield str(CreateIndex(self.part).compile(dialect=dialect)).strip()  # type: ignore[arg-type]
        else:
            table = dialect.identifier_preparer.format_table(self.table)
            column = str(CreateColumn(self.part).compile(dialect=dialect)).strip()  # type: ignore[arg-type]
            yield f"ALTER TABLE {table} ADD COLUMN {column}"

    def is_there(self, inspector: Inspector) -> bool:
        """Say whether the database has it already."""
        name, schema = self.table.name, self.table.schema
        if self.part is None or not inspector.has_table(name, schema=schema):
            return inspector.has_table(name, schema=schema)
        if self.part in self.table.indexes:
            return inspector.has_index(name, str(self.part.name), schema=schema)
        return self.part.name in {column["name"] for column in inspector.get_columns(name, schema=schema)}


def additions(tables: Tables, since: int, revisions: Iterable[Revision] = REVISIONS) -> Iterator[Addition]:
    """Give what was added after a revision, in the order in which to add it."""
    for revision in revisions:
        if revision.number > since:
            yield from (Addition(getattr(tables, table), None) for table in revision.tables)
            for table, column in revision.columns:
                yield Addition(getattr(tables, table), getattr(tables, table).c[column])
            for table, index in revision.indexes:
                yield Addition(getattr(tables, table), _index(tables, table, index))


def missing(tables: Tables, inspector: Inspector) -> list[str]:
    """Name the tables and columns that this release needs and the database does not have."""
    lacking = []
    for table in tables.metadata.sorted_tables:
        if not inspector.has_table(table.name, schema=table.schema):
            lacking.append(table.fullname)
            continue
        known = {column["name"] for column in inspector.get_columns(table.name, schema=table.schema)}
        lacking += [f"{table.fullname}.{column.name}" for column in table.columns if column.name not in known]
    return lacking


def _index(tables: Tables, table: str, name: str) -> Index:
    wanted = name.format(tables.images.name)
    (index,) = (one for one in getattr(tables, table).indexes if one.name == wanted)
    found: Index = index
    return found
