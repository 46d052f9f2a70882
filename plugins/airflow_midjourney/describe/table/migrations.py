"""Making the tables on first use, adding what a later release needs, checking them, and printing DDL for a DBA."""

from __future__ import annotations

import shlex
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import inspect, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from airflow_midjourney.describe.model.errors import NoTablesError, TableError
from airflow_midjourney.describe.table.schema import SCHEMA_VERSION, TableNames, build_tables
from airflow_midjourney.describe.table.upgrades.additions import (
    AddedIndex,
    AddedTable,
    Addition,
    CurrentView,
    Revision,
    additions,
    literal,
)
from airflow_midjourney.describe.table.upgrades.index_builds import build

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import Connection
    from sqlalchemy.engine import Dialect
    from sqlalchemy.engine.reflection import Inspector

    from airflow_midjourney.describe.table.database import Database, Transaction
    from airflow_midjourney.describe.table.schema import Tables


#: Any number will do, as long as every release takes the same one.
_CREATION_LOCK = 0x6D6A_7072

#: Names of facts in the ``meta`` table.
_VERSION: Final = "schema_version"

_REVISION: Final = "revision"

#: What a DBA has to know of the statements that build indexes.
_OUTSIDE: Final = (
    "-- Indexes are built beside all work on their table, so not in a transaction (no psql -1). One that was broken"
    " off\n-- is left as INVALID: DROP INDEX CONCURRENTLY it, and build it again. Tasks work without, more slowly."
)

#: What the tables of version 1 had before anything was added.
FIRST: Final = 1


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
    Revision(
        20,
        indexes=(("images", "ix_{}_open_keys"), ("images", "ix_{}_doubt_keys")),
        comments=("meta",),
        storage=("images", "submissions", "batches", "accounts"),
    ),
    Revision(
        21,
        columns=(
            ("batches", "waits_for_account"),
            ("batches", "waits_with_priority"),
            ("batches", "waits_for_slots"),
            ("batches", "waits_until"),
        ),
        indexes=(("batches", "ix_{}_batches_waiting"),),
    ),
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
        statements.append(literal(tables.meta.insert().values(name=name, value=str(value)), dialect))
    return _script(statements)


def _definitions(tables: Tables, dialect: Dialect) -> Iterator[str]:
    """Give the statements that make the tables, their indexes and comments."""
    for table in tables.metadata.sorted_tables:
        yield from AddedTable(table).statements(dialect)
    yield from CurrentView(tables.images, tables.reviews).statements(dialect)


def print_additions(dialect_name: str, names: TableNames, since: int) -> str:
    """Give the statements that bring older tables up to this release, for a DBA to run.

    :param dialect_name: ``postgresql`` or ``sqlite``.
    :param since: the revision that the tables have.
    """
    dialect = _dialect(dialect_name)
    tables = build_tables(names)
    at_once, beside = _apart(additions(tables, since, REVISIONS), dialect)
    statements = [line for addition in at_once for line in addition.statements(dialect)]
    statements += _commented([line for addition in beside for line in addition.statements(dialect)])
    meta = tables.meta
    statements.append(literal(meta.delete().where(meta.c.name == _REVISION), dialect))
    statements.append(literal(meta.insert().values(name=_REVISION, value=str(latest())), dialect))
    return _script(statements)


def _dialect(name: str) -> Dialect:
    chosen: Dialect = {"postgresql": postgresql.dialect, "sqlite": sqlite.dialect}[name]()
    return chosen


def _commented(beside: Sequence[str]) -> list[str]:
    """Tell a DBA how indexes are built that hold up no writer."""
    if not beside:
        return []
    first, *others = beside
    return [f"{_OUTSIDE}\n{first}", *others]


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
    """Add what tables of an earlier release lack, each in a transaction of its own, and indexes in none.

    A transaction that changes one table waits for the workers of the earlier release, and they for it, never both: one
    that changed several would end in a deadlock with them. A process that is killed here leaves less for the next one.
    While another process builds an index, this one goes on without.
    """
    found = additions(database.tables, since, revisions)
    at_once, beside = _apart(found, database.engine.dialect)
    for addition in at_once:
        with _changing(database) as tx:
            if not addition.is_there(tx.connection):
                for statement in addition.statements(tx.connection.dialect):
                    tx.connection.exec_driver_sql(statement)
    if beside and not build(database, [addition.index for addition in beside]):
        return
    with _changing(database) as tx:
        facts = _read_facts(tx.connection, tx.tables)
        if facts is not None and facts.revision < latest(revisions):
            _note(tx, _REVISION, latest(revisions))


def _apart(found: Iterable[Addition], dialect: Dialect) -> tuple[list[Addition], list[AddedIndex]]:
    """Tell additions that take a moment, in a transaction, from indexes, which Postgres builds outside of one."""
    at_once: list[Addition] = []
    beside: list[AddedIndex] = []
    for addition in found:
        if isinstance(addition, AddedIndex) and dialect.name == "postgresql":
            beside.append(addition)
        else:
            at_once.append(addition)
    return at_once, beside


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
