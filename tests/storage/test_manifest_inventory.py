"""What ``manifest.json`` says, and what is said where it says something else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_midjourney.describe.model.errors import ManifestError
from airflow_midjourney.describe.storage.manifest.inventory import read_inventory
from tests.support.stubbed_s3 import listed

INVENTORY: dict[str, Any] = {
    "sourceBucket": "photos",
    "destinationBucket": "arn:aws:s3:::lists",
    "version": "2016-11-30",
    "fileFormat": "CSV",
    "fileSchema": "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag, StorageClass",
    "files": [{"key": "photos/all/data/1.csv.gz", "size": 1, "MD5checksum": "0"}, {"key": "photos/all/data/2.csv.gz"}],
}


def read(**changes: Any) -> Any:
    return read_inventory(json.dumps(INVENTORY | changes).encode(), listed(key="manifest.json"))


def test_an_inventory_names_its_files_and_columns() -> None:
    found = read()

    assert (found.source_bucket, found.bucket) == ("photos", "lists")
    assert found.files == ("photos/all/data/1.csv.gz", "photos/all/data/2.csv.gz")
    assert (found.columns.places["key"], found.columns.places["etag"], found.columns.encoded) == (1, 7, True)
    assert found.columns.tell_facts
    assert not read(fileSchema="Bucket, Key, Size").columns.tell_facts


def test_what_is_left_out_is_taken_from_where_the_inventory_is() -> None:
    found = read(sourceBucket=None, destinationBucket=None)

    assert (found.source_bucket, found.bucket) == ("", listed().bucket)


@pytest.mark.parametrize("kind", ["ORC", "Parquet"])
def test_other_formats_are_refused_with_the_cure(kind: str) -> None:
    with pytest.raises(ManifestError, match=rf"'{kind}'.*output format.*CSV"):
        read(fileFormat=kind, fileSchema="struct<bucket:string,key:string>")


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b"\xff", b"in/a.jpg", b"[" * 100_000, b'{"fileSchema": "Bucket"}']
)
def test_anything_else_is_no_inventory(content: bytes) -> None:
    with pytest.raises(ManifestError, match=r"nor the manifest\.json"):
        read_inventory(content, listed(key="list.json"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["key", "size"]), inner, max_size=2),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(INVENTORY)), json_values))
def test_strange_values_are_an_error_that_says_so_or_no_harm(changes: dict[str, Any]) -> None:
    try:
        found = read(**changes)
    except ManifestError:
        return
    assert all(isinstance(key, str) and key for key in found.files)
    assert found.bucket
