"""A manifest as a batch: each image once, each line a row or a bad line, however often and by whomever it is read."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import time
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select

from airflow_midjourney.describe.engine import listing
from airflow_midjourney.describe.engine.loop import work
from airflow_midjourney.describe.engine.reporting import ProgressReport
from airflow_midjourney.describe.engine.sources import manifest as manifest_listing
from airflow_midjourney.describe.model.batch import BatchOptions, Scope
from airflow_midjourney.describe.model.errors import BatchError, ManifestError
from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.describe.storage.manifest import lines, reader
from airflow_midjourney.describe.storage.objects import ImageStore
from airflow_midjourney.describe.table.batches import open_batch
from tests.support import rows
from tests.support.batches import all_submitted, options, origin, put_photos, work_on
from tests.support.engine import Engine
from tests.support.images import jpeg

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.testing.simulator.serving import RunningSimulator


@pytest.fixture
def simulator(simulate: Callable[..., RunningSimulator]) -> RunningSimulator:
    return simulate(latency=0.1)


@pytest.fixture
def engine(database: Database, s3: S3Client, simulator: RunningSimulator) -> Engine:
    return Engine(database, s3, simulator.url)


@pytest.fixture
def write(s3: S3Client, bucket: str) -> Callable[..., Scope]:
    """Store a manifest and give the scope of it: ``write("in/0001.jpg\\n", key="list.txt")``."""

    def put(content: str | bytes, key: str = "lists/list.txt") -> Scope:
        s3.put_object(Bucket=bucket, Key=key, Body=content)
        return Scope(bucket, manifest=f"s3://{bucket}/{key}")

    return put


@pytest.fixture
def write_inventory(s3: S3Client, bucket: str, write: Callable[..., Scope]) -> Callable[..., Scope]:
    """Store an inventory of the bucket as it is now, and give the scope of it."""

    def put(prefix: str = "in/") -> Scope:
        listed = s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
        lines = [
            f'"{bucket}","{one["Key"]}","{one["Size"]}","{one["LastModified"].isoformat()}",{one["ETag"]}\n'
            for one in listed
        ]
        write(gzip.compress("".join(lines).encode()), "data/1.csv.gz")
        schema = "Bucket, Key, Size, LastModifiedDate, ETag"
        content = {
            "sourceBucket": bucket,
            "fileFormat": "CSV",
            "fileSchema": schema,
            "files": [{"key": "data/1.csv.gz"}],
        }
        return write(json.dumps(content), "inventory/manifest.json")

    return put


def statuses(engine: Engine) -> dict[str, tuple[str, str | None]]:
    with engine.database.reading() as tx:
        return {row["key"]: (row["status"], row["reason"]) for row in rows.image_rows(tx)}


def members(engine: Engine) -> int:
    with engine.database.reading() as tx:
        return tx.connection.execute(select(func.count()).select_from(tx.tables.members)).scalar_one()


def head_requests(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note which images S3 is asked about one by one."""
    asked: list[str] = []
    look_up = ImageStore.look_up

    def noting(store: ImageStore, bucket: str, key: str) -> Any:
        if key.endswith(".jpg"):
            asked.append(key)
        return look_up(store, bucket, key)

    monkeypatch.setattr(ImageStore, "look_up", noting)
    return asked


DONE = (Status.SUCCEEDED, None)
MISSING = (Status.REJECTED, "missing")


