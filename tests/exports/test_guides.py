"""Every command of the guides that is marked as one to run, is run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from airflow_midjourney.describe.exports.export import export
from airflow_midjourney.describe.exports.format import format_names
from airflow_midjourney.describe.exports.publication import publishing, publishing_file
from airflow_midjourney.describe.exports.report import ExportReport
from airflow_midjourney.describe.exports.targets.bucket import BucketTarget
from airflow_midjourney.describe.exports.targets.folder import FolderTarget
from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.storage.objects import ImageStore
from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.describe.table.migrations import ensure_tables
from tests.support.airflow_home import REPOSITORY
from tests.support.described import described, export_to, fill, plan
from tests.support.images import jpeg

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.table.database import Database

GUIDES = sorted((REPOSITORY / "docs" / "export").glob("*.md"))

#: Whose examples read one file; those of other formats read a folder with images.
ONE_FILE = ("csv", "parquet")

BLOCK = re.compile(r"^```(python|bash) run\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Command:
    guide: str
    language: str
    text: str


COMMANDS = [
    Command(guide.stem, language, text)
    for guide in GUIDES
    for language, text in BLOCK.findall(guide.read_text("utf-8"))
]


def format_of(guide: str) -> str:
    return "imagefolder" if guide == "huggingface" else guide


@pytest.fixture
def data(tmp_path: Path, s3: S3Client, bucket: str) -> Path:
    """What the guides call ``/data``: the table, and the exports that they show."""
    data = tmp_path / "data"
    (data / "photos").mkdir(parents=True)
    database = open_database(f"sqlite:///{data}/prompts.db")
    ensure_tables(database)
    rows = []
    for number in range(8):
        key = f"incoming/{number}.jpg"
        etag = s3.put_object(Bucket=bucket, Key=key, Body=jpeg(number, size=16))["ETag"].strip('"')
        rows.append(described(key, bucket=bucket, etag=etag, image_version=etag))
    fill(database, [*rows, described("incoming/x.jpg")])
    scope = Scope(bucket, ("incoming/",))
    for kind in ONE_FILE:
        _export_file(database, data, kind, scope)
    return data


def _export_file(database: Database, data: Path, kind: str, scope: Scope) -> None:
    with publishing_file(FolderTarget(str(data)), f"prompts.{kind}") as publication:
        export(plan(kind, scope=scope), database, publication, None, ExportReport())


def _export_folder(data: Path, kind: str, s3: S3Client, bucket: str) -> None:
    database = open_database(f"sqlite:///{data}/prompts.db")
    splits = {"train": 0.7, "validation": 0.3} if kind in ("imagefolder", "webdataset") else None
    wanted, images = plan(kind, scope=Scope(bucket, ("incoming/",)), splits=splits), ImageStore(s3, name="aws")
    export_to(data / "training", database, wanted, images=images)
    target = BucketTarget(s3, name="aws", bucket=bucket, prefix="training")
    with publishing(target, "test", 1, dict) as publication:
        export(wanted, database, publication, images, ExportReport())
    target.close()
    database.close()


@pytest.mark.parametrize("command", COMMANDS, ids=[f"{one.guide}-{at}" for at, one in enumerate(COMMANDS)])
def test_a_command_of_a_guide_works(command: Command, data: Path, s3: S3Client, s3_url: str, bucket: str) -> None:
    kind = format_of(command.guide)
    if kind in format_names() and kind not in ONE_FILE:
        _export_folder(data, kind, s3, bucket)
    text = command.text.replace("/data/", f"{data}/")
    text = text.replace('bucket="photos"', f'bucket="{bucket}"').replace('Bucket("photos")', f'Bucket("{bucket}")')
    program = [sys.executable, "-W", "ignore", "-c"] if command.language == "python" else ["bash", "-euc"]

    done = subprocess.run(
        [*program, text],
        check=False,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "AWS_ENDPOINT_URL": s3_url,
            "PYTHONPATH": str(REPOSITORY / "plugins"),
            "HF_HOME": str(data),
            "HF_DATASETS_OFFLINE": "1",
        },
    )

    assert done.returncode == 0, done.stderr
    assert "boat" in done.stdout or text.startswith("cp ")
    if text.startswith("cp "):
        assert (data / "photos/0.txt").read_text(encoding="utf-8") == "a red boat on a lake\n"


def test_each_format_has_a_guide_with_commands() -> None:
    assert {format_of(one.guide) for one in COMMANDS} == {*format_names(), "notebooks"}
    assert {guide.name for guide in GUIDES} >= set(re.findall(r"\]\((\w+\.md)\)", GUIDES[0].read_text("utf-8")))
