"""CSV for people: it opens in a spreadsheet, and no cell is taken for a formula."""

from __future__ import annotations

import csv
import io
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from airflow_midjourney.describe.exports.format import ExportFormat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from airflow_midjourney.describe.exports.format import Files, Sample

COLUMNS: Final = (
    "image_uri",
    "caption",
    "prompt_1",
    "prompt_2",
    "prompt_3",
    "prompt_4",
    "aspect_ratio",
    "status",
    "reason",
    "detail",
    "width",
    "height",
    "media_type",
    "size_bytes",
    "content_sha256",
    "image_version",
    "is_current",
    "bot_type",
    "price",
    "currency",
    "submitted_at",
    "finished_at",
    "ended_at",
    "dag_id",
    "run_id",
    "caption_source",
    "decision",
    "reviewer",
    "reviewed_at",
)

#: What makes a spreadsheet read a cell as a formula, the full-width forms of East Asia among them.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


@dataclass(frozen=True)
class Format(ExportFormat):
    """One file with a header, commas and UTF-8 with a byte order mark, which Excel needs.

    A cell that a spreadsheet would take for a formula begins with an apostrophe.
    """

    needs_prompts: ClassVar[bool] = False
    suffix: ClassVar[str | None] = ".csv"

    @contextmanager
    def open(self, files: Files, splits: tuple[str, ...]) -> Iterator[Callable[[Sample], None]]:
        """Open one file per split."""
        with ExitStack() as stack:
            writers = {}
            for split in splits:
                binary = stack.enter_context(files.open(f"{split or 'prompts'}.csv"))
                text = io.TextIOWrapper(binary, encoding="utf-8-sig", newline="", write_through=False)
                stack.callback(text.detach)
                writers[split] = csv.writer(text)
                writers[split].writerow(COLUMNS)
            yield lambda sample: writers[sample.split].writerow(_cells(sample))


def cell(value: object) -> str:
    """Give a cell that a spreadsheet shows as it is."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _cells(sample: Sample) -> list[str]:
    image = sample.image
    prompts = dict(zip(("prompt_1", "prompt_2", "prompt_3", "prompt_4"), image.prompts, strict=False))
    values: dict[str, Any] = {
        "caption": sample.caption,
        "caption_source": sample.caption_source,
        "reviewed_at": _moment(image.reviewed_at),
        "is_current": "true" if image.is_current else "false",
        "submitted_at": _moment(image.submitted_at),
        "finished_at": _moment(image.finished_at),
        "ended_at": _moment(image.ended_at),
        **prompts,
    }
    return [cell(values[name] if name in values else getattr(image, name, None)) for name in COLUMNS]


def _moment(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat(timespec="seconds")
