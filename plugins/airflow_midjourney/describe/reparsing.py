"""A newer parser over the raw answers: nothing is sent, nothing is paid."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from airflow_midjourney.describe.prompts import PARSER_VERSION, parse_prompts
from airflow_midjourney.describe.status import Status
from airflow_midjourney.describe.table.reparsing import AnsweredRow, Reread, answered_rows, write_reread
from airflow_midjourney.describe.text import presentable

if TYPE_CHECKING:
    from airflow_midjourney.describe.prompts import ParsedPrompts
    from airflow_midjourney.describe.scope import Scope
    from airflow_midjourney.describe.table.database import Database

#: Changed rows that are shown.
MOST_EXAMPLES: Final = 5


@dataclass(frozen=True, slots=True)
class Change:
    """One row as an example: the first prompt that is another one now."""

    image_uri: str
    before: str
    after: str


@dataclass(slots=True)
class ReparseReport:
    """What a newer parser came to.

    :param rows: rows that were read anew.
    :param changed: of these, those with other prompts or another aspect ratio than before.
    :param unchanged: those that say the same.
    :param recovered: images that had failed as ``unparseable`` and have their prompts now.
    :param unreadable: raw answers in which this parser finds no prompts: their rows stay as they are.
    :param moved_on: rows that were described again, or erased, meanwhile.
    """

    rows: int = 0
    changed: int = 0
    unchanged: int = 0
    recovered: int = 0
    unreadable: int = 0
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
    report, after = ReparseReport(), 0
    while rows := database.read_here(answered_rows, scope, after, again=again):
        after = rows[-1].id
        report.rows += len(rows)
        reread = [Reread(row, parsed) for row in rows if (parsed := parse_prompts(row.prompt_raw)) is not None]
        report.unreadable += len(rows) - len(reread)
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