def test_each_line_is_one_row_or_one_bad_line(
    engine: Engine,
    s3: S3Client,
    bucket: str,
    write: Callable[..., Scope],
    simulator: RunningSimulator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    put_photos(s3, bucket, range(3))
    strange = "a'; drop table--<script>, +%20é日本"
    s3.put_object(Bucket=bucket, Key=strange, Body=jpeg(9))
    lines = ["in/0000.jpg", f"s3://{bucket}/in/0001.jpg", "", strange, "in/0001.jpg", "s3://other/a.jpg", "in/none.jpg"]

    batch, counts = engine.run(write("\ufeff" + "\r\n".join(lines)))

    assert statuses(engine) == {"in/0000.jpg": DONE, "in/0001.jpg": DONE, strange: DONE, "in/none.jpg": MISSING}
    assert (batch.listed.keys, batch.listed.new, batch.listed.rejected, batch.listed.bad_lines) == (4, 3, 1, 1)
    assert (counts.succeeded, counts.rejected, counts.total, counts.billed) == (3, 1, 4, 3)
    assert simulator.counters()["billed"] == 3
    assert "line 6 is of the bucket 'other'" in caplog.text


def test_a_manifest_of_many_pages_is_listed_as_fast_as_it_is_submitted_and_read_once(
    engine: Engine, s3: S3Client, bucket: str, write: Callable[..., Scope], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "LINES_TO_LOOK_UP", 4)
    monkeypatch.setattr(listing, "LOOK_AHEAD", 6)
    monkeypatch.setattr(listing, "PAGES_AT_ONCE", 2)
    reads: list[int] = []
    read_part = ImageStore.read_part

    def noting(store: ImageStore, *arguments: Any) -> Any:
        reads.append(arguments[1])
        return read_part(store, *arguments)

    monkeypatch.setattr(ImageStore, "read_part", noting)
    put_photos(s3, bucket, range(30))
    body = "".join(f"in/{number:04}.jpg\n" for number in range(30))

    batch, counts = engine.run(write(gzip.compress(body.encode()), "list.txt.gz"))

    assert (batch.listed.new, counts.succeeded, members(engine)) == (30, 30, 30)
    assert len(reads) <= 2


def test_a_list_of_which_nothing_exists_is_one_error_that_quotes_it_and_no_rows(
    engine: Engine, s3: S3Client, bucket: str, write: Callable[..., Scope]
) -> None:
    put_photos(s3, bucket, range(2))

    with pytest.raises(ManifestError, match=r"Not one of the 2 objects .* first line is 'photos/0000.jpg'"):
        engine.run(write("photos/0000.jpg\nphotos/0001.jpg\n"))

    assert members(engine) == 0
    assert statuses(engine) == {}


@pytest.mark.parametrize("lines_in_all", [24, 25, 400])
def test_a_long_list_of_which_nothing_exists_is_refused_before_its_keys_become_rows(
    engine: Engine,
    s3: S3Client,
    bucket: str,
    write: Callable[..., Scope],
    monkeypatch: pytest.MonkeyPatch,
    lines_in_all: int,
) -> None:
    monkeypatch.setattr(reader, "LINES_TO_LOOK_UP", 10)
    monkeypatch.setattr(manifest_listing, "LOOK_UPS_TO_DECIDE", 25)
    put_photos(s3, bucket, range(2))
    asked = head_requests(monkeypatch)
    scope = write("".join(f"photos/{number:04}.jpg;cat\n" for number in range(lines_in_all)))

    with pytest.raises(ManifestError, match=r"Not one of the .* first line is 'photos/0000.jpg;cat'"):
        engine.run(scope)

    assert statuses(engine) == {}
    assert len(asked) <= 30 or lines_in_all < 30


def test_a_list_that_begins_with_what_is_gone_is_read_on(
    engine: Engine, s3: S3Client, bucket: str, write: Callable[..., Scope], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "LINES_TO_LOOK_UP", 3)
    put_photos(s3, bucket, range(1))

    batch, counts = engine.run(write("".join(f"in/{number}.jpg\n" for number in (*range(10), 3, "0000", 11, 12))))

    assert (batch.listed.keys, counts.succeeded, counts.reasons) == (14, 1, {"missing": 12})
    assert members(engine) == 13


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("in/a photo é.jpg", "in/a%20photo%20%C3%A9.jpg"),
        ("in/a photo é.jpg", "in/a+photo+%C3%A9.jpg"),
        ("in/a.jpg", "/in/a.jpg"),
        ("in/a.jpg", "./in/a.jpg"),
        ("in/a.jpg", "in/a.jpg  "),
        ("in/a.jpg", "in\\a.jpg"),
        ('in/a, "b".jpg', '"in/a, ""b"".jpg"'),
        ("in/e\u0301.jpg", "in/\xe9.jpg"),
        ("in/\xe9.jpg", "in/e\u0301.jpg"),
    ],
)
def test_a_key_that_does_not_exist_is_taken_in_the_one_spelling_that_does(
    engine: Engine,
    s3: S3Client,
    bucket: str,
    write: Callable[..., Scope],
    caplog: pytest.LogCaptureFixture,
    key: str,
    line: str,
) -> None:
    put_photos(s3, bucket, range(1))
    s3.put_object(Bucket=bucket, Key=key, Body=jpeg(9))

    batch, counts = engine.run(write(f"in/0000.jpg\n{line}\n"))

    assert statuses(engine) == {"in/0000.jpg": DONE, key: DONE}
    assert (batch.listed.keys, counts.succeeded, counts.rejected, members(engine)) == (2, 2, 0, 2)
    assert "another spelling" in caplog.text


