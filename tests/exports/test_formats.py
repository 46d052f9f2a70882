"""Each format as the library reads it that its users use, compared with the table."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import datasets
import duckdb
import pandas
import pytest
from sqlalchemy import select

from airflow_midjourney.describe.exports.format import format_names, load_format
from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.model.errors import SettingsError
from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.describe.storage.objects import ImageStore
from tests.support.airflow_home import REPOSITORY
from tests.support.described import NASTY_KEYS, PROMPTS, described, export_to, failed, fill, plan, store_nasty_keys
from tests.support.kohya import read_captions

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.table.database import Database

FORMATS = REPOSITORY / "plugins/airflow_midjourney/describe/exports/formats"


@pytest.fixture
def stored(database: Database, s3: S3Client, bucket: str) -> list[dict[str, Any]]:
    """Rows of images that are in S3, in the order of their keys."""
    return store_nasty_keys(database, s3, bucket)


def test_the_formats_are_the_files_that_are_there() -> None:
    assert format_names() == sorted(path.stem.removeprefix("as_") for path in FORMATS.glob("as_*.py"))
    with pytest.raises(SettingsError, match=r"format must be one of csv, .*, not 'txt'"):
        load_format("txt")
    with pytest.raises(SettingsError, match="kohya has no option colour; it takes extension, wildcard"):
        load_format("kohya", {"colour": 1})


def test_hugging_face_loads_every_image_with_its_text(
    database: Database, stored: list[dict[str, Any]], s3: S3Client, bucket: str, tmp_path: Path
) -> None:
    splits = {"train": 0.5, "validation": 0.3, "test": 0.2}
    wanted = plan("imagefolder", splits=splits, scope=Scope(bucket, ("in/",)), prompt="all")
    folder, report = export_to(tmp_path / "out", database, wanted, images=ImageStore(s3, name="aws"))

    loaded = datasets.load_dataset("imagefolder", data_dir=str(folder), cache_dir=str(tmp_path / "cache"))

    assert report.exported == len(NASTY_KEYS) == sum(len(loaded[name]) for name in loaded)
    assert {name: len(loaded[name]) for name in loaded} == dict(report.splits)
    by_uri = {row["image_uri"]: row for name in loaded for row in loaded[name]}
    for row in stored:
        found = by_uri[row["image_uri"]]
        assert found["text"] == " ".join(row["prompt_1"].split())
        assert found["prompts"][1:] == list(PROMPTS[1:])
        assert found["content_sha256"] == row["content_sha256"]
        assert found["image"].size == (16, 16)


def test_hugging_face_rows_without_images_are_plain_json(database: Database, tmp_path: Path) -> None:
    fill(database, [described("in/a.jpg"), described("in/sub/b.png")])

    folder, _ = export_to(tmp_path, database, plan("imagefolder", scope=Scope("photos", ("in/",))))

    lines = [json.loads(line) for line in (folder / "train/metadata.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(line["file_name"], line["text"]) for line in lines] == [("a.jpg", PROMPTS[0]), ("sub/b.png", PROMPTS[0])]


@pytest.mark.parametrize("wildcard", [False, True])
def test_kohya_finds_a_caption_for_every_image(
    wildcard: bool, database: Database, stored: list[dict[str, Any]], s3: S3Client, bucket: str, tmp_path: Path
) -> None:
    wanted = plan(
        "kohya",
        options={"wildcard": wildcard},
        scope=Scope(bucket, ("in/",)),
        prompt="all" if wildcard else "first",
    )
    folder, report = export_to(tmp_path, database, wanted, images=ImageStore(s3, name="aws"))

    captions = read_captions(folder, ".txt", wildcard=wildcard)

    assert report.exported == len(NASTY_KEYS) == len(captions)
    expected = {" ".join(row["prompt_1"].split()) for row in stored}
    assert {lines[0] for lines in captions.values()} == expected
    assert {len(lines) for lines in captions.values()} == {4 if wildcard else 1}


def test_parquet_is_what_duckdb_and_pandas_read(database: Database, tmp_path: Path) -> None:
    rows = [described(f"in/{number:03}.jpg", price=Decimal("0.05"), currency="USD") for number in range(25)]
    fill(database, [*rows, failed("in/bad.jpg")])
    wanted = plan("parquet", options={"row_group_size": 10}, wanted={"statuses": ()})

    folder, report = export_to(tmp_path, database, wanted)

    path = str(folder / "prompts.parquet")
    frame = pandas.read_parquet(path)
    assert report.exported == len(frame) == 26
    assert list(frame["key"])[:2] == ["000000000", "000000001"]
    with database.reading() as tx:
        images = tx.tables.images.c
        table = tx.connection.execute(select(images).order_by(images.key)).mappings().all()
    for (_, found), row in zip(frame.iterrows(), table, strict=True):
        assert (found["url"], found["object_key"], found["sha256"]) == (
            row["image_uri"],
            row["key"],
            row["content_sha256"],
        )
        assert (None if pandas.isna(found["caption"]) else found["caption"]) == row["prompt_1"]
        assert list(found["prompts"]) == [row[f"prompt_{n}"] for n in range(1, 5) if row[f"prompt_{n}"]]
        assert (None if pandas.isna(found["price"]) else found["price"]) == row["price"]
        assert found["ended_at"].to_pydatetime() == row["ended_at"]
    query = "SELECT status, count(*), sum(price), min(error_message) FROM read_parquet(?) GROUP BY 1 ORDER BY 1"
    assert duckdb.execute(query, [path]).fetchall() == [
        ("failed_to_describe", 1, None, "banned: no"),
        ("success", 25, Decimal("1.25"), None),
    ]
    assert duckdb.execute(
        "SELECT count(*) FROM parquet_metadata(?) WHERE path_in_schema = 'url'", [path]
    ).fetchone() == (3,)


def test_a_spreadsheet_sees_no_formula(database: Database, tmp_path: Path) -> None:
    hostile = ["=1+1", "+1", "-1", "@sum", "\tx", "\rx", "＝1", 'a "b", c\nd', "plain", "ünï🚤"]
    fill(database, [described(f"{number}.jpg", [f"{text} boat"]) for number, text in enumerate(hostile)])
    fill(database, [failed("z.jpg", detail="=cmd|' /C calc'!A0")])

    folder, _ = export_to(tmp_path, database, plan("csv", wanted={"statuses": (Status.SUCCEEDED, Status.FAILED)}))

    path = folder / "prompts.csv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    formulas = ("=", "+", "-", "@", "\t", "\r", "\n", "＝")
    assert [cell for row in rows for cell in row.values() if cell.startswith(formulas)] == []
    assert [row["prompt_1"].removeprefix("'") for row in rows[:-1]] == [f"{text} boat" for text in hostile]
    assert rows[-1]["detail"] == "'=cmd|' /C calc'!A0"
    assert path.read_bytes().startswith(b"\xef\xbb\xbfimage_uri,")
    frame = pandas.read_csv(path, keep_default_na=False)
    assert list(frame["image_uri"]) == [row["image_uri"] for row in rows]
    assert duckdb.execute("SELECT count(*) FROM read_csv(?)", [str(path)]).fetchone() == (11,)
