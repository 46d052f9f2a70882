"""Keys that some disk would put into one file: an error that names both, or both exported under names of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.describe.exports.naming import sameness
from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.model.errors import SettingsError
from airflow_midjourney.describe.storage.objects import ImageStore
from tests.support.described import described, export_to, fill, plan
from tests.support.images import jpeg

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.table.database import Database

CASE = json.loads((Path(__file__).parents[1] / "fixtures/cases/exp01_object_and_folder_of_one_name.json").read_text())

COLLIDING = [
    CASE["keys"],
    ["in/X.jpg/y.jpg", "in/x.jpg"],
    ["in/a/x.jpg", "in/a/x.jpg/b/y.jpg", "in/a/x.jpg/b/z.jpg", "in/a/x.jpg/y.jpg"],
    ["in/A.jpg", "in/a.jpg"],
    ["in/STRASSE.jpg", "in/straße.jpg"],
    ["in/cafe\u0301.jpg", "in/caf\u00e9.jpg"],
    ["in/sub/A.JPG", "in/sub/a.jpg"],
]
APART = [
    ["in/a.jpg", "in/a.jpg.jpg"],
    ["in/con.jpg", "in/%63on.jpg"],
    ["in/A/x.jpg", "in/a/y.jpg"],
    ["in/x./a.jpg", "in/x/a.jpg"],
    ["in/x /a.jpg", "in/x/a.jpg"],
]
FORMATS = ["kohya", "imagefolder"]


def _stored(database: Database, s3: S3Client, bucket: str, keys: list[str]) -> ImageStore:
    rows = []
    for number, key in enumerate(keys):
        etag = s3.put_object(Bucket=bucket, Key=key, Body=jpeg(number, size=16))["ETag"].strip('"')
        rows.append(described(key, ["a red boat"], bucket=bucket, image_version=etag, etag=etag))
    fill(database, rows)
    return ImageStore(s3, name="aws")


def _scope_of(bucket: str) -> dict[str, Any]:
    return {"scope": Scope(bucket, ("in/",))}


def _files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("keys", COLLIDING)
def test_the_error_names_both_keys(
    keys: list[str], kind: str, database: Database, s3: S3Client, bucket: str, tmp_path: Path
) -> None:
    images = _stored(database, s3, bucket, keys)

    with pytest.raises(SettingsError, match="on_collision='rename'") as caught:
        export_to(tmp_path / "out", database, plan(kind, **_scope_of(bucket)), images=images)

    first, second = (f"s3://{bucket}/{key}" for key in keys[:2])
    assert any(write(first) in str(caught.value) and write(second) in str(caught.value) for write in (repr, ascii))


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("keys", COLLIDING)
def test_renaming_exports_all_under_the_same_names_each_time(
    keys: list[str], kind: str, database: Database, s3: S3Client, bucket: str, tmp_path: Path
) -> None:
    images = _stored(database, s3, bucket, keys)
    wanted = plan(kind, on_collision="rename", **_scope_of(bucket))

    folder, report = export_to(tmp_path / "out", database, wanted, images=images)
    again, _ = export_to(tmp_path / "again", database, wanted, images=images)

    assert report.exported == len(keys)
    copies = [name for name in _files(folder) if name.lower().endswith(".jpg")]
    assert len({sameness(name) for name in copies}) == len(copies) == len(keys)
    assert sorted((folder / name).read_bytes() for name in copies) == sorted(
        s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys
    )
    assert _files(again) == _files(folder)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("keys", APART)
def test_names_that_differ_on_every_disk_are_no_collision(
    keys: list[str], kind: str, database: Database, s3: S3Client, bucket: str, tmp_path: Path
) -> None:
    images = _stored(database, s3, bucket, keys)

    folder, report = export_to(tmp_path / "out", database, plan(kind, **_scope_of(bucket)), images=images)

    assert report.exported == len(keys)
    assert not [name for name in _files(folder) if "%~" in name]


def test_captions_and_folders_of_one_name_are_told_apart(
    database: Database, s3: S3Client, bucket: str, tmp_path: Path
) -> None:
    images = _stored(database, s3, bucket, ["in/a.jpg", "in/a.png", "in/a.txt/b.jpg"])
    wanted = plan("kohya", on_collision="rename", **_scope_of(bucket))

    folder, report = export_to(tmp_path / "out", database, wanted, images=images)

    assert report.exported == 3
    assert len([name for name in _files(folder) if name.endswith(".txt")]) == 3


def test_another_word_is_refused() -> None:
    with pytest.raises(SettingsError, match="on_collision must be one of error, rename, not 'skip'"):
        plan("kohya", on_collision="skip")
