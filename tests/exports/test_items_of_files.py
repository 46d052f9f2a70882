"""Files are read back item by item, whatever their parts are cut at."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_midjourney.describe.exports.items_of_files import items_of_files
from airflow_midjourney.describe.exports.targets.bucket import BucketTarget
from airflow_midjourney.describe.exports.targets.folder import FolderTarget
from airflow_midjourney.describe.model.errors import SettingsError
from airflow_midjourney.describe.model.json_items import JsonItems

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.exports.targets.target import Target

ITEMS = st.lists(st.dictionaries(st.text(max_size=3), st.text() | st.none() | st.booleans(), max_size=3), max_size=5)


@given(ITEMS, st.integers(1, 9), st.sampled_from([None, 1]), st.booleans())
def test_an_array_may_be_cut_anywhere(items: list[object], size: int, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(items, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    reading = JsonItems()

    found = [item for at in range(0, len(text), size) for item in reading.take(text[at : at + size])]

    assert found == items
    assert reading.has_ended


@pytest.fixture(params=["folder", "bucket"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    if request.param == "folder":
        return FolderTarget(str(tmp_path))
    client: S3Client = request.getfixturevalue("s3")
    return BucketTarget(client, name="aws", bucket=request.getfixturevalue("bucket"), prefix="")


def put(target: Target, **files: str) -> None:
    for name, text in files.items():
        target.put(name.replace("__", "/"), text.encode())
    target.flush()


def test_arrays_objects_and_folders_of_them(target: Target) -> None:
    put(
        target,
        array='[{"id": 1}, {"id": 2}]',
        object='\ufeff {"id": 12345678901234567890}',
        folder__b="[3]",
        folder__a='{"id": 2}',
    )

    assert list(items_of_files(target, "array")) == [{"id": "1"}, {"id": "2"}]
    assert list(items_of_files(target, "object")) == [{"id": "12345678901234567890"}]
    assert list(items_of_files(target, "folder/")) == [{"id": "2"}, "3"]


@pytest.mark.parametrize("text", ["", "hello", "[1, 2", '{"id": 1', "<html>", '[{"a": }]', "null", "{" + "[" * 100_000])
def test_what_is_no_json_says_how_it_has_to_look(target: Target, text: str) -> None:
    put(target, file=text)

    with pytest.raises(
        SettingsError, match=r"no JSON array to its end.*Label Studio's Export writes as JSON or JSON-MIN"
    ):
        list(items_of_files(target, "file"))


def test_what_is_not_there_says_so(target: Target) -> None:
    with pytest.raises(
        SettingsError, match=r"file.*(There is no object|No such file|cannot be read)|There is no object"
    ):
        list(items_of_files(target, "nothing.json"))
    with pytest.raises(SettingsError, match="There is no file below"):
        list(items_of_files(target, "nothing/"))
