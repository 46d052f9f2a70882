"""Reading rows with raw answers, and writing what a newer parser makes of them: conditional, and safe to repeat."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, and_, or_, select

from airflow_midjourney.describe.model.status import Reason, Status
from airflow_midjourney.describe.model.text import presentable
from airflow_midjourney.describe.service.prompts import PARSER_VERSION, parse_prompts
from airflow_midjourney.describe.table.results import Prompted, digest_of_prompts, write_prompts
from airflow_midjourney.describe.table.schema import PROMPT_COLUMNS
from airflow_midjourney.describe.table.transitions import OrderMove
from airflow_midjourney.describe.table.walks.key_order import RowCursor, key_ranges, on_the_way

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_midjourney.describe.model.batch import Scope
    from airflow_midjourney.describe.service.prompts import ParsedPrompts
    from airflow_midjourney.describe.table.database import Database, Transaction
    from airflow_midjourney.describe.table.walks.key_order import KeyRange

#: Rows read, and written, in one transaction.
REPARSED_AT_ONCE: Final = 500

#: What a row with a raw answer becomes when prompts are found in it.
_BY_STATUS: Final = {Status.SUCCEEDED: OrderMove.REPARSE, Status.FAILED: OrderMove.RECOVER}

#: Changed rows that are shown.
MOST_EXAMPLES: Final = 5


@dataclass(frozen=True, slots=True)
class AnsweredRow:
    """A row with its raw answer, and what is made of it so far.

    :param place: where it is in the order of the keys.
    :param is_corrected: whether a person has changed the prompts, or the aspect ratio, that a parser had made.
    """

    place: RowCursor
    image_uri: str
    status: Status
    prompt_raw: str
    prompts: tuple[str, ...]
    aspect_ratio: str | None
    parser_version: int | None
    is_corrected: bool

    @property
    def id(self) -> int:
        """The number of the row."""
        return self.place.id

    @property
    def seen(self) -> tuple[Any, ...]:
        """What the row has to be still when it is written."""
        return self.status, self.prompt_raw, self.parser_version, self.aspect_ratio, self.prompts


@dataclass(frozen=True, slots=True)
class Reread:
    """A row, and what the parser of today makes of it."""

    row: AnsweredRow
    parsed: ParsedPrompts


def answered_rows(
    tx: Transaction, scope: Scope, keys: KeyRange, after: RowCursor | None, *, again: bool
) -> list[AnsweredRow]:
    """Give the next rows of a scope with a raw answer: with prompts, or failed as ``unparseable``.

    Rows that a newer parser than ours has read are left to it.

    :param after: where the page before has ended.
    :param again: whether rows that this very parser has read are given, too.
    """
    images = tx.tables.images.c
    older = images.parser_version <= PARSER_VERSION if again else images.parser_version < PARSER_VERSION
    rows = tx.connection.execute(
        select(
            images.id,
            images.key,
            images.image_uri,
            images.status,
            images.prompt_raw,
            images.aspect_ratio,
            images.parser_version,
            images.prompts_sha256,
            *(images[name] for name in PROMPT_COLUMNS),
        )
        .where(
            on_the_way(tx.tables, scope, keys, after),
            images.prompt_raw.is_not(None),
            or_(images.parser_version.is_(None), older),
            _has_an_answer(tx),
        )
        .order_by(images.key, images.id)
        .limit(REPARSED_AT_ONCE)
    )
    return [
        AnsweredRow(
            RowCursor(key, row_id),
            uri,
            Status(status),
            raw,
            tuple(text for text in prompts if text),
            ratio,
            version,
            digest is not None and digest != digest_of_prompts(prompts, ratio),
        )
        for row_id, key, uri, status, raw, ratio, version, digest, *prompts in rows
    ]


def write_reread(tx: Transaction, rows: Sequence[Reread]) -> set[int]:
    """Write what was read anew, of rows that are still as they were.

    :return: the numbers of the rows that were written; the others have moved on meanwhile.
    """
    images = tx.tables.images.c
    read = {one.row.id: one.row for one in rows}
    found = tx.connection.execute(
        select(
            *(images[name] for name in ("id", "status", "prompt_raw", "parser_version", "aspect_ratio")),
            *(images[name] for name in PROMPT_COLUMNS),
        )
        .where(images.id.in_(list(read)), _has_an_answer(tx))
        .order_by(images.id)
        .with_for_update()
    )
    unchanged = {
        row_id
        for row_id, status, raw, version, ratio, *prompts in found
        if (status, raw, version, ratio, tuple(text for text in prompts if text)) == read[row_id].seen
    }
    for status, move in _BY_STATUS.items():
        these = [one for one in rows if one.row.id in unchanged and one.row.status is status]
        write_prompts(tx, move, [Prompted(one.row.id, one.parsed, one.row.prompt_raw) for one in these])
    return unchanged


def _has_an_answer(tx: Transaction) -> ColumnElement[bool]:
    images = tx.tables.images.c
    unparseable = and_(images.status == Status.FAILED, images.reason == Reason.UNPARSEABLE)
    return or_(images.status == Status.SUCCEEDED, unparseable)


@dataclass(frozen=True, slots=True)
class Change:
    """One row as an example: the first prompt that is another one now."""

    image_uri: str
    before: str
    after: str


@dataclass(slots=True)
class ReparseReport:
    """What a newer parser came to.

    :param rows: rows that were looked at.
    :param changed: of these, those with other prompts or another aspect ratio than before.
    :param unchanged: of these, rows with the same prompts and aspect ratio.
    :param recovered: images that had failed as ``unparseable`` and have their prompts now.
    :param unreadable: raw answers in which this parser finds no prompts: their rows stay as they are.
    :param corrected: rows whose prompts a person has corrected: they stay as they are.
    :param moved_on: rows that were described again, corrected or erased, meanwhile.
    """

    rows: int = 0
    changed: int = 0
    unchanged: int = 0
    recovered: int = 0
    unreadable: int = 0
    corrected: int = 0
    moved_on: int = 0
    examples: list[Change] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Give plain counts for an XCom: no prompts, no keys."""
        return {name: value for name, value in asdict(self).items() if name != "examples"} | {
            "parser_version": PARSER_VERSION
        }

    def note(self, one: Reread) -> None:
        """Count a row that was written."""
        before, after = one.row.prompts, one.parsed.prompts
        if one.row.status is not Status.SUCCEEDED:
            self.recovered += 1
        elif before == after and one.row.aspect_ratio == one.parsed.aspect_ratio:
            self.unchanged += 1
        else:
            self.changed += 1
            if len(self.examples) < MOST_EXAMPLES:
                self.examples.append(_example(one.row, one.parsed))


