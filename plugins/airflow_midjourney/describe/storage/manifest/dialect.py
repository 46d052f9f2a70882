"""The form of a list, decided once for the whole file: lines, CSV, a listing of a client, JSON."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from airflow_midjourney.describe.model.errors import ManifestError
from airflow_midjourney.describe.model.text import presentable
from airflow_midjourney.describe.storage.address import read_address
from airflow_midjourney.describe.storage.manifest.entries import (
    BUCKET_AND_KEY,
    DELIMITERS,
    BadLine,
    Columns,
    Entry,
    Item,
    LineRange,
    Passed,
    csv_items,
    detect_columns,
    is_of_no_current_object,
    named_columns,
    named_item,
    names_the_only_column,
    plain_items,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from airflow_midjourney.describe.storage.manifest.lines import Line

#: Lines by which the form is decided.
_FIRST_LINES: Final = 1000

_QUOTED: Final = 120

#: Lines within which a table that is drawn has drawn a line.
_LINES_TO_A_RULE: Final = 3

_WHEN: Final = r"\d{4}[-/]\d\d[-/]\d\d[ T]\d\d:\d\d(?::\d\d)?(?:\.\d+)?\S*"
_SIZE: Final = r"\d[\d.]*(?: ?(?:[KMGTP]i?B?|Bytes?|B))?"
_LISTED: Final = re.compile(rf"\s*{_WHEN}\s+{_SIZE}\s(?P<name>.+)")
_LISTED_URI: Final = re.compile(rf"\s*{_WHEN}\s+{_SIZE}\s.*?(?P<name>s3://.+)")
_FOLDER: Final = re.compile(r"\s*(?:PRE|DIR) .+")
_SUMMARY: Final = re.compile(r"\s*Total (?:Objects|Size): .*")
#: As ``aws s3api list-objects-v2 --output text`` writes: an object a line, and lines about it or about the answer.
_CONTENTS: Final = re.compile(
    r"CONTENTS\t(?:[A-Z_]+\t)?\"[^\"\t]+\"\t(?P<name>.+)\t\d{4}-\d\d-\d\dT[^\t]+\t\d+(?:\t[A-Z_]+)?"
)
_BESIDE_CONTENTS: Final = re.compile(
    r"(?:OWNER|CHECKSUMALGORITHM|RESTORESTATUS|REQUESTCHARGED|COMMONPREFIXES|None)(?:\t.*)?"
)
_OF_MC: Final = re.compile(r"\[\d{4}-\d\d-\d\d .{4,30}\]\s+\d.*")
_OF_RCLONE: Final = re.compile(rf"\s*\d+ {_WHEN} .+")
_SIZE_AND_NAME: Final = re.compile(r"\s+\d+ .*\S.*")
_DRAWN: Final = re.compile(r"[|+=-][|+=\s-]{2,}")
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_BEGINS_JSON: Final = re.compile(r"\s*(?:[{\[]\s*(?:\"|[{\[]|$)|\"(?:[^\"\\]|\\.)*\"\s*$)")
_LISTS_OF_JSON: Final = ("Contents", "Versions", "entries", "keys", "files", "images", "objects")
_NEEDED: Final = (
    "Write one s3://bucket/key a line, or CSV with a header such as bucket,key; for S3's own listing, take"
    " aws s3 ls --recursive."
)


@dataclass(frozen=True, slots=True)
class ListDialect:
    """How a list is written.

    :param items: reads lines from anywhere in the file.
    :param columns: where it is CSV.
    """

    items: Callable[[Iterable[Line]], Iterator[Item]]
    columns: Columns | None = None


def detect_dialect(lines: Iterable[Line], key: str, uri: str) -> ListDialect:
    """Say how a list is written, by its name and its first lines.

    :param lines: from the first on.
    :param key: the manifest's own.
    :param uri: the manifest's, for the message.
    :raises ManifestError: it has a form that leaves open which objects are meant; the message quotes a line.
    """
    head = list(islice(lines, _FIRST_LINES))
    shown = [line for line in head if line.text.strip()]
    if not shown:
        return ListDialect(plain_items)
    listing = _listing(shown, uri)
    if listing is not None:
        return listing
    if is_json_lines(shown):
        return ListDialect(_json_items)
    columns = detect_columns(head, key)
    if columns is None and all(_is_quoted(line.text) for line in shown):
        columns = Columns({"key": 0}, encoded=False)
    if columns is None or columns is BUCKET_AND_KEY:
        _refuse_columns_without_names(shown, key, uri)
    if columns is None:
        first = shown[0].text.strip()
        header = first if len(shown) > 1 and names_the_only_column(first) else ""
        return ListDialect(lambda following: plain_items(following, header))
    return ListDialect(lambda following: csv_items(following, columns), columns)


def _listing(shown: list[Line], uri: str) -> ListDialect | None:
    """Read the output of a client that lists, or refuse it where it does not say the whole key."""
    first = shown[0]
    if any(_DRAWN.fullmatch(line.text.strip()) for line in shown[:_LINES_TO_A_RULE]):
        raise _refused(uri, first, "is drawn as a table")
    if _OF_MC.match(first.text) or _OF_RCLONE.fullmatch(first.text.strip("\r\n")):
        raise _refused(uri, first, "is the output of a client that leaves out where its keys begin")
    if _is_s3api_text(shown):
        return ListDialect(_contents_items)
    rows = [line for line in shown if not _SUMMARY.fullmatch(line.text.rstrip())]
    texts = [line.text.rstrip("\r\n") for line in rows]
    folder = next((line for line in rows if _FOLDER.fullmatch(line.text.rstrip("\r\n"))), None)
    if all(_LISTED_URI.fullmatch(text) or _FOLDER.fullmatch(text) for text in texts):
        return ListDialect(lambda following: _listed_items(following, _LISTED_URI))
    if not all(_LISTED.fullmatch(text) or _FOLDER.fullmatch(text) for text in texts):
        if len(rows) > 1 and all(_SIZE_AND_NAME.fullmatch(text) for text in texts):
            raise _refused(uri, first, "is the output of a client that leaves out where its keys begin")
        return None
    if folder is not None:
        raise _refused(uri, folder, "is a folder in a listing without --recursive, which leaves out where keys begin")
    # Without --recursive no name has a slash, and then the folder before it is missing.
    if not any("/" in found["name"] for text in texts if (found := _LISTED.fullmatch(text))):
        raise _refused(uri, first, "is of a listing that does not show whether its names are whole keys")
    return ListDialect(lambda following: _listed_items(following, _LISTED))


def _is_s3api_text(shown: list[Line]) -> bool:
    texts = [line.text.rstrip("\r\n") for line in shown]
    objects = [text for text in texts if _CONTENTS.fullmatch(text)]
    return bool(objects) and len(objects) == sum(not _BESIDE_CONTENTS.fullmatch(text) for text in texts)


def _contents_items(lines: Iterable[Line]) -> Iterator[Item]:
    for line in lines:
        place, text = _place(line), line.text.rstrip("\r\n")
        found = _CONTENTS.fullmatch(text)
        if line.problem:
            yield BadLine(place, line.problem)
        elif found is not None and not found["name"].endswith("/"):
            yield named_item(place, None, found["name"])
        elif found is not None or not text.strip() or _BESIDE_CONTENTS.fullmatch(text):
            yield Passed(place)
        else:
            yield BadLine(place, "is written otherwise than the first lines of this listing")


def _listed_items(lines: Iterable[Line], form: re.Pattern[str]) -> Iterator[Item]:
    for line in lines:
        place, text = _place(line), line.text.rstrip("\r\n")
        found = form.fullmatch(text)
        if line.problem:
            yield BadLine(place, line.problem)
        elif not text.strip() or _SUMMARY.fullmatch(text):
            yield Passed(place)
        elif found is None:
            yield BadLine(place, "is written otherwise than the first lines of this listing")
        elif found["name"].endswith("/"):
            # The mark that consoles leave for a folder; a listing names it like an object.
            yield Passed(place)
        else:
            yield named_item(place, None, found["name"])


def is_json_lines(lines: Iterable[Line]) -> bool:
    """Say whether lines are objects of JSON, one a line; a single one may be a document as well, if it has no key."""
    shown = [line for line in lines if line.text.strip()]
    texts = [_without_comma(line.text) for line in shown]
    if not all(text.startswith(('{"', '{ "')) and text.endswith("}") for text in texts):
        return False
    return len(texts) > 1 or any(isinstance(json_item(_place(line), _parsed(line.text)), Entry) for line in shown)


def _without_comma(text: str) -> str:
    return text.strip().rstrip(",").rstrip()


def _json_items(lines: Iterable[Line]) -> Iterator[Item]:
    for line in lines:
        if line.problem:
            yield BadLine(_place(line), line.problem)
        elif not line.text.strip():
            yield Passed(_place(line))
        else:
            yield json_item(_place(line), _parsed(_without_comma(line.text)))


def json_item(place: LineRange, value: Any) -> Item:
    """Read one value of JSON: text, or an object with the names that columns have."""
    if isinstance(value, str):
        return named_item(place, None, value)
    if not isinstance(value, dict):
        return BadLine(place, "is JSON that names no key")
    if _is_folder(value):
        return Passed(place)
    names = [str(name) for name in value]
    told = {column: value[names[at]] for column, at in named_columns(names).items()}
    if is_of_no_current_object(told.get("is_latest"), told.get("is_delete_marker")):
        return Passed(place)
    key, bucket = told.get("key"), told.get("bucket")
    if not isinstance(key, str) or not isinstance(bucket, str | None):
        return BadLine(place, "is JSON without a key")
    return named_item(place, bucket, key)


def _is_folder(value: dict[str, Any]) -> bool:
    """Say whether rclone or MinIO's client tell a folder; both list them beside the objects."""
    return value.get("IsDir") is True or (value.get("type") == "folder" and "size" in value)


