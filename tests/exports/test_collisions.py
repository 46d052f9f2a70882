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
    # A file where a folder is needed, at the top, deep down, and in other letters.
    ["in/a/b/c/d.jpg", "in/a/b/c/d.jpg/e/f/g.jpg"],
    ["in/d.JPG/e.jpg", "in/d.jpg"],
    ["in/stra\u00dfe.jpg/a.jpg", "in/strasse.jpg"],
    ["in/nu\u0308.jpg", "in/n\u00fc.jpg/a.jpg"],
    # Folders that are one on some disks, and in them files of one name.
    ["in/A/x.jpg", "in/a/x.jpg"],
    ["in/cafe\u0301/x.jpg", "in/caf\u00e9/x.jpg"],
    ["in/a/B/c/x.jpg", "in/a/b/C/X.jpg"],
    # An ending that is added, and one that was there.
    ["in/a", "in/a.jpg"],
    # Letters with more than one form: one accent, two, a ligature, the kelvin sign.
    ["in/\u1e69.jpg", "in/s\u0323\u0307.jpg"],
    ["in/K.jpg", "in/\u212a.jpg"],
    ["in/\ufb01.jpg", "in/fi.jpg"],
]
APART = [
    ["in/a.jpg", "in/a.jpg.jpg"],
    ["in/con.jpg", "in/%63on.jpg"],
    ["in/A/x.jpg", "in/a/y.jpg"],
    ["in/x./a.jpg", "in/x/a.jpg"],
    ["in/x /a.jpg", "in/x/a.jpg"],
    # The first letter of what Windows keeps for itself is written as its number.
    ["in/AUX.jpg", "in/aux.jpg"],
    ["in/NUL/x.jpg", "in/nul/x.jpg"],
    # Windows cuts dots and spaces off the end of a name, and takes what is before the first dot for a device.
    ["in/a.jpg", "in/a.jpg."],
    ["in/a.jpg", "in/a.jpg "],
    ["in/a.jpg", "in/a.jpg. ."],
    ["in/com1.jpg", "in/com1/a.jpg", "in/com10.jpg"],
    ["in/aux", "in/aux.tar.jpg", "in/aux/a.jpg", "in/auxiliary.jpg"],
    # A folder may have the name of a file without its ending.
    ["in/a", "in/a/b", "in/a/b/c.jpg"],
    ["in/b/a.jpg", "in/b.jpg"],
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