def test_a_key_that_exists_is_never_spelt_otherwise(
    engine: Engine, s3: S3Client, bucket: str, write: Callable[..., Scope]
) -> None:
    for number, key in enumerate(("a%20b.jpg", "a b.jpg", "c+d.jpg", "c d.jpg", "e%2Bf g.jpg", "e+f g.jpg")):
        s3.put_object(Bucket=bucket, Key=key, Body=jpeg(number))

    engine.run(write("a%20b.jpg\nc+d.jpg\nc+e.jpg\ne%2Bf+g.jpg\n"))

    assert statuses(engine) == {
        "a%20b.jpg": DONE,
        "c+d.jpg": DONE,
        "c+e.jpg": MISSING,
        "e+f g.jpg": DONE,
    }


def test_only_what_the_manifest_names_is_in_the_batch(
    engine: Engine, s3: S3Client, bucket: str, write: Callable[..., Scope]
) -> None:
    put_photos(s3, bucket, range(6))
    work_on(engine, Scope(bucket, ("in/",)), options(max_submissions=1), until=lambda progress: progress.capped)

    _, counts = engine.run(write("in/0004.jpg\nin/0005.jpg\n"), BatchOptions(backlog="none"))

    assert (counts.succeeded, counts.pending, counts.total) == (2, 0, 2)
    assert sum(status == Status.PENDING for status, _ in statuses(engine).values()) == 3


def test_what_had_its_prompts_before_is_told_and_not_kept(
    engine: Engine, s3: S3Client, bucket: str, write: Callable[..., Scope], simulator: RunningSimulator
) -> None:
    put_photos(s3, bucket, range(4))
    body = "".join(f"in/{number:04}.jpg\n" for number in range(4))
    engine.run(write(body), run_id="first")
    first = members(engine)

    batch, counts = engine.run(write(body), run_id="second")

    assert (first, members(engine)) == (4, 4)
    assert (batch.listed.done, counts.total, simulator.counters()["billed"]) == (4, 0, 4)


def test_a_clear_cannot_hide_what_failed_and_a_new_manifest_is_a_new_list(
    engine: Engine, s3: S3Client, bucket: str, write: Callable[..., Scope]
) -> None:
    put_photos(s3, bucket, range(2))
    scope = write("in/0000.jpg\nin/none.jpg\n")
    engine.run(scope)

    _, cleared = engine.run(scope)
    _, changed = engine.run(write("in/0001.jpg\n"))

    assert (cleared.succeeded, cleared.reasons) == (1, {"missing": 1})
    assert (changed.succeeded, changed.total, members(engine)) == (1, 1, 1)


def test_a_manifest_that_is_replaced_while_it_is_listed_is_one_error_and_then_listed_anew(
    engine: Engine, s3: S3Client, bucket: str, write: Callable[..., Scope], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "LINES_TO_LOOK_UP", 2)
    monkeypatch.setattr(listing, "LOOK_AHEAD", 1)
    put_photos(s3, bucket, range(6))
    body = "".join(f"in/{number:04}.jpg\n" for number in range(4))
    work_on(engine, write(body), until=lambda progress: progress.open.total > 0)
    scope = write("in/0005.jpg\n")

    with pytest.raises(ManifestError, match="was replaced") as caught:
        engine.run(scope)
    batch, counts = engine.run(scope)

    assert caught.value.retry_helps
    assert (batch.listed.keys, counts.succeeded, counts.total) == (1, 1, 1)


@pytest.mark.parametrize("body", ["s3://other/a.jpg\n" * 3, "\0\n\0\n", b"\xff\n\xfe\n" * 300])
def test_a_manifest_of_bad_lines_alone_is_one_error_and_mended_by_a_new_one(
    engine: Engine, s3: S3Client, bucket: str, write: Callable[..., Scope], body: str | bytes
) -> None:
    with pytest.raises(ManifestError, match=r"Not one line .* bad lines, such as line 1 .*; line 2 "):
        engine.run(write(body))

    put_photos(s3, bucket, range(1))
    _, counts = engine.run(write("in/0000.jpg\n"))
    assert counts.succeeded == 1


def test_an_empty_manifest_is_nothing_to_do(engine: Engine, write: Callable[..., Scope]) -> None:
    batch, counts = engine.run(write("\n\n"))

    assert (batch.listed.keys, counts.total, batch.listing_ended_at is not None) == (0, 0, True)