def begins_json(line: str) -> bool:
    """Say whether the first line of a file is that of one JSON document."""
    text = line.strip()
    return text in ("{", "[") or (text.startswith(("[", "{")) and _BEGINS_JSON.match(text) is not None)


def json_items(document: Any) -> list[Item] | None:
    """Read a JSON list, alone or as the one that a document has; None where it is neither.

    :return: items whose lines are counted as values.
    """
    values = _list_of(document) if isinstance(document, dict) else document
    if not isinstance(values, list):
        return None
    values = _under_their_prefix(values)
    return [json_item(LineRange(number, number, number), value) for number, value in enumerate(values, 1)]


def _list_of(document: dict[str, Any]) -> list[Any] | None:
    """Give what ``aws s3api`` and COPY of Redshift call their list, or the list of a document that has but one."""
    if "fileSchema" in document:
        return None
    lists = {name: value for name, value in document.items() if isinstance(value, list)}
    named = next((lists[name] for name in _LISTS_OF_JSON if name in lists), None)
    return named if named is not None or len(lists) != 1 else next(iter(lists.values()))


def _under_their_prefix(values: list[Any]) -> list[Any]:
    """Put before each key the prefix with which lists of SageMaker begin."""
    first = values[0] if values else None
    prefix = first.get("prefix") if isinstance(first, dict) and len(first) == 1 else None
    if not isinstance(prefix, str):
        return values
    return [prefix + value if isinstance(value, str) else value for value in values[1:]]


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _is_quoted(text: str) -> bool:
    bare = text.strip()
    return len(bare) > 2 and bare.startswith('"') and bare.endswith('"') and bare.count('"') == 2


