"""A writer that is killed leaves the export before as it was; its next try completes the new one, byte for byte."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from airflow_midjourney.describe.exports.publication import publishing, publishing_file
from airflow_midjourney.describe.exports.targets.bucket import BucketTarget
from airflow_midjourney.describe.exports.targets.folder import FolderTarget
from airflow_midjourney.describe.model.errors import StorageError
from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.describe.table.migrations import ensure_tables
from tests.support.airflow_home import REPOSITORY
from tests.support.described import described, export_to, fill, plan

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

    from tests.support.places import MetadataPlace

ROWS = 400

#: Exports into a folder, and stops for good at a named point, or says when it has begun and goes on.
WRITER = """
import os, signal, sys, time
from pathlib import Path
from airflow_midjourney.describe.exports import publication
from airflow_midjourney.describe.exports.targets.folder import FolderTarget
from airflow_midjourney.describe.table.database import open_database
from tests.support.described import export_to, plan

url, folder, kind, point = sys.argv[1:]

def stop(*_):
    os.kill(os.getpid(), signal.SIGKILL)

class Stopping(FolderTarget):
    puts = 0
    def put(self, name, body):
        super().put(name, body)
        Stopping.puts += 1
        if point == "half" and Stopping.puts == 200:
            stop()
        if point == "slow":
            print(name, flush=True)
            time.sleep(0.001)
    def flush(self):
        if point == "before flush":
            stop()
        super().flush()
    def open(self, name):
        if point == "before pointer" and name == publication.POINTER:
            stop()
        return super().open(name)
    def point(self, name, folder):
        if point == "before link":
            stop()
        super().point(name, folder)
    def delete(self, names):
        if point == "before clean-up":
            stop()
        super().delete(names)

import tests.support.described as described
described.FolderTarget = Stopping
options = {"wildcard": True} if kind == "kohya" else None
export_to(Path(folder), open_database(url), plan(kind, options=options, prompt="all"), writer="run2", keep=1)
"""


@pytest.fixture
def filled(sqlite_place: MetadataPlace) -> str:
    """A table with many rows, and more than when the first export was made."""
    database = open_database(sqlite_place.url, sqlite_place.names)
    ensure_tables(database)
    fill(database, [described(f"in/{n // 100:02}/{n:05}.jpg") for n in range(ROWS)])
    database.close()
    return sqlite_place.url


def digest(folder: Path) -> dict[str, str]:
    """Say what is in every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def start(url: str, folder: Path, kind: str, point: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", WRITER, url, str(folder), kind, point],
        cwd=REPOSITORY,
        env={"PATH": "", "PYTHONPATH": f"{REPOSITORY / 'plugins'}:{REPOSITORY}"},
        stdout=subprocess.PIPE,
        text=True,
    )


def first_export(url: str, folder: Path, kind: str) -> dict[str, str]:
    """Publish an export, and add rows to the table since."""
    database = open_database(url)
    options = {"wildcard": True} if kind == "kohya" else None
    version, _ = export_to(folder, database, plan(kind, options=options, prompt="all"), writer="run1")
    fill(database, [described(f"later/{n}.jpg") for n in range(10)])
    database.close()
    return digest(version)


def expected(url: str, folder: Path, kind: str) -> dict[str, str]:
    """Say what the new export is when it is left undisturbed."""
    database = open_database(url)
    options = {"wildcard": True} if kind == "kohya" else None
    version, _ = export_to(folder, database, plan(kind, options=options, prompt="all"), writer="undisturbed")
    database.close()
    return digest(version)


def latest(folder: Path) -> Path:
    return folder / json.loads((folder / "latest.json").read_text())["version"]