def test_an_inventory_is_taken_as_the_listing(
    engine: Engine,
    s3: S3Client,
    bucket: str,
    write_inventory: Callable[..., Scope],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put_photos(s3, bucket, range(3))
    s3.put_object(Bucket=bucket, Key="in/readme.md", Body=b"words")
    s3.put_object(Bucket=bucket, Key="in/folder/", Body=b"")
    scope = write_inventory()
    asked = head_requests(monkeypatch)

    batch, counts = engine.run(scope)
    again, nothing = engine.run(write_inventory(), run_id="again")

    assert statuses(engine) == {f"in/{number:04}.jpg": DONE for number in range(3)}
    assert (batch.listed.keys, batch.listed.images, counts.succeeded) == (5, 3, 3)
    assert (again.listed.done, nothing.total) == (3, 0)
    assert asked == []


def test_an_old_inventory_does_not_bring_back_what_was_replaced(
    engine: Engine,
    s3: S3Client,
    bucket: str,
    write_inventory: Callable[..., Scope],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put_photos(s3, bucket, range(2))
    old = write_inventory()
    s3.put_object(Bucket=bucket, Key="in/0000.jpg", Body=jpeg(7))
    _, first = engine.run(old, run_id="old")
    asked = head_requests(monkeypatch)

    _, second = engine.run(old, run_id="same")
    _, third = engine.run(old, run_id="once more")

    assert (first.succeeded, first.reasons) == (1, {"replaced": 1})
    assert (second.succeeded, second.total) == (1, 1)
    assert third.total == 0
    assert asked == ["in/0000.jpg"] * 2
    with engine.database.reading() as tx:
        current = [row["status"] for row in rows.image_rows(tx) if row["is_current"]]
    assert current == [Status.SUCCEEDED] * 2


def test_a_plan_of_a_manifest_writes_nothing(
    engine: Engine, s3: S3Client, bucket: str, write: Callable[..., Scope]
) -> None:
    put_photos(s3, bucket, range(2))

    progress, _ = work_on(
        engine, write("in/0000.jpg\nin/0001.jpg\n"), options(plan_only=True), until=lambda now: now.listing_ended
    )

    assert (progress.batch.listed.new, statuses(engine), members(engine)) == (2, {}, 0)


async def told_to_stop(engine: Engine, scope: Scope, *, once: Callable[[], bool]) -> None:
    """Work until something holds, and tell the worker to stop."""
    batch = await engine.database.write(open_batch, scope, options(), origin())
    async with engine.worker() as worker:
        report = ProgressReport(lambda line: None)
        working = asyncio.create_task(work(worker, batch.batch_id, report, until=all_submitted, may_leave=False))
        while not once():
            assert not working.done()
            await asyncio.sleep(0.01)
        worker.told_to_stop = True
        with pytest.raises(BatchError, match="told to stop") as stopped:
            await working
    assert stopped.value.retry_helps


def test_a_worker_that_is_told_to_stop_asks_about_no_further_line(
    engine: Engine, s3: S3Client, bucket: str, write: Callable[..., Scope], monkeypatch: pytest.MonkeyPatch
) -> None:
    put_photos(s3, bucket, range(3))
    scope = write("".join(f"in/{number:04}.jpg\n" for number in (0, 1, 2, *range(1000, 1300))))
    asked, look_up = head_requests(monkeypatch), ImageStore.look_up

    def slow(store: ImageStore, bucket: str, key: str) -> Any:
        time.sleep(0.1 if key.endswith(".jpg") else 0)
        return look_up(store, bucket, key)

    with monkeypatch.context() as patched:
        patched.setattr(ImageStore, "look_up", slow)
        asyncio.run(told_to_stop(engine, scope, once=lambda: len(asked) >= 40))
    assert len(asked) < 200

    batch, counts = engine.run(scope)
    assert (batch.listed.keys, counts.succeeded, counts.rejected) == (303, 3, 300)


def test_a_worker_that_is_told_to_stop_leaves_a_list_that_it_is_still_unpacking(
    engine: Engine, s3: S3Client, bucket: str, write: Callable[..., Scope], monkeypatch: pytest.MonkeyPatch
) -> None:
    put_photos(s3, bucket, range(3))
    names = random.Random(7)
    middle = (f"{names.randbytes(20).hex()}.jpg,false\n" for _ in range(10_000))
    content = "".join(["key,is_latest\n", *middle, *(f"in/{number:04}.jpg,true\n" for number in range(3))])
    scope = write(gzip.compress(content.encode(), 1), "lists/list.csv.gz")
    parts: list[int] = []
    read_part = ImageStore.read_part

    def slow(store: ImageStore, *arguments: Any) -> Any:
        parts.append(arguments[1])
        time.sleep(0.05)
        return read_part(store, *arguments)

    monkeypatch.setattr(lines, "PART", 4 * 1024)
    # Since Python 3.12 gzip asks for 128 KB at once.
    monkeypatch.setattr(gzip, "READ_BUFFER_SIZE", 4 * 1024, raising=False)
    with monkeypatch.context() as patched:
        patched.setattr(ImageStore, "read_part", slow)
        asyncio.run(told_to_stop(engine, scope, once=lambda: len(parts) >= 10))
    assert len(parts) < 40

    assert engine.run(scope)[1].succeeded == 3
