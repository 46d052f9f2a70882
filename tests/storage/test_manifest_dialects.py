"""Lists as people and clients write them are understood where that is safe, and else refused with a line of theirs."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_midjourney.describe.model.batch import Position
from airflow_midjourney.describe.model.errors import ManifestError
from airflow_midjourney.describe.storage.manifest.dialect import detect_dialect
from airflow_midjourney.describe.storage.manifest.entries import BadLine, Entry, Passed
from airflow_midjourney.describe.storage.manifest.lines import Line
from airflow_midjourney.describe.storage.manifest.reader import ManifestReader
from airflow_midjourney.describe.storage.objects import ImageStore
from tests.support.airflow_home import REPOSITORY

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CASES = REPOSITORY / "tests/fixtures/cases"
WANTED = ["in/0000.jpg", "in/0001.jpg"]
KEYS_AND_A_FOLDER = [*((key, "file") for key in WANTED), ("in/sub/", "folder")]
WHEN = "2024-05-01 10:11:12"


def lines(text: str) -> list[Line]:
    return [Line(number, 0, line) for number, line in enumerate(text.splitlines(keepends=True), 1)]


def named(text: str, key: str) -> list[str]:
    found = detect_dialect(lines(text), key, f"s3://photos/{key}").items(lines(text))
    return [item.key for item in found if isinstance(item, Entry)]


@pytest.mark.parametrize("name", ["man01_semicolons.csv", "man02_aws_s3_ls.txt"])
def test_the_lists_of_strangers_name_their_keys(name: str) -> None:
    assert named((CASES / name).read_text(), name) == WANTED


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("bucket\tkey\nphotos\tin/0000.jpg\nphotos\tin/0001.jpg\n", "a.tsv"),
        ("bucket|key\r\nphotos|in/0000.jpg\r\nphotos|in/0001.jpg\r\n", "a.txt"),
        ('Size;URL\n1;"s3://photos/in/0000.jpg"\n2;s3a://photos/in/0001.jpg\n', "a.csv"),
        ('"in/0000.jpg"\n"in/0001.jpg"\n', "a.txt"),
        ("arn:aws:s3:::photos/in/0000.jpg\nS3N://photos/in/0001.jpg\n", "a.txt"),
        (
            "https://photos.s3.eu-central-1.amazonaws.com/in/0000.jpg?X-Amz-Signature=1\n"
            "https://s3.amazonaws.com/photos/in/0001.jpg\n",
            "a",
        ),
        (f"{WHEN}    1.2 KiB in/0000.jpg\n{WHEN}   12 Bytes in/0001.jpg\n\nTotal Objects: 2\n   Total Size: 1\n", "a"),
        (f"{WHEN}          0 in/\n{WHEN}  5 in/0000.jpg\n{WHEN}  5 in/0001.jpg\n", "a"),
        ("2024-05-01 10:11   5   s3://photos/in/0000.jpg\n2024-05-01 10:11   5   s3://photos/in/0001.jpg\n", "a"),
        (
            'CONTENTS\t"0cc1"\tin/0000.jpg\t2024-05-01T10:11:12+00:00\t5\tSTANDARD\n'
            "OWNER\tan owner\tabc\n"
            'CONTENTS\t"0cc2-3"\tin/0001.jpg\t2024-05-01T10:11:12.000Z\t5\tGLACIER\n'
            "REQUESTCHARGED\tNone\n",
            "a.txt",
        ),
        (
            'CONTENTS\tFULL_OBJECT\t"0cc0"\tin/\t2024-05-01T10:11:12+00:00\t0\tSTANDARD\r\n'
            "CHECKSUMALGORITHM\tCRC32\r\n"
            'CONTENTS\tFULL_OBJECT\t"0cc1"\tin/0000.jpg\t2024-05-01T10:11:12+00:00\t5\tSTANDARD\r\n'
            "CHECKSUMALGORITHM\tCRC32\r\n"
            'CONTENTS\tFULL_OBJECT\t"0cc2"\tin/0001.jpg\t2024-05-01T10:11:12+00:00\t5\tSTANDARD\r\n'
            "None\r\n",
            "a.txt",
        ),
        ('{"key": "in/0000.jpg"}\n{"uri": "s3://photos/in/0001.jpg", "bucket": "photos"}\n', "a.jsonl"),
        ('{"image": "in/0000.jpg"},\n\n{"file_name": "in/0001.jpg", "text": "a boat"},\n', "metadata.jsonl"),
        ("2024/05/01 10:11:12              12 in/0000.jpg\n2024/05/01 10:11:12   1.2K in/0001.jpg\n", "a"),
        ("s3_uri\ns3://photos/in/0000.jpg\ns3://photos/in/0001.jpg\n", "a.txt"),
        ("Key\r\nin/0000.jpg\r\nin/0001.jpg\r\n", "a"),
        ("id,image_path,label\n1,in/0000.jpg,boat\n2,in/0001.jpg,tram\n", "a.csv"),
        ("image_uri;width\ns3://photos/in/0000.jpg;5\ns3://photos/in/0001.jpg;6\n", "a.csv"),
        ("sep=;\r\nkey;bucket\r\nin/0000.jpg; photos\r\nin/0001.jpg; photos\r\n", "a.csv"),
        ("# exported on Monday\nbucket,key\nphotos,in/0000.jpg,\nphotos,in/0001.jpg,\n", "a.csv"),
        ("#exported on Monday\nin/0000.jpg\n// and one more\nin/0001.jpg\n", "a.txt"),
        (
            "key,is_latest,is_delete_marker\nin/0000.jpg,TRUE,FALSE\nin/0001.jpg,True,False\nb.jpg,FALSE,FALSE\nc.jpg,TRUE,TRUE\n",
            "a.csv",
        ),
    ],
)
def test_forms_that_leave_nothing_open(text: str, key: str) -> None:
    assert named(text, key) == WANTED


@pytest.mark.parametrize(
    ("text", "key", "quoted"),
    [
        ("photos;in/0000.jpg\nphotos;in/0001.jpg\n", "a.csv", "photos;in/0000.jpg"),
        ("photos;in/0000.jpg\nphotos;in/0001.jpg\n", "a.txt", "photos;in/0000.jpg"),
        ("photos\tin/0000.jpg\n", "a.txt", "in/0000.jpg"),
        ("datei;pfad\nphotos;in/0000.jpg\n", "a.csv", "datei;pfad"),
        (f"                           PRE in/\n{WHEN}      5 0000.jpg\n", "a", "PRE in/"),
        (f"{WHEN}      5 0000.jpg\n{WHEN}      5 0001.jpg\n", "a", "0000.jpg"),
        ("[2024-05-01 10:11:12 UTC]  12KiB STANDARD 0000.jpg\n", "a", "12KiB"),
        ("    12345 2024-05-01 10:11:12.000000000 0000.jpg\n", "a", "12345"),
        ("    12345 0000.jpg\n      345 0001.jpg\n", "a", "12345"),
        ("-------------------\n|  ListObjectsV2  |\n", "a", "----"),
        ("s3://photos/in/0000.jpg,5\n", "a.csv", "s3://photos/in/0000.jpg,5"),
        ("in/0000.jpg,boat\nin/0001.jpg,tram\n", "a.csv", "in/0000.jpg,boat"),
        ("number,label\n1,boat\n2,tram\n", "a.csv", "number,label"),
        ("in/0000.jpg,\nin/0001.jpg,\n", "a.csv", "in/0000.jpg,"),
        ("| bucket | key |\n|---|---|\n| photos | in/0000.jpg |\n", "a.md", "| bucket | key |"),
        (" bucket |     key\n--------+-------------\n photos | in/0000.jpg\n(1 row)\n", "a.txt", "bucket | key"),
    ],
)
def test_forms_that_leave_open_what_is_meant_are_one_error(text: str, key: str, quoted: str) -> None:
    with pytest.raises(ManifestError, match="Line 1 ") as refused:
        named(text, key)

    assert quoted in str(refused.value)
    assert "s3://bucket/key a line" in str(refused.value)


@pytest.mark.parametrize(
    "line",
    [
        "gs://photos/a.jpg",
        "https://example.com/a.jpg",
        "# all of March",
        "#March",
        "in/a\0.jpg",
        "in/../../a.jpg",
        "s3:/photos/in/0002.jpg",
        "arn:aws:s3:eu-west-1:123456789012:accesspoint/mine/object/in/0002.jpg",
    ],
)
def test_a_line_that_cannot_be_a_key_is_a_bad_line(line: str) -> None:
    text = f"in/0000.jpg\n{line}\nin/0001.jpg\n"
    found = list(detect_dialect(lines(text), "a", "s3://photos/a").items(lines(text)))

    assert [type(item) for item in found] == [Entry, BadLine, Entry]


def test_a_cell_that_no_header_names_is_a_bad_line_and_no_half_of_a_key() -> None:
    text = 'key\nin/a, b.jpg\n"in/c, d.jpg"\n'
    found = list(detect_dialect(lines(text), "a.csv", "s3://photos/a.csv").items(lines(text)))

    assert [type(item) for item in found] == [Passed, BadLine, Entry]
    assert "has more cells than the header" in str(found[1])


def test_delimiters_and_odd_beginnings_stay_part_of_plain_keys() -> None:
    wanted = ["in/a;b.jpg", "in/c|d.jpg", "in/e,f.jpg", "/g.jpg", "./h.jpg", "in/i j.jpg", "#1/k.jpg", "#l.jpg"]

    assert named("\n".join(wanted), "a.txt") == wanted


SEPARATED = {";": "a.csv", "\t": "a.tsv", "|": "a.txt", ",": "a.csv"}
LETTERS = st.text("abcäé日/._-%+ ()", min_size=1, max_size=12).filter(lambda key: key.strip() and ".." not in key)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(LETTERS, min_size=1, max_size=6),
    st.sampled_from(sorted(SEPARATED)),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["key", "Key", "s3_key"]),
)
def test_keys_under_a_header_are_read_as_they_were(keys: list[str], delimiter: str, end: str, column: str) -> None:
    rows = [["bucket", column], *(["photos", key] for key in keys)]
    text = end.join(delimiter.join(row) for row in rows)

    assert named(text, SEPARATED[delimiter]) == keys


@settings(max_examples=80, deadline=None)
@given(st.lists(LETTERS, min_size=1, max_size=6), st.sampled_from(["in/{}", "s3://photos/in/{}"]))
def test_keys_in_json_lines_and_in_listings_are_read_as_they_were(keys: list[str], form: str) -> None:
    named_by_json = "".join(json.dumps({"key": form.format(key)}) + "\n" for key in keys)
    whole = [f"in/{key}x" for key in keys]
    listing = "".join(f"{WHEN}{5:>11} {key}\n" for key in whole)

    assert named(named_by_json, "a") == [f"in/{key}" for key in keys]
    assert named(listing, "a") == whole


def read_all(s3: S3Client, bucket: str, body: bytes, key: str) -> list[str]:
    s3.put_object(Bucket=bucket, Key=key, Body=body)
    reader, keys = ManifestReader(ImageStore(s3, name="aws_default"), f"s3://{bucket}/{key}", bucket), []
    position: Position | None = Position()
    while position is not None:
        page = reader.read(position)
        keys += [entry.key for entry in page.entries]
        position = page.then
    return keys


@pytest.mark.parametrize("key", ["a.json", "a.txt"])
def test_json_documents_are_lists(s3: S3Client, bucket: str, key: str) -> None:
    wanted = [f"in/{number}.jpg" for number in range(250)]

    assert read_all(s3, bucket, json.dumps(wanted).encode(), key) == wanted
    contents = {"Contents": [{"Key": one, "Size": 1} for one in wanted]}
    assert read_all(s3, bucket, json.dumps(contents, indent=4).encode(), key) == wanted


@pytest.mark.parametrize("key", ["a.json", "a.jsonl", "output.manifest"])
@pytest.mark.parametrize(
    "body",
    [
        "\ufeff" + "".join(f'{{"source-ref": "s3://photos/{key}", "label": 1}}\n' for key in WANTED),
        "".join(json.dumps({"bucket": "photos", "key": key}) + "\r\n" for key in WANTED),
        json.dumps({"key": WANTED[0]}) + "\n" + json.dumps({"url": f"https://photos.s3.amazonaws.com/{WANTED[1]}"}),
        json.dumps({"keys": WANTED}),
        json.dumps({"bucket": "photos", "pictures": WANTED}, indent=1),
        json.dumps({"entries": [{"url": f"s3://photos/{key}", "mandatory": True} for key in WANTED]}, indent=2),
        json.dumps({"Versions": [{"Key": key, "IsLatest": at < 2} for at, key in enumerate([*WANTED, "old.jpg"])]}),
        json.dumps([{"prefix": "s3://photos/in/"}, "0000.jpg", "0001.jpg"]),
        json.dumps([*WANTED, "in/\ud800.jpg"]),
        json.dumps([{"Path": key, "IsDir": key == "in"} for key in ["in", *WANTED]], indent=0),
        "".join(json.dumps({"type": kind, "size": 0, "key": key}) + "\n" for key, kind in KEYS_AND_A_FOLDER),
        json.dumps({"schema": {"fields": []}, "data": [{"index": at, "key": key} for at, key in enumerate(WANTED)]}),
    ],
    ids=[
        "labels",
        "lines",
        "two",
        "keys",
        "one list",
        "Redshift",
        "versions",
        "SageMaker",
        "half a letter",
        "rclone lsjson",
        "mc ls --json",
        "pandas, table",
    ],
)
def test_json_of_other_tools_is_read_whatever_its_name(s3: S3Client, body: str, key: str) -> None:
    s3.create_bucket(Bucket="photos")

    assert read_all(s3, "photos", body.encode(), key) == WANTED


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("in/0000.jpg\r\n".encode("utf-32"), "UTF-32"),
        ("in/0000.jpg\r\n".encode("utf-16-le"), "UTF-16 text without"),
        (gzip.compress(gzip.compress(b"in/0000.jpg")), "packed twice"),
        (b"in/".ljust(257, b"\0") + b"ustar  \0".ljust(255, b"\0"), "a tar archive"),
        (b"\n<!DOCTYPE html>\n<html><body>Sign in</body></html>\n", "a web page"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>\n<ListBucketResult/>\n', "XML"),
        (b"Obj\x01\x04\x14avro.codec\x08null", "Avro"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF\0", "an image"),
        (b'["in/0000.jpg"', "neither a JSON list"),
        (b"PAR1" + b"\0" * 60 + b"PAR1", "Parquet"),
        (b"ORC" + b"\0" * 60, "ORC"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 60, "old format of Office"),
        (b"PK\x03\x04rest", "zip"),
        (b"\x28\xb5\x2f\xfdrest", "zstd"),
        (gzip.compress(b"a" * 3_000_000, mtime=0), "a line of more than"),
        (b"a" * 3_000_000, "a line of more than"),
    ],
    ids=[
        "UTF-32",
        "UTF-16",
        "gzip twice",
        "tar",
        "HTML",
        "XML",
        "Avro",
        "JPEG",
        "JSON that is cut",
        "Parquet",
        "ORC",
        "xls",
        "zip",
        "zstd",
        "a long line, packed",
        "a long line",
    ],
)
def test_files_that_are_no_lists_are_refused(s3: S3Client, bucket: str, body: bytes, problem: str) -> None:
    with pytest.raises(ManifestError, match=problem):
        read_all(s3, bucket, body, "a.txt")


def test_an_archive_that_unpacks_to_more_than_a_list_is_refused(s3: S3Client, bucket: str) -> None:
    bomb = gzip.compress((b"\n" + b" " * 16_000) * 6000)
    assert len(bomb) < 400_000

    with pytest.raises(ManifestError, match="unpacks to more than"):
        read_all(s3, bucket, bomb, "a.txt.gz")
