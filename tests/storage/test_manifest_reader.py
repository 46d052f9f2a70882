"""A manifest is read a page at a time, from anywhere in it, and as one version."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_midjourney.describe.model.batch import Position
from airflow_midjourney.describe.model.errors import ManifestError, SettingsError
from airflow_midjourney.describe.storage.manifest import lines
from airflow_midjourney.describe.storage.manifest import reader as reader_module
from airflow_midjourney.describe.storage.manifest.lines import LONGEST_LINE
from airflow_midjourney.describe.storage.manifest.reader import ManifestReader, bucket_of
from airflow_midjourney.describe.storage.objects import ImageStore
from tests.support.stubbed_s3 import connect

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mypy_boto3_s3 import S3Client

START = Position()
UTF8_BOM = b"\xef\xbb\xbf"


@pytest.fixture
def store(s3: S3Client) -> ImageStore:
    return ImageStore(s3, name="aws_default")


@pytest.fixture
def short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "LINES_TO_LOOK_UP", 3)
    monkeypatch.setattr(reader_module, "LINES_WITH_FACTS", 3)


def put(s3: S3Client, bucket: str, body: bytes, key: str = "lists/list.txt") -> str:
    s3.put_object(Bucket=bucket, Key=key, Body=body)
    return f"s3://{bucket}/{key}"


def walk(readers: Iterable[ManifestReader], position: Position = START) -> tuple[list[str], list[Any]]:
    """Read all pages, each with the next reader; give the keys and the pages."""
    keys: list[str] = []
    pages = []
    following: Position | None = position
    for reader in readers:
        assert following is not None
        page = reader.read(following)
        keys += [entry.key for entry in page.entries]
        pages.append(page)
        following = page.then
        if following is None:
            return keys, pages
    raise AssertionError("The manifest has no end.")


def always(reader: ManifestReader) -> Iterable[ManifestReader]:
    while True:
        yield reader


def always_new(store: ImageStore, uri: str, bucket: str) -> Iterable[ManifestReader]:
    while True:
        yield ManifestReader(store, uri, bucket)


@pytest.mark.usefixtures("short_pages")
@pytest.mark.parametrize("name", ["list.txt", "list.txt.gz", "list", "list.csv", "list.csv.gz"])
@pytest.mark.parametrize("mark", [b"", UTF8_BOM], ids=["", "BOM"])
def test_a_reader_that_stays_and_one_that_is_new_each_time_read_the_same(
    s3: S3Client, store: ImageStore, bucket: str, name: str, mark: bytes
) -> None:
    wanted = [f"in/{number:03}é.jpg" for number in range(20)]
    header = "key,other\r\n" if "csv" in name else "\r\n\r\n"
    body = mark + (header + "".join(f"{key}\r\n" for key in wanted)).encode()
    # Two archives, one after the other, are one.
    packed = gzip.compress(body[:50]) + gzip.compress(body[50:]) if name.endswith(".gz") else body
    uri = put(s3, bucket, packed, f"lists/{name}")

    staying, pages = walk(always(ManifestReader(store, uri, bucket)))
    renewed, again = walk(always_new(store, uri, bucket))

    assert staying == renewed == wanted
    assert pages == again
    assert len(pages) >= 7


@pytest.mark.usefixtures("short_pages")
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", ["list.txt", "list.tsv", "list.txt.gz"])
def test_utf_16_is_read_as_utf_8_from_anywhere_in_it(
    s3: S3Client, store: ImageStore, bucket: str, name: str, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "_DECODED_AT_ONCE", 7)
    wanted = [f"in/{number:03} é日\U0001f431.jpg" for number in range(20)]
    row = "{}\tcat\r\n" if name.endswith(".tsv") else "{}\r\n"
    text = "\ufeff" + ("key\tlabel\r\n" if name.endswith(".tsv") else "") + "".join(map(row.format, wanted))
    body = text.encode(encoding)
    uri = put(s3, bucket, gzip.compress(body) if name.endswith(".gz") else body, f"lists/{name}")

    staying, pages = walk(always(ManifestReader(store, uri, bucket)))
    renewed, again = walk(always_new(store, uri, bucket))

    assert staying == renewed == wanted
    assert pages == again
    assert [page.bad for page in pages] == [()] * len(pages)


def test_utf_16_that_is_cut_or_broken_has_bad_lines(s3: S3Client, store: ImageStore, bucket: str) -> None:
    body = "\ufeffin/0.jpg\n".encode("utf-16-le") + b"\x00\xd8" + "\nin/1.jpg\nin/2.jp".encode("utf-16-le") + b"g"
    uri = put(s3, bucket, body)

    keys, (page,) = walk([ManifestReader(store, uri, bucket)])

    assert keys == ["in/0.jpg", "in/1.jpg"]
    assert [str(line) for line in page.bad] == ["line 2 is not UTF-8", "line 4 is not UTF-8"]


def test_an_archive_of_utf_16_that_unpacks_to_more_than_a_list_is_refused(
    s3: S3Client, store: ImageStore, bucket: str
) -> None:
    uri = put(s3, bucket, gzip.compress(("\ufeff" + ("\n" + " " * 8_000) * 6000).encode("utf-16-le")))

    with pytest.raises(ManifestError, match="unpacks to more than"):
        walk(always(ManifestReader(store, uri, bucket)))


@pytest.mark.usefixtures("short_pages")
def test_the_files_of_an_inventory_are_read_one_after_the_other(s3: S3Client, store: ImageStore, bucket: str) -> None:
    files = []
    for number in range(3):
        facts = '"10","2024-01-02T03:04:05.000Z","abc"'
        rows = "".join(f'"{bucket}","a/{number}+{row}.jpg",{facts}\n' for row in range(number * 2))
        put(s3, bucket, gzip.compress(rows.encode()), f"data/{number}.csv.gz")
        files.append({"key": f"data/{number}.csv.gz"})
    schema = "Bucket, Key, Size, LastModifiedDate, ETag"
    content = {"sourceBucket": bucket, "fileFormat": "CSV", "fileSchema": schema, "files": files}
    uri = put(s3, bucket, json.dumps(content).encode(), "2026/manifest.json")

    keys, pages = walk(always_new(store, uri, bucket))

    assert keys == [f"a/{number} {row}.jpg" for number in range(3) for row in range(number * 2)]
    assert keys == walk(always(ManifestReader(store, uri, bucket)))[0]
    assert all(entry.facts and entry.facts.size_bytes == 10 for page in pages for entry in page.entries)
    assert {page.is_inventory for page in pages} == {True}
    assert bucket_of(store, uri, lambda: None) == bucket


def test_an_inventory_of_nothing_ends_at_once(s3: S3Client, store: ImageStore, bucket: str) -> None:
    content = {"sourceBucket": "photos", "fileSchema": "Bucket, Key", "files": []}
    uri = put(s3, bucket, json.dumps(content).encode(), "manifest.json")

    assert walk(always_new(store, uri, "photos"))[0] == []
    assert bucket_of(store, uri, lambda: None) == "photos"


@pytest.mark.parametrize(
    ("body", "expected"),
    [(b"in/a.jpg\n", None), (b"\n\xff\ns3://photos/a.jpg\ns3://other/b.jpg\n", "photos"), (b"", None)],
)
def test_the_bucket_is_the_first_that_is_named_or_else_its_own(
    s3: S3Client, store: ImageStore, bucket: str, body: bytes, expected: str | None
) -> None:
    assert bucket_of(store, put(s3, bucket, body), lambda: None) == (expected or bucket)


def test_other_buckets_and_what_is_not_allowed_are_bad_lines_with_their_numbers(s3: S3Client, bucket: str) -> None:
    allowed = (f"s3://{bucket}/lists/*", f"s3://{bucket}/public/*")
    store = ImageStore(s3, name="aws_default", allowed_uris=allowed)
    body = f"public/a.jpg\ns3://other/public/b.jpg\nprivate/c.jpg\ns3://{bucket}/public/d.jpg\n\xff\n".encode("latin-1")
    long_line = b"x" * (LONGEST_LINE * 3) + b"\npublic/e.jpg\n"

    page = ManifestReader(store, put(s3, bucket, body + long_line), bucket).read(START)

    assert [entry.key for entry in page.entries] == ["public/a.jpg", "public/d.jpg", "public/e.jpg"]
    assert [line.split(" ", 2)[1] for line in page.examples] == ["2", "3", "5", "6"]
    assert "'other'" in page.examples[0]
    assert "allowed_uris" in page.examples[1]


def test_the_manifest_itself_must_be_allowed(s3: S3Client, bucket: str) -> None:
    store = ImageStore(s3, name="aws_default", allowed_uris=(f"s3://{bucket}/public/*",))
    uri = put(s3, bucket, b"public/a.jpg\n")

    with pytest.raises(SettingsError, match="allowed_uris"):
        ManifestReader(store, uri, bucket).read(START)


@pytest.mark.usefixtures("short_pages")
@pytest.mark.parametrize("staying", [True, False])
def test_a_manifest_that_is_replaced_half_way_is_one_error(
    s3: S3Client, store: ImageStore, bucket: str, staying: bool
) -> None:
    lines = "".join(f"{number}.jpg\n" for number in range(300_000)).encode()
    uri = put(s3, bucket, lines)
    reader = ManifestReader(store, uri, bucket)
    then = reader.read(START).then
    assert then is not None
    put(s3, bucket, lines + b"more.jpg\n")

    with pytest.raises(ManifestError, match=r"was replaced .* lists the new one") as caught:
        walk(always(reader) if staying else always_new(store, uri, bucket), then)

    assert caught.value.retry_helps


def test_a_manifest_that_is_not_there_is_named(store: ImageStore, bucket: str) -> None:
    with pytest.raises(ManifestError, match=rf"no manifest 's3://{bucket}/none\.txt'"):
        ManifestReader(store, f"s3://{bucket}/none.txt", bucket).read(START)


@pytest.mark.parametrize("uri", ["list.txt", "s3://photos", "s3://photos/", "https://photos/list.txt", "s3:///a"])
def test_what_is_no_uri_of_an_object_is_refused(store: ImageStore, uri: str) -> None:
    with pytest.raises(SettingsError, match="s3://bucket/key"):
        ManifestReader(store, uri, "photos").read(START)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (gzip.compress(b"a.jpg\n" * 5000)[:-12], "damaged or cut short"),
        (gzip.compress(b"a.jpg\n")[:12] + b"\0" * 30, "damaged or cut short"),
        (b"ORC\x0a\x00\x00binary", "format ORC"),
        (b"PAR1\x15\x04\x00binary", "format Parquet"),
    ],
    ids=["cut short", "damaged", "ORC", "Parquet"],
)
def test_what_cannot_be_read_says_so(s3: S3Client, store: ImageStore, bucket: str, body: bytes, words: str) -> None:
    uri = put(s3, bucket, body)

    with pytest.raises(ManifestError, match=words):
        walk(always(ManifestReader(store, uri, bucket)))


def test_a_large_manifest_is_read_in_few_requests_of_a_bounded_part(s3_url: str, s3: S3Client, bucket: str) -> None:
    client = connect(s3_url)
    requested: list[str] = []
    client.meta.events.register(
        "before-send.s3.GetObject", lambda request, **_: requested.append(request.headers["Range"].decode())
    )
    number = 200_000
    body = "".join(f"in/{one:09}.jpg\n" for one in range(number)).encode()
    reader = ManifestReader(ImageStore(client, name="aws_default"), put(s3, bucket, body), bucket)

    position: Position | None = START
    for _ in range(number // 100 // 10):
        assert position is not None
        position = reader.read(position).then

    sizes = [int(last) - int(first) + 1 for first, last in (one.removeprefix("bytes=").split("-") for one in requested)]
    assert len(requested) <= 3
    assert max(sizes) <= 1024 * 1024


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    body=st.one_of(
        st.binary(max_size=200),
        st.lists(st.sampled_from([b"a.jpg\n", b"\xff\n", b'"', b"\r\n", b"s3://x/y\n", b"bucket,key\n"])).map(b"".join),
    ),
    packed=st.booleans(),
    name=st.sampled_from(["a.txt", "a.csv", "a.csv.gz", "a.json"]),
)
def test_any_bytes_are_lines_or_one_error(
    s3: S3Client, store: ImageStore, bucket: str, body: bytes, packed: bool, name: str
) -> None:
    uri = put(s3, bucket, gzip.compress(body) if packed else body, name)
    try:
        keys, pages = walk(always_new(store, uri, bucket))
    except ManifestError:
        return
    assert len(keys) + sum(len(page.bad) for page in pages) <= body.count(b"\n") + 1
