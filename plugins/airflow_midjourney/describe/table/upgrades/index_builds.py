"""Adding indexes to tables in use: Postgres builds each beside the writers, one after the other, by one process.

``CREATE INDEX CONCURRENTLY`` runs outside of a transaction, so no lock of ours can be held for as long as it takes: a
pooler gives each statement another server connection. A process notes in the ``meta`` table that it begins, and from
then on Postgres itself shows that an index is being built, even if the process was killed. All others go on without it.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import MetaData, Table, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateIndex, DropIndex

from airflow_midjourney.describe.table.drivers.faults import cure_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Index
    from sqlalchemy.engine import Dialect

    from airflow_midjourney.describe.table.database import Database, Transaction

#: Name of the fact in the ``meta`` table until when no other process begins to build.
BUILDING: Final = "building_until"

_NEVER: Final = datetime.min.replace(tzinfo=UTC)

#: From the note that a process begins until Postgres shows its statement: a moment, unless the process is stopped.
_HEAD_START: Final = timedelta(minutes=1)

#: From a build that Postgres broke off until a process tries again.
_AFTER_A_FAILURE: Final = timedelta(minutes=15)

#: A build that waits for the table's lock is not among those in progress yet; ``query`` may be cut short.
_BUSY: Final = text(
    "SELECT EXISTS (SELECT FROM pg_stat_progress_create_index WHERE datname = current_database()"
    " AND (relid IS NULL OR relid = ANY (CAST(:tables AS regclass[]))))"
    " OR EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND state = 'active'"
    " AND pid <> pg_backend_pid() AND query LIKE '%INDEX CONCURRENTLY %'"
    " AND EXISTS (SELECT FROM unnest(CAST(:statements AS text[])) AS one WHERE starts_with(one, query)))"
)

_IS_VALID: Final = text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Build:
    """An index that is to be built.

    :param was_broken_off: whether an earlier build has left it invalid.
    """

    index: Index
    was_broken_off: bool


def create_beside(index: Index, dialect: Dialect) -> str:
    """Give the statement that adds an index to a table in use."""
    statement = str(CreateIndex(index).compile(dialect=dialect)).strip()
    return statement if dialect.name == "sqlite" else statement.replace(" INDEX ", " INDEX CONCURRENTLY ", 1)


def _drop(index: Index, dialect: Dialect) -> str:
    statement = str(DropIndex(index).compile(dialect=dialect)).strip()
    return statement.replace(" INDEX ", " INDEX CONCURRENTLY ", 1)


def build(database: Database, indexes: Sequence[Index]) -> bool:
    """Build the indexes that are not there, on Postgres, unless another process does; safe to repeat when killed.

    What a broken build has left is dropped and built again. A build that fails is tried again later, by another
    process: tasks work without the index, more slowly.

    :return: whether all are there.
    """
    while (found := _begin_next(database, indexes)) is not None:
        log.info(
            "Building index %s of connection %r beside all work on table %s: this task waits for it, others go on."
            " If it is killed, a later task goes on.",
            found.index.name,
            database.name,
            found.index.table,
        )
        try:
            with _only_builder(database):
                _run(database, found)
        except SQLAlchemyError as error:
            _say_that_it_failed(database, found, error)
            return False
    with database.reading() as tx:
        return not _lacking(tx, indexes)


def _begin_next(database: Database, indexes: Sequence[Index]) -> _Build | None:
    """Take the next index to build for this process alone; None if there is none, or another process builds."""
    with database.writing() as tx:
        if not _lacking(tx, indexes):
            return None
        until = _lock_note(tx)
        lacking = _lacking(tx, indexes)
        if not lacking or until > tx.now or _is_busy(tx, indexes):
            return None
        _write_note(tx, tx.now + _HEAD_START)
        return lacking[0]


def _lacking(tx: Transaction, indexes: Sequence[Index]) -> list[_Build]:
    dialect = tx.connection.dialect
    found = ((one, tx.connection.execute(_IS_VALID, {"name": full_name(one, dialect)}).scalar()) for one in indexes)
    return [_Build(index, was_broken_off=is_valid is not None) for index, is_valid in found if not is_valid]


def _is_busy(tx: Transaction, indexes: Sequence[Index]) -> bool:
    """Say whether Postgres is building an index of one of the tables, for any process, a person's among them."""
    dialect = tx.connection.dialect
    tables = {full_name(index.table, dialect) for index in indexes if index.table is not None}
    statements = [statement(index, dialect) for index in indexes for statement in (create_beside, _drop)]
    return bool(tx.connection.execute(_BUSY, {"tables": sorted(tables), "statements": statements}).scalar_one())


def _lock_note(tx: Transaction) -> datetime:
    """Let processes that look for something to build wait for each other, for as long as this transaction."""
    meta = tx.tables.meta
    tx.connection.execute(tx.insert(meta).values(name=BUILDING, value=_NEVER.isoformat()).on_conflict_do_nothing())
    query = select(meta.c.value).where(meta.c.name == BUILDING).with_for_update()
    return datetime.fromisoformat(tx.connection.execute(query).scalar_one())


def _write_note(tx: Transaction, until: datetime) -> None:
    meta = tx.tables.meta
    tx.connection.execute(meta.update().where(meta.c.name == BUILDING).values(value=until.isoformat()))


@contextmanager
def _only_builder(database: Database) -> Iterator[None]:
    """Let others build when this process has ended, and not at once what has just failed."""
    pause = timedelta()
    try:
        yield
    except SQLAlchemyError:
        pause = _AFTER_A_FAILURE
        raise
    finally:
        with database.writing() as tx:
            _write_note(tx, tx.now + pause)


def _run(database: Database, found: _Build) -> None:
    dialect = database.engine.dialect
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if found.was_broken_off:
            connection.exec_driver_sql(_drop(found.index, dialect))
        connection.exec_driver_sql(create_beside(found.index, dialect))


def _say_that_it_failed(database: Database, found: _Build, error: SQLAlchemyError) -> None:
    log.warning(
        "Index %s of connection %r could not be built (%s): tasks work without it, more slowly. %s; a task that starts"
        " in %d minutes or later tries again. Or let a DBA run: %s",
        found.index.name,
        database.name,
        type(getattr(error, "orig", None) or error).__name__,
        cure_of(error),
        _AFTER_A_FAILURE.total_seconds() // 60,
        create_beside(found.index, database.engine.dialect),
    )


def full_name(named: Table | Index, dialect: Dialect) -> str:
    """Give the name of a table or an index with its schema, as ``to_regclass`` reads it."""
    schema = named.schema if isinstance(named, Table) else named.table.schema if named.table is not None else None
    return dialect.identifier_preparer.format_table(Table(str(named.name), MetaData(), schema=schema))
