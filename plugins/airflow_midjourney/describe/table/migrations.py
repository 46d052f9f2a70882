"""Making the tables on first use, adding what a later release needs, checking them, and printing DDL for a DBA."""

from __future__ import annotations

import shlex
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import MetaData, Table, inspect, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable, SetColumnComment, SetTableComment

from airflow_midjourney.describe.model.errors import NoTablesError, TableError
from airflow_midjourney.describe.table.schema import SCHEMA_VERSION, TableNames, build_tables
from airflow_midjourney.describe.table.schema.current import (
    CURRENT_COLUMNS,
    CURRENT_COMMENT,
    current_images,
    current_view,
)
from airflow_midjourney.describe.table.schema.reviews import REVIEW_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import Column, Connection, Index
    from sqlalchemy.engine import Dialect
    from sqlalchemy.engine.reflection import Inspector

    from airflow_midjourney.describe.table.database import Database, Transaction
    from airflow_midjourney.describe.table.schema import Tables


#: Any number will do, as long as every release takes the same one.
_CREATION_LOCK = 0x6D6A_7072

#: Names of facts in the ``meta`` table.
_VERSION: Final = "schema_version"

_REVISION: Final = "revision"

#: What the tables of version 1 had before anything was added.
FIRST: Final = 1


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
    """

    number: int
    columns: tuple[tuple[str, str], ...] = ()
    tables: tuple[str, ...] = ()
    indexes: tuple[tuple[str, str], ...] = ()
    comments: tuple[str, ...] = ()
    views: bool = False


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
        indexes=(("images", "ix_{}_of_dag"),),
    ),
    Revision(
        6,
        tables=("tallies",),
        indexes=(("submissions", "ix_{}_submissions_run"), ("submissions", "ix_{}_submissions_account")),
    ),
    Revision(
        7,
        comments=("images", "submissions", "batches", "members", "accounts", "requests", "tallies", "meta"),
    ),
    Revision(
        8,
        columns=(("submissions", "content_sha256"), ("submissions", "bot_type")),
        indexes=(("submissions", "ix_{}_submissions_content"),),
    ),
    Revision(9, columns=(("images", "rejected_before"),)),
    Revision(
        10,
        indexes=(
            ("images", "ix_{}_of_dag_run"),
            ("images", "ix_{}_of_dag_reason"),
            ("images", "ix_{}_of_dag_doubt"),
            ("images", "ix_{}_of_dag_answer"),
        ),
    ),
    Revision(11, columns=(("batches", "listing_continuation"),)),
    Revision(12, columns=(("accounts", "blocked_since"),)),
    Revision(13, columns=(("submissions", "unheard_since"),)),
    Revision(14, comments=("submissions",)),
    Revision(15, indexes=(("images", "ix_{}_resubmitted"),)),
    Revision(
        16,
        columns=(
            ("accounts", "paused_by"),
            ("accounts", "paused_at"),
            ("accounts", "resumed_by"),
            ("accounts", "resumed_at"),
        ),
        indexes=(("images", "ix_{}_of_dag_end"), ("images", "ix_{}_of_run_end")),
        comments=("accounts", "requests"),
    ),
    Revision(17, columns=(("accounts", "seeks_from"), ("accounts", "sought_at"), ("accounts", "sought_for"))),
    Revision(18, columns=(("images", "prompts_sha256"),), comments=("images",), views=True),
    Revision(19, tables=("reviews", "review_leases"), views=True),
)


@dataclass(frozen=True, slots=True)
class _Made:
    """By which releases the tables were made and added to.

    :param version: the oldest schema version that a release has to know; raised only by what is no addition.
    :param revision: the latest additions.
    """

    version: int
    revision: int


def ensure_tables(
    database: Database, *, manage_schema: bool = True, revisions: tuple[Revision, ...] = REVISIONS
) -> None:
    """Make the tables if they are not there and add what an older release lacked; or only check.

    Safe to call from any number of processes at once, of this release and others: tables with more in them than this
    release knows are fine.

    :param manage_schema: False where a DBA makes the tables; then nothing is created.
    :param revisions: what was added since the first release.
    :raises TableError: if the database cannot be reached, tables or columns are missing while ``manage_schema`` is
        False, or they were made by a release that this one cannot work beside.
    """
    try:
        found = _made(database)
        if found is not None and found.version > SCHEMA_VERSION:
            raise _too_new(database, found.version)
        if not manage_schema:
            _check(database, found)
        elif found is None:
            _create(database, revisions)
        elif found.revision < latest(revisions):
            _add(database, found.revision, revisions)
    except SQLAlchemyError as error:
        raise database.explained(error) from error


def require_tables(database: Database) -> None:
    """Check that the tables are there: a process that only reads makes none.

    :raises NoTablesError: if they are not.
    :raises TableError: if the database cannot be reached.
    """
    try:
        if _made(database) is None:
            raise NoTablesError(
                f"The database of connection {database.name!r} has no table {database.tables.meta.fullname!r} yet: no"
                " task has described images with it."
            )
    except SQLAlchemyError as error:
        raise database.explained(error) from error


def print_ddl(dialect_name: str, names: TableNames) -> str:
    """Give the statements that make the tables, for a DBA to run.

    :param dialect_name: ``postgresql`` or ``sqlite``.
    """
    dialect = _dialect(dialect_name)
    tables = build_tables(names)
    statements = [*_definitions(tables, dialect)]
    for name, value in ((_VERSION, SCHEMA_VERSION), (_REVISION, latest())):
        statements.append(_literal(tables.meta.insert().values(name=name, value=str(value)), dialect))
    return _script(statements)


def _definitions(tables: Tables, dialect: Dialect) -> Iterator[str]:
    """Give the statements that make the tables, their indexes and comments."""
    for table in tables.metadata.sorted_tables:
        yield from Addition(table, None).statements(dialect)
    yield from CurrentView(tables.images, tables.reviews).statements(dialect)


def print_additions(dialect_name: str, names: TableNames, since: int) -> str:
    """Give the statements that bring older tables up to this release, for a DBA to run.

    :param dialect_name: ``postgresql`` or ``sqlite``.
    :param since: the revision that the tables have.
    """
    dialect = _dialect(dialect_name)
    tables = build_tables(names)
    statements = [line for addition in additions(tables, since) for line in addition.statements(dialect)]
    meta = tables.meta
    statements.append(_literal(meta.delete().where(meta.c.name == _REVISION), dialect))
    statements.append(_literal(meta.insert().values(name=_REVISION, value=str(latest())), dialect))
    return _script(statements)


def _dialect(name: str) -> Dialect:
    chosen: Dialect = {"postgresql": postgresql.dialect, "sqlite": sqlite.dialect}[name]()
    return chosen


def _literal(statement: object, dialect: Dialect) -> str:
    compiled = statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True})  # type: ignore[attr-defined]
    return str(compiled)


def _script(statements: Iterable[str]) -> str:
    return "".join(f"{statement};\n\n" for statement in statements)


def _made(database: Database) -> _Made | None:
    meta = database.tables.meta
    with database.reading() as tx:
        if not inspect(tx.connection).has_table(meta.name, schema=meta.schema):
            return None
        return _read_facts(tx.connection, database.tables)


def _read_facts(connection: Connection, tables: Tables) -> _Made | None:
    facts: dict[str, str] = {row.name: row.value for row in connection.execute(select(tables.meta))}
    if _VERSION not in facts:
        return None
    return _Made(int(facts[_VERSION]), int(facts.get(_REVISION, FIRST)))


def _create(database: Database, revisions: tuple[Revision, ...]) -> None:
    """Make the tables, behind a lock: a process that waited for it finds nothing left to do."""
    with _changing(database) as tx:
        if not inspect(tx.connection).has_table(tx.tables.meta.name, schema=tx.tables.meta.schema):
            _define(tx)
            _note(tx, _VERSION, SCHEMA_VERSION)
            _note(tx, _REVISION, latest(revisions))


@contextmanager
def _changing(database: Database) -> Iterator[Transaction]:
    """Open a transaction that changes tables; one process at a time does."""
    with database.writing() as tx:
        if tx.is_postgres:
            tx.connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _CREATION_LOCK})
            # An ALTER that waits for a long transaction makes every other statement on the table wait behind it.
            tx.connection.execute(text("SET LOCAL lock_timeout = '20s'"))
        yield tx


def _define(tx: Transaction) -> None:
    """Make the tables. Postgres takes all statements at once: there are about 180 of them with the comments."""
    statements = list(_definitions(tx.tables, tx.connection.dialect))
    for statement in [";\n".join(statements)] if tx.is_postgres else statements:
        tx.connection.exec_driver_sql(statement)


def _add(database: Database, since: int, revisions: tuple[Revision, ...]) -> None:
    """Add what tables of an earlier release lack, each in a transaction of its own.

    A transaction that changes one table waits for the workers of the earlier release, and they for it, never both: one
    that changed several would end in a deadlock with them. A process that is killed here leaves less for the next one.
    """
    for addition in additions(database.tables, since, revisions):
        with _changing(database) as tx:
            if not addition.is_there(inspect(tx.connection)):
                for statement in addition.statements(tx.connection.dialect):
                    tx.connection.exec_driver_sql(statement)
    with _changing(database) as tx:
        found = _read_facts(tx.connection, tx.tables)
        if found is not None and found.revision < latest(revisions):
            _note(tx, _REVISION, latest(revisions))


def _note(tx: Transaction, name: str, value: int) -> None:
    meta = tx.tables.meta
    tx.connection.execute(
        tx.insert(meta)
        .values(name=name, value=str(value))
        .on_conflict_do_update(index_elements=["name"], set_={"value": str(value)})
    )


def _check(database: Database, found: _Made | None) -> None:
    """Say what a DBA still has to add; columns that are there are enough, whatever the revision says.

    :raises TableError: if a table or column is missing.
    """
    if found is None:
        raise _no_tables(database)
    with database.reading() as tx:
        lacking = missing(database.tables, inspect(tx.connection))
    if lacking:
        raise TableError(
            f"The tables of connection {database.name!r} lack {', '.join(lacking)}. Have them added:"
            f" `{_command(database)} --since {found.revision}` prints the DDL; or set [midjourney]"
            " manage_schema = True."
        )


def _no_tables(database: Database) -> NoTablesError:
    return NoTablesError(
        f"Connection {database.name!r} has no table {database.tables.meta.fullname!r}. Have it made:"
        f" `{_command(database)}` prints the DDL; or set [midjourney] manage_schema = True."
    )


def _too_new(database: Database, version: int) -> TableError:
    return TableError(
        f"The tables of connection {database.name!r} have schema version {version}, this release knows"
        f" {SCHEMA_VERSION}. Install the newer release of airflow-provider-midjourney here, too."
    )


def _command(database: Database) -> str:
    names = database.names
    program = "python -m airflow_midjourney.describe.table"
    if not _is_installed():
        program = f"PYTHONPATH={shlex.quote(str(Path(__file__).parents[3]))} {program}"
    command = f"{program} --dialect {database.engine.dialect.name} --table {names.table}"
    return f"{command} --schema {names.schema}" if names.schema else command


def _is_installed() -> bool:
    """Say whether Python finds the package by itself; in a plugins folder Airflow alone does."""
    try:
        distribution("airflow-provider-midjourney")
    except PackageNotFoundError:
        return False
    return True


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
            yield from _comments(self.table, self.table.columns, dialect)
        elif self.part in self.table.indexes:
            yield str(CreateIndex(self.part).compile(dialect=dialect)).strip()  # type: ignore[arg-type]
        else:
            table = dialect.identifier_preparer.format_table(self.table)
            column = str(CreateColumn(self.part).compile(dialect=dialect)).strip()  # type: ignore[arg-type]
            yield f"ALTER TABLE {table} ADD COLUMN {column}"
            yield from _column_comments([self.part], dialect)  # type: ignore[list-item]

    def is_there(self, inspector: Inspector) -> bool:
        """Say whether the database has it already."""
        name, schema = self.table.name, self.table.schema
        if self.part is None or not inspector.has_table(name, schema=schema):
            return inspector.has_table(name, schema=schema)
        if self.part in self.table.indexes:
            return inspector.has_index(name, str(self.part.name), schema=schema)
        return self.part.name in {column["name"] for column in inspector.get_columns(name, schema=schema)}


@dataclass(frozen=True, slots=True)
class Comments:
    """What a table and its columns mean, to be written beside them. SQLite has no place for it."""

    table: Table

    def statements(self, dialect: Dialect) -> Iterator[str]:
        """Give the statements that write it: they hold up no reader and no writer of rows."""
        yield from _comments(self.table, self.table.columns, dialect)

    def is_there(self, inspector: Inspector) -> bool:
        """Say whether the table and every column have their comment already."""
        name, schema = self.table.name, self.table.schema
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
        yield f"{create} {name} AS {_literal(current_images(self.images, self.reviews), dialect)}"
        if dialect.supports_comments:
            yield f"COMMENT ON VIEW {name} IS '{CURRENT_COMMENT}'"

    def is_there(self, inspector: Inspector) -> bool:
        """Say whether the database has it already, with all its columns."""
        view, schema = current_view(self.images), self.images.schema
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


def additions(
    tables: Tables, since: int, revisions: Iterable[Revision] = REVISIONS
) -> Iterator[Addition | Comments | CurrentView]:
    """Give what was added after a revision, in the order in which to add it: comments last, and the view."""
    later = [revision for revision in revisions if revision.number > since]
    for revision in later:
        yield from (Addition(getattr(tables, table), None) for table in revision.tables)
        for table, column in revision.columns:
            yield Addition(getattr(tables, table), getattr(tables, table).c[column])
        for table, index in revision.indexes:
            yield Addition(getattr(tables, table), _index(tables, table, index))
    for table in dict.fromkeys(table for revision in later for table in revision.comments):
        yield Comments(getattr(tables, table))
    if any(revision.views for revision in later):
        yield CurrentView(tables.images, tables.reviews)


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