def reparse(database: Database, scope: Scope, *, again: bool = False) -> ReparseReport:
    """Read the raw answers of a scope anew. Killed and started again, it goes on: what is read is not read again.

    :param again: whether rows that this very parser has read are read again, too.
    :raises TableError: if the database cannot be used.
    """
    report = ReparseReport()
    for rows in _pages(database, scope, again=again):
        report.rows += len(rows)
        as_made = [row for row in rows if not row.is_corrected]
        report.corrected += len(rows) - len(as_made)
        reread = [Reread(row, parsed) for row in as_made if (parsed := parse_prompts(row.prompt_raw)) is not None]
        report.unreadable += len(as_made) - len(reread)
        written = database.write_here(write_reread, reread)
        report.moved_on += len(reread) - len(written)
        for one in reread:
            if one.row.id in written:
                report.note(one)
    return report


def _example(row: AnsweredRow, parsed: ParsedPrompts) -> Change:
    pairs = zip((*row.prompts, *[""] * 4), (*parsed.prompts, *[""] * 4), strict=False)
    before, after = next(((old, new) for old, new in pairs if old != new), (row.aspect_ratio, parsed.aspect_ratio))
    return Change(row.image_uri, presentable(before or "none"), presentable(after or "none"))


def _pages(database: Database, scope: Scope, *, again: bool) -> Iterator[list[AnsweredRow]]:
    for keys in key_ranges(scope):
        after: RowCursor | None = None
        while rows := database.read_here(answered_rows, scope, keys, after, again=again):
            after = rows[-1].place
            yield rows
