"""Copying all rows into empty tables, page by page, so that a copy that was cut off goes on where it was.

Meanwhile no process of Airflow may write: what the source was when the copy began is kept in the target and compared.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, select, tuple_

from airflow_midjourney.describe.model.errors import TableError
from airflow_midjourney.describe.table.columns import UTCDateTime
from airflow_midjourney.describe.table.migrations import ensure_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import RowMapping, Table

    from airflow_midjourney.describe.table.database import Database, Transaction

#: Rows that are read and written in one transaction.
ROWS_A_PAGE: Final = 1000

#: The fact in the target's ``meta`` table that a copy has begun: what the source was then. Gone once it has ended.
_COPYING: Final = "copying_from"


@dataclass(frozen=True, slots=True)
class CopiedTable:
    """One table that was copied.

    :param rows: that it has, in the source and in the target.
    """

    name: str
    rows: int


def relocate(source: Database, target: Database, tell: Callable[[str], None]) -> list[CopiedTable]:
    """Copy everything from an SQLite file to Postgres. Cut off and started again, it goes on.

    :param tell: takes a line for each table.
    :raises TableError: if the target has rows that are of no copy of this source, if the source has been written since
        the copy began, or if a table does not have all its rows in the end.
    """
    _check_kinds(source, target)
    ensure_tables(source)
    ensure_tables(target)
    began = _fingerprint(source)
    _begin(target, began)
    for table, copy in _pairs(source, target):
        copied = 0
        while page := _copy_page(source, target, table, copy):
            copied += page
        tell(f"{copy.fullname}: {copied:,} rows copied.")
    _check_counts(source, target, began)
    with target.writing() as tx:
        for copy in target.tables.metadata.sorted_tables:
            _set_sequence(tx, copy)
        tx.connection.execute(tx.tables.meta.delete().where(tx.tables.meta.c.name == _COPYING))
    with target.reading() as tx:
        return [CopiedTable(copy.fullname, _count(tx, copy)) for _, copy in _pairs(source, target)]


def _check_kinds(source: Database, target: Database) -> None:
    kinds = (source.engine.dialect.name, target.engine.dialect.name)
    if kinds != ("sqlite", "postgresql"):
        raise TableError(f"Tables are copied from SQLite to Postgres, not from {kinds[0]} to {kinds[1]}.")


def _pairs(source: Database, target: Database) -> Iterator[tuple[Table, Table]]:
    """Give each table with the one that it is copied to; what the tables are, each database knows of itself."""
    for table, copy in zip(source.tables.metadata.sorted_tables, target.tables.metadata.sorted_tables, strict=True):
        if table is not source.tables.meta:
            yield table, copy


def _fingerprint(source: Database) -> str:
    """Give what every write changes: how many rows each table has, and when the latest was written."""
    found: dict[str, list[Any]] = {}
    with source.reading() as tx:
        for table in tx.tables.metadata.sorted_tables:
            if table is tx.tables.meta:
                continue
            moments = [func.max(column) for column in table.columns if isinstance(column.type, UTCDateTime)]
            counted = tx.connection.execute(select(func.count(), *moments).select_from(table)).one()
            found[table.name] = [str(value) for value in counted]
    return json.dumps(found, sort_keys=True)


def _begin(target: Database, fingerprint: str) -> None:
    """Note in the target that a copy of this source begins, or find that it goes on."""
    meta = target.tables.meta
    with target.writing() as tx:
        noted: str | None = tx.connection.execute(select(meta.c.value).where(meta.c.name == _COPYING)).scalar()
        if noted == fingerprint:
            return
        if noted is not None:
            raise TableError(
                "The source has been written since the copy began, or it is another one. Stop Airflow's processes, drop"
                " the tables of the target, and begin anew."
            )
        filled = [
            table.fullname for table in tx.tables.metadata.sorted_tables if table is not meta and _count(tx, table)
        ]
        if filled:
            raise TableError(
                f"The target has rows in {', '.join(filled)} already. Name an empty database or schema: rows of two"
                " sources cannot be told apart by their numbers."
            )
        tx.connection.execute(meta.insert().values(name=_COPYING, value=fingerprint))


def _copy_page(source: Database, target: Database, table: Table, copy: Table) -> int:
    """Copy the next rows, in the order of their keys.

    :return: how many they were.
    """
    with target.writing() as into:
        last = into.connection.execute(
            select(*copy.primary_key).order_by(*(column.desc() for column in copy.primary_key)).limit(1)
        ).first()
        with source.reading() as tx:
            rows = _rows_after(tx, table, last)
        if rows:
            names = [(column.key, table.c[column.key]) for column in copy.columns]
            into.connection.execute(copy.insert(), [{key: row[column] for key, column in names} for row in rows])
    return len(rows)


def _rows_after(tx: Transaction, table: Table, last: Sequence[Any] | None) -> Sequence[RowMapping]:
    keys = list(table.primary_key)
    query = select(table).order_by(*keys).limit(ROWS_A_PAGE)
    if last is not None:
        query = query.where(tuple_(*keys) > tuple_(*last) if len(keys) > 1 else keys[0] > last[0])
    return tx.connection.execute(query).mappings().all()


def _check_counts(source: Database, target: Database, began: str) -> None:
    if _fingerprint(source) != began:
        raise TableError(
            "The source was written while it was copied. Stop Airflow's processes, drop the tables of the target, and"
            " begin anew."
        )
    with source.reading() as tx, target.reading() as copied:
        for table, copy in _pairs(source, target):
            wanted, found = _count(tx, table), _count(copied, copy)
            if wanted != found:
                raise TableError(
                    f"{copy.fullname} has {found:,} rows, and the source has {wanted:,}. Drop the tables of the target,"
                    " and begin anew."
                )


def _set_sequence(tx: Transaction, copy: Table) -> None:
    """Let the next row get a number that no row has."""
    key = copy.autoincrement_column
    highest = None if key is None else tx.connection.execute(select(func.max(key))).scalar()
    if key is not None and highest:
        table = tx.connection.dialect.identifier_preparer.format_table(copy)
        tx.connection.execute(select(func.setval(func.pg_get_serial_sequence(table, key.name), highest)))


def _count(tx: Transaction, table: Table) -> int:
    number: int = tx.connection.execute(select(func.count()).select_from(table)).scalar_one()
    return number
