"""What a line of a manifest names: plain keys and URIs, CSV with a header, CSV as S3 Inventory writes it."""

from __future__ import annotations

import csv
import re
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_plus

from airflow_midjourney.describe.storage.address import read_address
from airflow_midjourney.describe.storage.keys import problem_of_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from airflow_midjourney.describe.storage.manifest.lines import Line

#: Lines that one CSV record may have: a key in quotes may hold line breaks, and so does a quote that is never closed.
_LINES_OF_A_RECORD: Final = 20

#: Lines, empty ones among them, within which a header is looked for.
_LINES_TO_A_HEADER: Final = 1000

#: Column names, without case and separators, and what they are called here.
_COLUMN_NAMES: Final = {
    "bucket": "bucket",
    "bucketname": "bucket",
    "s3bucket": "bucket",
    "key": "key",
    "etag": "etag",
    "size": "size",
    "sizebytes": "size",
    "lastmodified": "last_modified",
    "lastmodifieddate": "last_modified",
    "storageclass": "storage_class",
    "islatest": "is_latest",
    "isdeletemarker": "is_delete_marker",
}

#: Column names that hold a key or a URI where no column is named key.
_NAMES_OF_KEYS: Final = (
    "s3key",
    "objectkey",
    "s3objectkey",
    "keyname",
    "imagekey",
    "s3uri",
    "imageuri",
    "uri",
    "s3url",
    "imageurl",
    "url",
    "sourceref",
    "s3path",
    "imagepath",
    "filepath",
    "path",
    "objectname",
    "imagename",
    "filename",
    "file",
    "object",
    "image",
)

_COMMENT: Final = "is a comment, which lists have not"

#: By which spreadsheets say what stands between the cells.
_SEPARATOR: Final = re.compile(r"sep=.\s*", re.IGNORECASE)

#: What stands between the cells of a line.
DELIMITERS: Final = (",", ";", "\t", "|")

_ETAG: Final = re.compile(r"[!#-~]{1,200}")
_STORAGE_CLASS: Final = re.compile(r"[A-Z0-9_]{1,40}")
_LARGEST_OBJECT: Final = 2**53

#: What a listing says of an object: a manifest that says as much saves asking S3.
_FACTS: Final = ("etag", "size", "last_modified")


@dataclass(frozen=True, slots=True)
class Facts:
    """What a listing would say of an object.

    :param etag: without its quotes.
    :param last_modified: UTC.
    """

    etag: str
    size_bytes: int
    last_modified: datetime
    storage_class: str


@dataclass(frozen=True, slots=True)
class LineRange:
    """Where something stands in a file.

    :param line: the number of its first line, from 1.
    :param last_line: the number of its last line.
    :param end: where the next line starts, in bytes.
    """

    line: int
    last_line: int
    end: int


