"""The data dictionary: what the comments of tables and columns say, as a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy.dialects import postgresql

from airflow_midjourney.describe.table.schema import TableNames, build_tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Column, Dialect, Table

_HEAD: Final = """\
# The tables, column by column

Made by `make dictionary` from the comments in `describe/table/schema/`; do not edit it here. Postgres has the same
words as comments on tables and columns: `\\d+ image_prompts` in psql shows them. The tables are named after
`[midjourney] table`.

Types are those of Postgres; SQLite has the same columns with types of its own. Times are moments in UTC by the clock of
the database, unless the column says whose clock it is. *null* says whether a column may be empty.
"""

_POSTGRES: Final[Dialect] = postgresql.dialect()  # type: ignore[no-untyped-call]


def print_dictionary() -> str:
    """Give the page: a table for each table, a line for each column."""
    tables = build_tables(TableNames())
    first = (tables.images, tables.submissions, tables.batches)
    others = (tables.members, tables.requests, tables.accounts, tables.tallies, tables.meta)
    return "\n".join((_HEAD, *(line for table in (*first, *others) for line in _section(table))))


def _section(table: Table) -> Iterator[str]:
    yield f"## {table.name}\n\n{table.comment}\n"
    yield "| Column | Type | null | Meaning |\n| --- | --- | --- | --- |"
    yield from (_line(column) for column in table.columns)
    yield ""


def _line(column: Column[object]) -> str:
    kind = column.type.compile(dialect=_POSTGRES).split(" COLLATE ")[0].lower()
    kind = kind.replace("timestamp with time zone", "timestamptz")
    return f"| `{column.name}` | {kind} | {'yes' if column.nullable else 'no'} | {column.comment} |"