def _refuse_columns_without_names(shown: list[Line], key: str, uri: str) -> None:
    """Refuse lines of several cells where no header says which of them is the key."""
    is_csv = key.lower().removesuffix(".gz").endswith((".csv", ".tsv"))
    for delimiter in DELIMITERS:
        rows = [line.text.strip("\r\n").split(delimiter) for line in shown]
        if not all(len(cells) > 1 for cells in rows):
            continue
        begins = {cells[0].strip().strip('"') for cells in rows}
        one_bucket = len(begins) == 1 and len(rows) > 1 and _BUCKET.fullmatch(next(iter(begins))) is not None
        if delimiter == "," and is_csv:
            # S3 writes bucket,key without a header, and one bucket in all lines.
            strange = len(begins) > 1 and not all(map(_BUCKET.fullmatch, begins))
            in_doubt = strange or any(read_address(begin) is not None for begin in begins)
        else:
            in_doubt = one_bucket or delimiter == "\t" or is_csv
        if in_doubt:
            raise _refused(uri, shown[0], f"has several columns ({delimiter!r} between them), and no header names them")


def _refused(uri: str, line: Line, problem: str) -> ManifestError:
    quoted = presentable(line.text.partition("?")[0], limit=_QUOTED)
    return ManifestError(
        f"Line {line.number:,} of the manifest {uri!r}, {quoted!r}, {problem}. {_NEEDED}", image_uri=uri
    )


def _place(line: Line) -> LineRange:
    return LineRange(line.number, line.number, line.end)
