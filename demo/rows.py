"""Reading the metadata table: the only place from which the demo's numbers come."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.model.batch import Listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from demo.pictures import Pictures

_ON_THE_WAY: Final = ("submitting", "submitted")
_UNFINISHED: Final = ("pending", *_ON_THE_WAY, "in_doubt")

_QUERY: Final = """
    SELECT image.key, image.status, image.reason, image.detail, other.key,
           image.prompt_1, image.prompt_2, image.prompt_3, image.prompt_4
    FROM image_prompts AS image LEFT JOIN image_prompts AS other ON other.id = image.shares_id
    WHERE image.is_current AND image.bucket = ? AND substr(image.key, 1, length(?)) = ? ORDER BY image.key
"""


@dataclass(frozen=True, slots=True)
class ImageRow:
    """One row of ``image_prompts``.

    :param shares: key of the image with the same bytes, whose answer this one has.
    """

    key: str
    status: str
    reason: str | None
    detail: str | None
    shares: str | None
    prompts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tally:
    """How many rows ended how.

    :param described: succeeded, with an answer of their own.
    :param shared: succeeded with the answer of another image that has the same bytes.
    """

    total: int = 0
    described: int = 0
    shared: int = 0
    rejected: int = 0
    failed: int = 0
    on_the_way: int = 0
    unfinished: int = 0

    @property
    def done(self) -> int:
        """Rows that have ended."""
        return self.total - self.unfinished

    @property
    def with_prompts(self) -> int:
        """Rows that have their prompts."""
        return self.described + self.shared

    def line(self) -> str:
        """Say it in one line."""
        line = f"described {self.described} of {self.total} images, {self.shared} shared, {self.rejected} rejected"
        if self.failed:
            line += f", {self.failed} failed"
        if self.unfinished:
            line += f", {self.unfinished} unfinished"
        return line


def tally(rows: Sequence[ImageRow]) -> Tally:
    """Count rows."""
    by_status = Counter(row.status for row in rows)
    shared = sum(row.status == "succeeded" and row.shares is not None for row in rows)
    return Tally(
        total=len(rows),
        described=by_status["succeeded"] - shared,
        shared=shared,
        rejected=by_status["rejected"],
        failed=by_status["failed"],
        on_the_way=sum(by_status[status] for status in _ON_THE_WAY),
        unfinished=sum(by_status[status] for status in _UNFINISHED),
    )


def read_rows(table: Path, pictures: Pictures) -> list[ImageRow]:
    """Read the rows of the current version of each picture, by key; none where there is no table yet.

    :raises sqlite3.DatabaseError: if the file is no database.
    """
    if not table.exists():
        return []
    with _reading(table) as connection:
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'image_prompts'").fetchone() is None:
            return []
        return [
            ImageRow(key, status, reason, detail, shares, tuple(prompt for prompt in prompts if prompt))
            for key, status, reason, detail, shares, *prompts in connection.execute(
                _QUERY, (pictures.bucket, pictures.prefix, pictures.prefix)
            )
        ]


def read_planned(table: Path) -> int:
    """Read how many images the latest batch would submit, or has to.

    :raises sqlite3.DatabaseError: if the file is no database, or has no batch.
    """
    with _reading(table) as connection:
        query = "SELECT listed FROM image_prompts_batches ORDER BY started_at DESC LIMIT 1"
        (listed,) = connection.execute(query).fetchone() or ("{}",)
    return Listed.from_json(json.loads(listed)).to_describe


def read_paid(table: Path) -> int:
    """Read how many submissions any service has accepted; none where there is no table yet.

    :raises sqlite3.DatabaseError: if the file is no database.
    """
    if not table.exists():
        return 0
    with _reading(table) as connection:
        if (
            connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'image_prompts_submissions'").fetchone()
            is None
        ):
            return 0
        query = "SELECT count(*) FROM image_prompts_submissions WHERE outcome = 'accepted'"
        (number,) = connection.execute(query).fetchone()
    return int(number)


@contextlib.contextmanager
def _reading(table: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(f"{table.as_uri()}?mode=ro", uri=True, timeout=10)
    try:
        yield connection
    finally:
        connection.close()