@pytest.mark.parametrize(
    ("kind", "point"),
    [
        ("kohya", "half"),
        ("kohya", "before flush"),
        ("kohya", "before pointer"),
        ("kohya", "before link"),
        ("kohya", "before clean-up"),
        ("parquet", "before pointer"),
        ("webdataset", "before pointer"),
        ("labelstudio", "before clean-up"),
    ],
)
def test_killed_at_a_point(kind: str, point: str, filled: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    before = first_export(filled, out, kind)
    wanted = expected(filled, tmp_path / "undisturbed", kind)

    writer = start(filled, out, kind, point)
    assert writer.wait(60) == -signal.SIGKILL

    published = point in ("before link", "before clean-up")
    assert digest(latest(out)) == (wanted if published else before)
    assert digest(out / "latest") == (before if point != "before clean-up" else wanted)

    assert start(filled, out, kind, "none").wait(60) == 0
    assert digest(latest(out)) == digest(out / "latest") == wanted
    assert len([path for path in out.iterdir() if path.is_dir() and not path.is_symlink()]) == 1


def test_killed_at_random_moments(filled: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    before = first_export(filled, out, "kohya")
    wanted = expected(filled, tmp_path / "undisturbed", "kohya")
    choose = random.Random(6)

    for _ in range(4):
        writer = start(filled, out, "kohya", "slow")
        assert writer.stdout is not None
        for _ in range(choose.randrange(1, 300)):
            writer.stdout.readline()
        writer.kill()
        writer.wait()
        writer.stdout.close()
        assert digest(latest(out)) == digest(out / "latest") == before
    # A file of a killed try that the next one does not write again: its row was erased meanwhile, say.
    (stray := next(path for path in out.iterdir() if path.name.startswith("run2")) / "in/stray.txt").write_text("old")

    assert start(filled, out, "kohya", "none").wait(60) == 0
    assert digest(latest(out)) == wanted
    assert not stray.exists()


def test_a_file_is_there_whole_or_as_it_was(tmp_path: Path) -> None:
    target = FolderTarget(str(tmp_path))
    (tmp_path / "prompts.csv").write_bytes(b"old")
    with pytest.raises(RuntimeError), publishing_file(target, "prompts.csv") as publication:  # noqa: PT012, SIM117
        with publication.open("x.csv") as file:
            file.write(b"half")
            assert (tmp_path / "prompts.csv").read_bytes() == b"old"
            raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["prompts.csv"]
    assert (tmp_path / "prompts.csv").read_bytes() == b"old"


def test_what_a_killed_writer_of_a_file_left_is_removed_a_day_later(tmp_path: Path) -> None:
    for name, hours in ((".prompts.csv-old.part", 25), (".prompts.csv-now.part", 1), (".other.csv-old.part", 25)):
        (tmp_path / name).write_bytes(b"half")
        os.utime(tmp_path / name, (time.time() - hours * 3600,) * 2)
    with FolderTarget(str(tmp_path)).open("prompts.csv") as file:
        file.write(b"new")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".other.csv-old.part",
        ".prompts.csv-now.part",
        "prompts.csv",
    ]


def test_an_upload_that_fails_half_way_leaves_the_object_as_it_was(s3: S3Client, bucket: str) -> None:
    target = BucketTarget(s3, name="aws", bucket=bucket, prefix="out")
    s3.put_object(Bucket=bucket, Key="out/x.csv", Body=b"old")
    with pytest.raises(RuntimeError), target.open("x.csv") as file:  # noqa: PT012
        file.write(b"half")
        raise RuntimeError
    assert target.read("x.csv") == b"old"
    with target.open("x.csv") as file:
        # More than one part, sent as a multipart upload.
        file.write(b"0123456789" * 2_000_000)
    assert target.read("x.csv") == b"0123456789" * 2_000_000
    assert s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []
    target.close()


def test_two_writers_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    target = FolderTarget(str(tmp_path))
    with publishing(target, "one", 2, dict) as one, publishing(target, "two", 2, dict) as two:
        one.put("x", b"1")
        two.put("x", b"2")
    assert (latest(tmp_path) / "x").read_bytes() == b"1"
    assert (tmp_path / "two-1/x").read_bytes() == b"2"


@pytest.mark.parametrize("body", ["{}", "[]", "no json", '{"versions": ["../.."], "obsolete": []}'])
def test_a_pointer_that_is_not_ours_is_not_touched(body: str, tmp_path: Path) -> None:
    (tmp_path / "latest.json").write_text(body)
    with (
        pytest.raises(StorageError, match="is not what an export wrote"),
        publishing(FolderTarget(str(tmp_path)), "one", 1, dict),
    ):
        time.sleep(0)
    assert (tmp_path / "latest.json").read_text() == body