@dataclass(frozen=True, slots=True)
class Entry:
    """What one line names, or several where a key in quotes has line breaks.

    :param bucket: None where the line does not say.
    :param facts: where the line says as much as a listing would.
    """

    place: LineRange
    bucket: str | None
    key: str
    facts: Facts | None = None


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that names nothing, and why."""

    place: LineRange
    problem: str

    def __str__(self) -> str:
        return f"line {self.place.line:,} {self.problem}"


@dataclass(frozen=True, slots=True)
class Passed:
    """A line that rightly names nothing: it is empty, a header, or about a version that is not the current one."""

    place: LineRange


Item = Entry | BadLine | Passed


@dataclass(frozen=True, slots=True)
class Columns:
    """What the columns of a CSV manifest hold.

    :param places: where each known column is, from 0.
    :param encoded: whether keys are URL-encoded, as S3 writes them.
    :param header: the line that says so; empty where none does.
    :param delimiter: what stands between two cells.
    """

    places: Mapping[str, int]
    encoded: bool
    header: tuple[str, ...] = ()
    delimiter: str = ","

    @property
    def tell_facts(self) -> bool:
        """Whether a line says what a listing would."""
        return all(name in self.places for name in _FACTS)

    def cell(self, cells: Sequence[str], name: str) -> str:
        """Give a cell, empty where the line has none."""
        place = self.places.get(name, len(cells))
        return cells[place] if place < len(cells) else ""


#: As S3 Inventory and S3 Batch Operations write CSV without a header; what follows is not the same everywhere.
BUCKET_AND_KEY: Final = Columns({"bucket": 0, "key": 1}, encoded=True)


def named_columns(names: Iterable[str]) -> dict[str, int]:
    """Give the places of the columns whose names are known."""
    places: dict[str, int] = {}
    plain = ["".join(filter(str.isalnum, name)).lower() for name in names]
    for place, name in enumerate(plain):
        known = _COLUMN_NAMES.get(name)
        if known is not None:
            places.setdefault(known, place)
    other = next((name for name in _NAMES_OF_KEYS if name in plain), None)
    if other is not None:
        places.setdefault("key", plain.index(other))
    return places


def detect_columns(lines: Iterable[Line], key: str) -> Columns | None:
    """Say how a manifest is written, by its name and its first line; None for plain lines.

    :param lines: from the first on.
    :param key: the manifest's own.
    """
    head = islice(lines, _LINES_TO_A_HEADER)
    first = [line for line in head if line.text.strip() and not _is_beside_csv(line.text)][:_LINES_OF_A_RECORD]
    is_csv = key.lower().removesuffix(".gz").endswith((".csv", ".tsv"))
    for delimiter in DELIMITERS:
        record = next(records(first, delimiter), None)
        if record is not None and (headed := _headed(record.cells, delimiter, is_csv=is_csv)) is not None:
            return headed
    record = next(records(first), None)
    return BUCKET_AND_KEY if is_csv and record is not None and len(record.cells) > 1 else None


def _headed(cells: tuple[str, ...], delimiter: str, *, is_csv: bool) -> Columns | None:
    places = named_columns(cells)
    if "key" not in places:
        return None
    # Elsewhere a comma may be part of a key, so only a line of nothing but known names is a header.
    if not is_csv and not len(places) == len(cells) > 1:
        return None
    return Columns(places, encoded=False, header=cells, delimiter=delimiter)


def names_the_only_column(text: str) -> bool:
    """Say whether a line is the header of a list that has nothing but keys."""
    return list(named_columns([text])) == ["key"]


def plain_items(lines: Iterable[Line], header: str = "") -> Iterator[Item]:
    """Read one key or ``s3://bucket/key`` a line.

    :param header: a line that names nothing.
    """
    for line in lines:
        text, place = line.text.removesuffix("\n").removesuffix("\r"), _place(line)
        if line.problem:
            yield BadLine(place, line.problem)
        elif not text.strip() or text.strip() == header:
            yield Passed(place)
        elif _is_comment(text):
            yield BadLine(place, _COMMENT)
        else:
            yield named_item(place, None, text)


def _is_comment(text: str) -> bool:
    """Tell a comment from a key, which may begin with the same sign and then has a folder or an ending."""
    return text.startswith(("# ", "// ")) or (text.startswith("#") and not {"/", "."}.intersection(text))


def _is_beside_csv(text: str) -> bool:
    return text.startswith("# ") or _SEPARATOR.fullmatch(text) is not None


def csv_items(lines: Iterable[Line], columns: Columns) -> Iterator[Item]:
    """Read CSV, its header as a line that names nothing."""
    for record in records(lines, columns.delimiter):
        if record.problem:
            yield BadLine(record.place, record.problem)
        elif not record.text.strip() or record.cells == columns.header or _SEPARATOR.fullmatch(record.text):
            yield Passed(record.place)
        elif columns.header and _is_beside_csv(record.text):
            yield BadLine(record.place, _COMMENT)
        else:
            yield _item(record, columns)


@dataclass(frozen=True, slots=True)
class Record:
    """One record of CSV, of one line or several.

    :param text: its first line.
    """

    place: LineRange
    text: str
    cells: tuple[str, ...] = ()
    problem: str = ""


def records(lines: Iterable[Line], delimiter: str = ",") -> Iterator[Record]:
    """Read lines as CSV, a record of one line or several each."""
    source = iter(lines)
    waiting: deque[Line] = deque()
    while _fill(waiting, source, 1):
        taken = 1
        while (record := _record(list(islice(waiting, taken)), delimiter)) is None:
            if taken == _LINES_OF_A_RECORD or not _fill(waiting, source, taken + 1):
                first = waiting[0]
                record = Record(_place(first), first.text, problem="has a quote that is not closed")
                break
            taken += 1
        # After a bad line, the lines that seemed to belong to it are read for themselves.
        for _ in range(1 if record.problem else taken):
            waiting.popleft()
        yield record


def _fill(waiting: deque[Line], source: Iterator[Line], number: int) -> bool:
    waiting.extend(islice(source, max(0, number - len(waiting))))
    return len(waiting) >= number


def _record(lines: list[Line], delimiter: str) -> Record | None:
    """Read lines as one record; None if it goes on after them."""
    first, last = lines[0], lines[-1]
    if first.problem:
        return Record(_place(first), first.text, problem=first.problem)
    try:
        cells = next(csv.reader([line.text for line in lines], delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            return None
        return Record(_place(first), first.text, problem=f"is no CSV: {error}")
    return Record(_place(first, last), first.text, tuple(cells))


def _item(record: Record, columns: Columns) -> Item:
    if is_of_no_current_object(*(columns.cell(record.cells, name) for name in ("is_latest", "is_delete_marker"))):
        return Passed(record.place)
    if columns.places["key"] >= len(record.cells):
        problem = f"has {len(record.cells)} columns, and the key is in column {columns.places['key'] + 1}"
        return BadLine(record.place, problem)
    if columns.header and any(record.cells[len(columns.header) :]):
        number = len(columns.header)
        return BadLine(record.place, f"has more cells than the header, which has {number}: put each cell in quotes")
    bucket = columns.cell(record.cells, "bucket").strip() or None
    key = columns.cell(record.cells, "key")
    if not columns.encoded:
        return named_item(record.place, bucket, key, _facts(record.cells, columns))
    try:
        key = unquote_plus(key, errors="strict")
    except UnicodeDecodeError:
        return BadLine(record.place, "has a URL-encoded key that is not UTF-8")
    return _named(record.place, bucket, key, _facts(record.cells, columns))


def is_of_no_current_object(is_latest: object, is_delete_marker: object) -> bool:
    """Say whether a line is about an older version or a deletion; spreadsheets write these words in capitals."""
    return str(is_latest).strip().lower() == "false" or str(is_delete_marker).strip().lower() == "true"


def named_item(place: LineRange, bucket: str | None, text: str, facts: Facts | None = None) -> Entry | BadLine:
    """Read a key or an address of an object.

    :param bucket: where the line says it apart from the key.
    """
    address = read_address(text)
    if address is None:
        return _named(place, bucket, text, facts)
    if address.problem:
        return BadLine(place, address.problem)
    return _named(place, address.bucket, address.key, facts)


def _place(first: Line, last: Line | None = None) -> LineRange:
    last = last or first
    return LineRange(first.number, last.number, last.end)


def _named(place: LineRange, bucket: str | None, key: str, facts: Facts | None = None) -> Entry | BadLine:
    if bucket == "":
        return BadLine(place, "names no bucket")
    problem = problem_of_key(key)
    return BadLine(place, problem) if problem else Entry(place, bucket, key, facts)


def _facts(cells: Sequence[str], columns: Columns) -> Facts | None:
    """Read what a listing would say; None, so that S3 is asked, where that is not what the cells hold."""
    etag = columns.cell(cells, "etag").strip().strip('"')
    storage_class = columns.cell(cells, "storage_class") or "STANDARD"
    try:
        size = int(columns.cell(cells, "size"))
        written = datetime.fromisoformat(columns.cell(cells, "last_modified").strip())
        moment = (written if written.tzinfo else written.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    if not _ETAG.fullmatch(etag) or not 0 <= size <= _LARGEST_OBJECT or not _STORAGE_CLASS.fullmatch(storage_class):
        return None
    return Facts(etag, size, moment, storage_class)
