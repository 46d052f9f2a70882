"""The data dictionary: what the comments of tables and columns say, and how rows move, as a page."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from sqlalchemy.dialects import postgresql

from airflow_midjourney.describe.table.schema import TableNames, build_tables
from airflow_midjourney.describe.table.schema.current import CURRENT_COLUMNS, CURRENT_COMMENT, current_view
from airflow_midjourney.describe.table.schema.reviews import REVIEW_COLUMNS
from airflow_midjourney.describe.table.transitions import MOVES, Move

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import Column, Dialect, Table

_HEAD: Final = """\
# The tables, column by column

Made by `make dictionary` from the comments in `describe/table/schema/`; do not edit it here. Postgres has the same
words as comments on tables and columns: `\\d+ image_prompts` in psql shows them. The tables are named after
`[midjourney] table`.

Types are those of Postgres; SQLite has the same columns with types of its own. Times are moments in UTC by the clock of
the database, unless the column says whose clock it is. *null* says whether a column may be empty.
"""

_MOVES: Final = """\
## How a row of image_prompts moves

Made from `describe/table/transitions/`, which has every move. A row moves only if its status is one of those under
*From* and the columns named there hold what the writer holds; every move but CALL and ANSWER_CALL, which only mark the
row, also sets `updated_at`. A move that leaves the status the same is not in the diagram.
"""

_POSTGRES: Final[Dialect] = postgresql.dialect()  # type: ignore[no-untyped-call]


def print_dictionary() -> str:
    """Give the page: a table for each table, a line for each column."""
    tables = build_tables(TableNames())
    first = (tables.images, tables.submissions, tables.batches)
    people = (tables.requests, tables.reviews, tables.review_leases)
    others = (tables.members, *people, tables.accounts, tables.tallies, tables.meta)
    sections = (line for table in (*first, *others) for line in _section(table))
    return "\n".join((_HEAD, *sections, *_current(tables.images), *_moves()))


def _current(images: Table) -> Iterator[str]:
    """Give the view: its columns are those of the metadata table, and those of the newest decision."""
    yield f"## {current_view(images)}\n\nA view. {CURRENT_COMMENT} Columns mean what they mean in `{images.name}`:\n"
    yield f"{_named(CURRENT_COLUMNS)}.\n"
    yield (
        f"The last ones are of the newest decision in `{images.name}_reviews`: {_named(REVIEW_COLUMNS)}. They are empty"
        " where there is none, or it was withdrawn. `decision` is `outdated` where the prompts are of another describe"
        " than the reviewer saw, and `caption` is then empty.\n"
    )


def _named(columns: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in columns)


def _moves() -> Iterator[str]:
    """Give the moves of a row: a diagram of the moves that change its status, and a line for each."""
    yield _MOVES
    yield "```mermaid\nstateDiagram-v2"
    yield from _arrows()
    yield "```\n"
    yield "| Move | From | To | What happens | Sets | Empties, or sets to 0 |\n| --- | --- | --- | --- | --- | --- |"
    yield from (_move_line(move) for move in MOVES)
    yield ""


def _arrows() -> Iterator[str]:
    named: dict[tuple[str, str], list[str]] = defaultdict(list)
    for move in MOVES:
        for source in move.value.source or ("[*]",):
            if move.value.target is not None:
                named[source, move.value.target].append(move.name)
    for (source, target), names in named.items():
        yield f"    {source} --> {target}: {', '.join(names)}"


def _move_line(move: Move) -> str:
    one = move.value
    source = ", ".join(one.source) or "no row"
    compared = f"; same {', '.join(one.held)}" if one.held else ""
    target = one.target or "the same"
    may_take = tuple(f"{name} (if known)" for name in one.may_take)
    cells = (move.name, source + compared, target, one.means)
    sets = (*one.takes, *may_take, *one.stamps)
    return f"| {' | '.join((*cells, ', '.join(sets), ', '.join((*one.empties, *one.zeroes))))} |"


def _section(table: Table) -> Iterator[str]:
    yield f"## {table.name}\n\n{table.comment}\n"
    yield "| Column | Type | null | Meaning |\n| --- | --- | --- | --- |"
    yield from (_line(column) for column in table.columns)
    yield ""


def _line(column: Column[object]) -> str:
    kind = column.type.compile(dialect=_POSTGRES).split(" COLLATE ")[0].lower()
    kind = kind.replace("timestamp with time zone", "timestamptz")
    return f"| `{column.name}` | {kind} | {'yes' if column.nullable else 'no'} | {column.comment} |"
