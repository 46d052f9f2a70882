"""What a release adds to the tables of an earlier one: columns, tables, indexes, comments, the view, storage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import MetaData, Table, inspect, text
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable, SetColumnComment, SetTableComment

from airflow_midjourney.describe.table.schema.current import (
    CURRENT_COLUMNS,
    CURRENT_COMMENT,
    current_images,
    current_view,
)
from airflow_midjourney.describe.table.schema.reviews import REVIEW_COLUMNS
from airflow_midjourney.describe.table.schema.storage import STORAGE
from airflow_midjourney.describe.table.upgrades.index_builds import create_beside, full_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import Column, Connection, Index
    from sqlalchemy.engine import Dialect
    from sqlalchemy.sql import ClauseElement

    from airflow_midjourney.describe.table.schema import Tables


@dataclass(frozen=True, slots=True)
class Revision:
    """What one release adds. Tables are named as the fields of :class:`~.schema.Tables`.

    :param number: counts from 2.
    :param columns: table and column.
    :param tables: whole tables, with their indexes.
    :param indexes: table and index; the index without the metadata table's name: ``ix_{}_scope``.
    :param views: whether the view of current images is made, or made anew with further columns.
    :param comments: tables whose comments, and those of their columns, are written anew. New tables and columns bring
        theirs along.
    :param storage: tables whose storage parameters are set anew. New tables bring theirs along.
    """

    number: int
    columns: tuple[tuple[str, str], ...] = ()
    tables: tuple[str, ...] = ()
    indexes: tuple[tuple[str, str], ...] = ()
    comments: tuple[str, ...] = ()
    storage: tuple[str, ...] = ()
    views: bool = False


@dataclass(frozen=True, slots=True)
class AddedTable:
    """A whole table, with its indexes and comments."""

    table: Table

    def statements(self, dialect: Dialect) -> Iterator[str]:
        """Give the statements that make it; nothing is in it yet, so its indexes take no time."""
        yield str(CreateTable(self.table).compile(dialect=dialect)).strip()
        yield from Storage(self.table).statements(dialect)
        for index in sorted(self.table.indexes, key=lambda one: str(one.name)):
            yield str(CreateIndex(index).compile(dialect=dialect)).strip()
        yield from _comments(self.table, self.table.columns, dialect)

    def is_there(self, connection: Connection) -> bool:
        """Say whether the database has it already."""
        return inspect(connection).has_table(self.table.name, schema=self.table.schema)


@dataclass(frozen=True, slots=True)
class AddedColumn:
    """A column of a table that is in use; it is empty in all rows, so Postgres adds it in a moment."""

    table: Table
    column: Column[Any]

    def statements(self, dialect: Dialect) -> Iterator[str]:
        """Give the statements that add it."""
        table = dialect.identifier_preparer.format_table(self.table)
        yield f"ALTER TABLE {table} ADD COLUMN {str(CreateColumn(self.column).compile(dialect=dialect)).strip()}"
        yield from _column_comments([self.column], dialect)

    def is_there(self, connection: Connection) -> bool:
        """Say whether the database has it already."""
        name, schema = self.table.name, self.table.schema
        inspector = inspect(connection)
        if not inspector.has_table(name, schema=schema):
            return False
        return self.column.name in {column["name"] for column in inspector.get_columns(name, schema=schema)}


@dataclass(frozen=True, slots=True)
class AddedIndex:
    """An index of a table that is in use. Postgres builds it beside all work on the table, outside of a transaction."""

    index: Index

    def statements(self, dialect: Dialect) -> Iterator[str]:
        """Give the statement that builds it."""
        yield create_beside(self.index, dialect)

    def is_there(self, connection: Connection) -> bool:
        """Say whether the database has it already."""
        table = self.index.table
        return table is not None and inspect(connection).has_index(
            table.name, str(self.index.name), schema=table.schema
        )


@dataclass(frozen=True, slots=True)
class Storage:
    """How Postgres stores and vacuums a table. SQLite has nothing like it."""

    table: Table

    @property
    def _wanted(self) -> dict[str, Any]:
        found: dict[str, Any] = self.table.info.get(STORAGE, {})
        return found

    def statements(self, dialect: Dialect) -> Iterator[str]:
        """Give the statement that sets it; it rewrites nothing, and holds up no reader and no writer of rows."""
        if dialect.name == "postgresql" and self._wanted:
            settings = ", ".join(f"{name} = {value}" for name, value in self._wanted.items())
            yield f"ALTER TABLE {dialect.identifier_preparer.format_table(self.table)} SET ({settings})"

    def is_there(self, connection: Connection) -> bool:
        """Say whether each is set, to whatever value: a person who has set one has a reason."""
        if connection.dialect.name != "postgresql":
            return True
        query = text("SELECT reloptions FROM pg_class WHERE oid = to_regclass(:name)")
        found = connection.execute(query, {"name": full_name(self.table, connection.dialect)}).scalar() or []
        return set(self._wanted) <= {option.split("=")[0] for option in found}


@dataclass(frozen=True, slots=True)
class Comments:
    """What a table and its columns mean, to be written beside them. SQLite has no place for it."""

    table: Table

    def statements(self, dialect: Dialect) -> Iterator[str]:
        """Give the statements that write it: they hold up no reader and no writer of rows."""
        yield from _comments(self.table, self.table.columns, dialect)

    def is_there(self, connection: Connection) -> bool:
        """Say whether the table and every column have their comment already."""
        name, schema = self.table.name, self.table.schema
        inspector = inspect(connection)
        if not inspector.dialect.supports_comments:
            return True
        if inspector.get_table_comment(name, schema=schema)["text"] != self.table.comment:
            return False
        known = {column["name"]: column.get("comment") for column in inspector.get_columns(name, schema=schema)}
        return all(known.get(column.name) == column.comment for column in self.table.columns)


@dataclass(frozen=True, slots=True)
class CurrentView:
    """The view of current images."""

    images: Table
    reviews: Table

    def statements(self, dialect: Dialect) -> Iterator[str]:
        """Give the statements that make it, also in the place of one with fewer columns; readers keep their rights."""
        name = dialect.identifier_preparer.format_table(
            Table(current_view(self.images), MetaData(), schema=self.images.schema)
        )
        can_replace = dialect.name == "postgresql"
        if not can_replace:
            yield f"DROP VIEW IF EXISTS {name}"
        create = "CREATE OR REPLACE VIEW" if can_replace else "CREATE VIEW"
        yield f"{create} {name} AS {literal(current_images(self.images, self.reviews), dialect)}"
        if dialect.supports_comments:
            yield f"COMMENT ON VIEW {name} IS '{CURRENT_COMMENT}'"

    def is_there(self, connection: Connection) -> bool:
        """Say whether the database has it already, with all its columns."""
        view, schema = current_view(self.images), self.images.schema
        inspector = inspect(connection)
        if view not in inspector.get_view_names(schema=schema):
            return False
        known = {column["name"] for column in inspector.get_columns(view, schema=schema)}
        return known >= {*CURRENT_COLUMNS, *REVIEW_COLUMNS}


def _comments(table: Table, columns: Iterable[Column[Any]], dialect: Dialect) -> Iterator[str]:
    if dialect.supports_comments:
        yield str(SetTableComment(table).compile(dialect=dialect)).strip()
    yield from _column_comments(columns, dialect)


def _column_comments(columns: Iterable[Column[Any]], dialect: Dialect) -> Iterator[str]:
    if dialect.supports_comments:
        yield from (
            str(SetColumnComment(column).compile(dialect=dialect)).strip() for column in columns if column.comment
        )


def literal(statement: ClauseElement, dialect: Dialect) -> str:
    """Give a statement with its values in it, for a script."""
    return str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))


#: What one release may add.
Addition = AddedTable | AddedColumn | AddedIndex | Comments | Storage | CurrentView


def additions(tables: Tables, since: int, revisions: Iterable[Revision]) -> Iterator[Addition]:
    """Give what was added after a revision, in the order in which to add it.

    Indexes come last: everything works without them, and they take long.
    """
    later = [revision for revision in revisions if revision.number > since]
    for revision in later:
        yield from (AddedTable(getattr(tables, table)) for table in revision.tables)
        for table, column in revision.columns:
            yield AddedColumn(getattr(tables, table), getattr(tables, table).c[column])
    for table in dict.fromkeys(table for revision in later for table in revision.comments):
        yield Comments(getattr(tables, table))
    for table in dict.fromkeys(table for revision in later for table in revision.storage):
        yield Storage(getattr(tables, table))
    if any(revision.views for revision in later):
        yield CurrentView(tables.images, tables.reviews)
    for revision in later:
        yield from (AddedIndex(_index(tables, table, index)) for table, index in revision.indexes)


def _index(tables: Tables, table: str, name: str) -> Index:
    wanted = name.format(tables.images.name)
    (index,) = (one for one in getattr(tables, table).indexes if one.name == wanted)
    found: Index = index
    return found
