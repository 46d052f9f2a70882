"""Making the tables on first use, checking them, and printing their DDL for a DBA."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import inspect, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateIndex, CreateTable

from airflow_midjourney.describe.errors import TableError
from airflow_midjourney.describe.table.schema import SCHEMA_VERSION, TableNames, build_tables

if TYPE_CHECKING:
    from airflow_midjourney.describe.table.database import Database, Transaction

#: Any number will do, as long as every release takes the same one.
_CREATION_LOCK = 0x6D6A_7072


def ensure_tables(database: Database, *, manage_schema: bool = True) -> None:
    """Make the tables if they are not there, whoever comes first; or only check that they are.

    Safe to call from any number of processes at once.

    :param manage_schema: False where a DBA makes the tables; then nothing is created.
    :raises TableError: if the database cannot be reached, the tables are missing while ``manage_schema`` is
        False, or they were made by a newer release.
    """
    try:
        if _version(database) is None and manage_schema:
            with database.writing() as tx:
                _create(tx)
        found = _version(database)
    except SQLAlchemyError as error:
        raise database.explained(error) from error
    if found is None:
        raise TableError(
            f"Connection {database.name!r} has no table {database.tables.meta.fullname!r}. Have it made: `python"
            " -m airflow_midjourney.describe.table --dialect postgresql` prints the DDL; or set [midjourney]"
            " manage_schema = True."
        )
    if found > SCHEMA_VERSION:
        raise TableError(
            f"The tables of connection {database.name!r} have schema version {found}, this release knows"
            f" {SCHEMA_VERSION}. Install the newer release of airflow-provider-midjourney here, too."
        )


def print_ddl(dialect_name: str, names: TableNames) -> str:
    """Give the statements that make the tables, for a DBA to run.

    :param dialect_name: ``postgresql`` or ``sqlite``.
    """
    dialect = {"postgresql": postgresql.dialect, "sqlite": sqlite.dialect}[dialect_name]()
    tables = build_tables(names)
    statements = []
    for table in tables.metadata.sorted_tables:
        statements.append(str(CreateTable(table).compile(dialect=dialect)).strip())
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        statements.extend(str(CreateIndex(index).compile(dialect=dialect)).strip() for index in indexes)
    version = tables.meta.insert().values(name="schema_version", value=str(SCHEMA_VERSION))
    statements.append(str(version.compile(dialect=dialect, compile_kwargs={"literal_binds": True})))
    return "".join(f"{statement};\n\n" for statement in statements)


def _version(database: Database) -> int | None:
    meta = database.tables.meta
    with database.reading() as tx:
        if not inspect(tx.connection).has_table(meta.name, schema=meta.schema):
            return None
        value = tx.connection.execute(select(meta.c.value).where(meta.c.name == "schema_version")).scalar()
        return None if value is None else int(value)


def _create(tx: Transaction) -> None:
    if tx.is_postgres:
        tx.connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _CREATION_LOCK})
    meta = tx.tables.meta
    tx.tables.metadata.create_all(tx.connection)
    known = tx.connection.execute(select(meta.c.value).where(meta.c.name == "schema_version")).scalar()
    if known is None:
        tx.connection.execute(meta.insert().values(name="schema_version", value=str(SCHEMA_VERSION)))
