"""What lines of strangers' manifests name, and that nothing in them is more than a bad line."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_midjourney.describe.storage.manifest.entries import (
    BUCKET_AND_KEY,
    BadLine,
    Entry,
    Facts,
    Passed,
    csv_items,
    detect_columns,
    plain_items,
)
from airflow_midjourney.describe.storage.manifest.lines import Line

TRICKY = "aB%+&?#[]{}\"'\\/,;:*~^`|<> .-_ßé日本\u202e\u0301\U0010ffff\t\x01\x7f\u2028\x85"


def lines(text: str) -> list[Line]:
    """Cut a text as a file is cut."""
    found, end = [], 0
    for number, raw in enumerate(io.BytesIO(text.encode()), 1):
        end += len(raw)
        found.append(Line(number, end, raw.decode()))
    return found


def items(text: str, key: str = "list.txt") -> list[Any]:
    columns = detect_columns(lines(text), key)
    return list(plain_items(lines(text)) if columns is None else csv_items(lines(text), columns))


def named(text: str, key: str = "list.txt") -> list[tuple[str | None, str]]:
    return [(item.bucket, item.key) for item in items(text, key) if isinstance(item, Entry)]


def problems(text: str, key: str = "list.txt") -> list[str]:
    return [str(item) for item in items(text, key) if isinstance(item, BadLine)]


def test_plain_lines_are_keys_or_uris() -> None:
    text = "in/a.jpg\r\n\n  \ns3://photos/in/b c.jpg\n in/ c.jpg \ns3://photos/a//b\nlast,one+%20.jpg"

    assert named(text) == [
        (None, "in/a.jpg"),
        ("photos", "in/b c.jpg"),
        (None, " in/ c.jpg "),
        ("photos", "a//b"),
        (None, "last,one+%20.jpg"),
    ]
    assert problems(text) == []


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("s3://photos", "names no key"),
        ("s3:///a.jpg", "names no bucket"),
        ("s3://photos/", "names no key"),
        ("é" * 513, "1,024 bytes"),
        ("a\0.jpg", "S3 does not take"),
        ("../a.jpg", "S3 does not take"),
        ("a/../../b.jpg", "S3 does not take"),
    ],
)
def test_a_bad_line_says_which_and_why(line: str, problem: str) -> None:
    (found,) = problems(f"a.jpg\n{line}\nb.jpg\n")

    assert found.startswith("line 2 ")
    assert problem in found
    assert len(named(f"a.jpg\n{line}\nb.jpg\n")) == 2


def test_dots_within_the_bucket_are_part_of_the_key() -> None:
    assert named("a/../b.jpg\n./c.jpg\n.../d.jpg\n") == [(None, "a/../b.jpg"), (None, "./c.jpg"), (None, ".../d.jpg")]


def test_csv_with_a_header_takes_its_keys_as_they_are() -> None:
    text = 'Bucket,size,Key\nphotos,1,a+%20.jpg\n,2,"b, ""c"".jpg"\nphotos,3,"two\nlines.jpg"\nBucket,size,Key\n'

    assert named(text, "list.csv") == [("photos", "a+%20.jpg"), (None, 'b, "c".jpg'), ("photos", "two\nlines.jpg")]
    assert problems(text, "list.csv") == []
    assert items(text, "list.csv")[3].place.last_line == 5


def test_csv_without_a_header_is_bucket_and_url_encoded_key() -> None:
    text = '"photos","in/a+b%20c%2B.jpg"\nphotos,in/%C3%A9.jpg,version-1\n'

    assert named(text, "list.csv.gz") == [("photos", "in/a b c+.jpg"), ("photos", "in/é.jpg")]


def test_a_csv_of_one_column_is_plain_lines_and_a_header_is_known_anywhere() -> None:
    assert named("in/a.jpg\nin/b%20.jpg\n", "list.csv") == [(None, "in/a.jpg"), (None, "in/b%20.jpg")]
    assert named("key\nin/a.jpg\n", "list.csv") == [(None, "in/a.jpg")]
    assert named("bucket,key\nphotos,a.jpg\n", "list") == [("photos", "a.jpg")]
    assert named("key\nphotos,a.jpg\nbucket,key\n", "list") == [
        (None, "key"),
        (None, "photos,a.jpg"),
        (None, "bucket,key"),
    ]


def test_a_line_with_etag_size_and_time_needs_no_look_up() -> None:
    text = (
        'key,ETag,Size,LastModifiedDate,StorageClass\na.jpg,"""abc""",12,2024-01-02T03:04:05.000Z,GLACIER\n'
        "b.jpg,abc,12,,STANDARD\nc.jpg,abc,many,2024-01-02T03:04:05Z,\nd.jpg,a b,1,2024-01-02T03:04:05Z,\n"
        "e.jpg,abc,-1,2024-01-02T03:04:05Z,\nf.jpg,abc,1,0001-01-01T00:00:00+05:00,\ng.jpg,abc,1,2024-01-02T03:04:05,\n"
    )
    facts = {item.key: item.facts for item in items(text, "a.csv") if isinstance(item, Entry)}

    moment = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert facts["a.jpg"] == Facts("abc", 12, moment, "GLACIER")
    assert facts["g.jpg"] == Facts("abc", 1, moment, "STANDARD")
    assert [facts[key] for key in ("b.jpg", "c.jpg", "d.jpg", "e.jpg", "f.jpg")] == [None] * 5


def test_old_versions_and_delete_markers_of_an_inventory_are_passed_over() -> None:
    text = "key,IsLatest,IsDeleteMarker\na,true,false\nb,false,false\nc,true,true\n"

    assert named(text, "a.csv") == [(None, "a")]
    assert [type(item) for item in items(text, "a.csv")] == [Passed, Entry, Passed, Passed]


def test_lines_after_a_quote_that_is_not_closed_are_read_for_themselves() -> None:
    good = "".join(f"photos,{number}.jpg\n" for number in range(30))
    text = f'bucket,key\nphotos,"open.jpg\n{good}photos,a"b.jpg\nphotos,"c"d.jpg\nphotos\nphotos,"end'

    assert len(named(text, "a.csv")) == 31
    found = problems(text, "a.csv")
    assert [line.split()[1] for line in found] == ["2", "34", "35", "36"]
    assert "quote that is not closed" in found[0]
    assert "1 columns, and the key is in column 2" in found[2]


def test_a_key_that_is_no_utf8_under_its_encoding_is_a_bad_line() -> None:
    assert problems("photos,a%FF.jpg\nphotos,b.jpg\n", "a.csv") == ["line 1 has a URL-encoded key that is not UTF-8"]


keys = st.text(st.one_of(st.sampled_from(TRICKY), st.characters(exclude_categories=["Cs"])), min_size=1, max_size=12)
storable = keys.filter(lambda key: "\0" not in key and ".." not in key and not key.startswith("s3://"))


@settings(max_examples=60, deadline=None)
@given(st.lists(storable, max_size=8))
def test_keys_written_as_csv_are_read_as_they_were(wanted: list[str]) -> None:
    raw, encoded = io.StringIO(), io.StringIO()
    csv.writer(raw).writerows([("bucket", "key"), *(("photos", key) for key in wanted)])
    csv.writer(encoded, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(
        ("photos", quote_plus(key, safe="/")) for key in wanted
    )

    assert named(raw.getvalue(), "a.csv") == [("photos", key) for key in wanted]
    assert named(encoded.getvalue(), "a.csv") == [("photos", key) for key in wanted]
    assert [item.key for item in csv_items(lines(encoded.getvalue()), BUCKET_AND_KEY)] == wanted  # type: ignore[union-attr]


@settings(max_examples=60, deadline=None)
@given(st.lists(storable.filter(lambda key: key.strip() and not set(key) & set("\r\n")), max_size=8))
def test_keys_written_as_lines_are_read_as_they_were(wanted: list[str]) -> None:
    text = "".join(f"s3://photos/{key}\n" for key in wanted)

    assert named(text, "a") == [("photos", key) for key in wanted]


@settings(max_examples=100, deadline=None)
@given(
    st.text(st.one_of(st.sampled_from('",\n\r%key'), st.characters(exclude_categories=["Cs"])), max_size=80),
    st.sampled_from(["a.csv", "a.txt"]),
)
def test_every_line_of_any_text_is_an_item_and_ends_where_the_next_begins(text: str, name: str) -> None:
    found = items(text, name)

    number = 0
    for item in found:
        assert item.place.line == number + 1
        number = item.place.last_line
    assert number == len(lines(text))
    assert (found[-1].place.end if found else 0) == len(text.encode())
    assert all(item.key and len(item.key.encode()) <= 1024 for item in found if isinstance(item, Entry))
