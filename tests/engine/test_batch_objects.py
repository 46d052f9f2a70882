"""What the bucket holds decides what is sent: bad objects are rows that say why, a bad bucket is one error."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import boto3
import pytest

from airflow_midjourney.describe.engine import listing
from airflow_midjourney.describe.model.batch import BatchOptions, Scope
from airflow_midjourney.describe.model.errors import StorageDeniedError, StorageError
from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.describe.storage.objects import ImageStore
from tests.support import rows
from tests.support.batches import options, put_photos
from tests.support.engine import Engine
from tests.support.image_files import encode, picture
from tests.support.images import jpeg
from tests.support.s3_faults import S3Faults, break_s3

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.testing.simulator.serving import RunningSimulator

BAD = {
    "in/cut.jpg": (jpeg(1, size=200)[:900], "corrupt"),
    "in/empty.jpg": (b"", "empty"),
    "in/text.jpg": (b"I am a text file.", "unsupported_format"),
    "in/page.png": (b"<html><body>404</body></html>", "unsupported_format"),
    "in/large.jpg": (jpeg(2, size=400), "too_large"),
}


@pytest.fixture
def simulator(simulate: Callable[..., RunningSimulator]) -> RunningSimulator:
    return simulate(latency=0.1)


@pytest.fixture
def engine(database: Database, s3: S3Client, simulator: RunningSimulator) -> Engine:
    return Engine(database, s3, simulator.url, store={"max_bytes": 60_000})


def all_rows(engine: Engine) -> dict[str, dict[str, Any]]:
    with engine.database.reading() as tx:
        return {row["key"]: row for row in rows.image_rows(tx)}


def test_each_bad_object_says_why_and_the_others_go_on(
    engine: Engine, s3: S3Client, bucket: str, simulator: RunningSimulator
) -> None:
    put_photos(s3, bucket, range(3))
    for key, (body, _) in BAD.items():
        s3.put_object(Bucket=bucket, Key=key, Body=body)

    _, counts = engine.run(Scope(bucket, ("in/",)))

    found = all_rows(engine)
    assert {key: found[key]["reason"] for key in BAD} == {key: reason for key, (_, reason) in BAD.items()}
    assert all(found[key]["detail"] and found[key]["reader"] and found[key]["attempts"] == 0 for key in BAD)
    assert (counts.succeeded, counts.rejected, counts.billed) == (3, len(BAD), 3)
    assert simulator.counters()["requests"]["submit"] == 3


def test_a_rerun_reads_no_bad_object_again(engine: Engine, s3: S3Client, bucket: str) -> None:
    for key, (body, _) in BAD.items():
        s3.put_object(Bucket=bucket, Key=key, Body=body)
    engine.run(Scope(bucket, ("in/",)), run_id="first")
    before = all_rows(engine)

    batch, counts = engine.run(Scope(bucket, ("in/",)), run_id="second")

    assert (batch.listed.rejected, counts.total) == (len(BAD), 0)
    assert all_rows(engine) == before


def test_without_suffixes_the_content_decides(engine: Engine, s3: S3Client, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="in/photo", Body=jpeg(1))
    s3.put_object(Bucket=bucket, Key="in/photo.dat", Body=encode(picture(), "PNG"))
    s3.put_object(Bucket=bucket, Key="in/notes.txt", Body=b"words")

    _, by_suffix = engine.run(Scope(bucket, ("in/",)), run_id="suffix")
    batch, by_content = engine.run(Scope(bucket, ("in/",)), BatchOptions(suffixes=None), run_id="content")

    assert by_suffix.total == 0
    assert (by_content.succeeded, by_content.rejected) == (2, 1)
    assert batch.listed.images == 3
    assert {key: row["media_type"] for key, row in all_rows(engine).items()} == {
        "in/photo": "image/jpeg",
        "in/photo.dat": "image/png",
        "in/notes.txt": None,
    }


def test_keys_are_described_wherever_they_are_and_missing_ones_say_so(
    engine: Engine, s3: S3Client, bucket: str
) -> None:
    put_photos(s3, bucket, range(4))
    strange = "a'; drop table--<script>.jpg"
    s3.put_object(Bucket=bucket, Key=strange, Body=jpeg(9))
    wanted = ("in/0001.jpg", strange, "in/none.jpg", "in/0001.jpg")

    batch, counts = engine.run(Scope(bucket, keys=wanted))

    assert {key: row["status"] for key, row in all_rows(engine).items()} == {
        "in/0001.jpg": Status.SUCCEEDED,
        strange: Status.SUCCEEDED,
        "in/none.jpg": Status.REJECTED,
    }
    assert (counts.succeeded, counts.reasons, counts.total) == (2, {"missing": 1}, 3)
    assert (batch.listed.keys, batch.listed.new, batch.listed.rejected) == (3, 2, 1)


def test_more_keys_than_are_looked_up_at_once(engine: Engine, s3: S3Client, bucket: str) -> None:
    put_photos(s3, bucket, range(2))
    wanted = ("in/0000.jpg", "in/0001.jpg", *(f"none/{number}.jpg" for number in range(110)))

    batch, counts = engine.run(Scope(bucket, keys=wanted))

    assert (counts.succeeded, counts.rejected) == (2, 110)
    assert (batch.listed.keys, batch.listed.images) == (112, 112)


@pytest.mark.parametrize("prefix", ["", "nothing/"])
def test_where_there_is_nothing_a_batch_ends_at_once(
    engine: Engine, bucket: str, simulator: RunningSimulator, prefix: str
) -> None:
    batch, counts = engine.run(Scope(bucket, (prefix,)))

    assert (batch.listed.keys, counts.total) == (0, 0)
    assert batch.listing_ended_at is not None
    assert simulator.counters()["requests"] == {}


def test_several_prefixes_and_pages_are_one_listing(
    engine: Engine, s3: S3Client, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for prefix in ("a/", "b/", "c/"):
        put_photos(s3, bucket, range(7), prefix)
    starts = short_pages(monkeypatch, page_size=3)

    batch, counts = engine.run(Scope(bucket, ("a/", "c/")))

    assert (batch.listed.keys, batch.listed.new) == (14, 14)
    assert (counts.succeeded, counts.shared) == (14, 7)
    assert len(starts) == 6


def short_pages(monkeypatch: pytest.MonkeyPatch, page_size: int) -> list[tuple[str, str]]:
    """Let S3 give short pages, and note where each of them started."""
    starts: list[tuple[str, str]] = []
    whole = ImageStore.list_page

    def short(store: ImageStore, bucket: str, prefix: str, **options: Any) -> Any:
        starts.append((options["after"], options["continuation"]))
        return whole(store, bucket, prefix, page_size=page_size, **options)

    monkeypatch.setattr(ImageStore, "list_page", short)
    return starts


def test_a_listing_never_runs_far_ahead_of_what_is_submitted(
    engine: Engine, s3: S3Client, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_photos(s3, bucket, range(30))
    monkeypatch.setattr(listing, "LOOK_AHEAD", 4)
    monkeypatch.setattr(listing, "PAGES_AT_ONCE", 2)
    starts = short_pages(monkeypatch, page_size=3)
    batch, counts = engine.run(Scope(bucket, ("in/",)))

    assert (counts.succeeded, batch.listed.new) == (30, 30)
    # A page that was read ahead, and had no use yet, is asked for again by the next round.
    assert len(set(starts)) == 10
    assert max(Counter(starts).values()) <= 2


def test_an_unknown_bucket_is_one_error_that_names_it(engine: Engine, simulator: RunningSimulator) -> None:
    with pytest.raises(StorageError, match="no-such-bucket") as caught:
        engine.run(Scope("no-such-bucket", ("in/",)))

    assert "aws_default" in str(caught.value)
    assert all_rows(engine) == {}
    assert simulator.counters()["requests"] == {}


def test_when_reading_is_denied_the_run_stops_and_rows_wait(
    database: Database, s3: S3Client, s3_url: str, bucket: str, simulator: RunningSimulator
) -> None:
    put_photos(s3, bucket, range(12))
    broken: S3Client = boto3.client("s3", endpoint_url=s3_url)
    break_s3(broken, S3Faults(lasting={"AccessDenied": 1.0}), "Access Denied")
    engine = Engine(database, broken, simulator.url)

    with pytest.raises(StorageDeniedError, match="aws_default"):
        engine.run(Scope(bucket, ("in/",)))

    found = all_rows(engine)
    assert {(row["status"], row["reserved_by"], row["reservations"]) for row in found.values()} == {
        ("pending", None, 0)
    }
    assert simulator.counters()["accepted"] == 0
    _, counts = Engine(database, s3, simulator.url).run(Scope(bucket, ("in/",)))
    assert counts.succeeded == 12


def test_an_object_replaced_between_listing_and_reading_is_described_as_it_is_now(
    engine: Engine, s3: S3Client, bucket: str, monkeypatch: pytest.MonkeyPatch, simulator: RunningSimulator
) -> None:
    s3.put_object(Bucket=bucket, Key="in/a.jpg", Body=jpeg(1))
    read = ImageStore.read

    def overwrite_first(store: ImageStore, image: Any, *note: Any) -> Any:
        monkeypatch.setattr(ImageStore, "read", read)
        s3.put_object(Bucket=bucket, Key="in/a.jpg", Body=jpeg(2))
        return read(store, image, *note)

    monkeypatch.setattr(ImageStore, "read", overwrite_first)
    _, first = engine.run(Scope(bucket, ("in/",)), run_id="first")
    _, second = engine.run(Scope(bucket, ("in/",)), run_id="second")

    assert first.reasons == {"replaced": 1}
    assert (second.succeeded, second.total) == (1, 1)
    assert simulator.counters()["billed"] == 1


def test_the_options_of_the_batch_say_which_keys_are_images(engine: Engine, s3: S3Client, bucket: str) -> None:
    put_photos(s3, bucket, range(2))
    s3.put_object(Bucket=bucket, Key="in/readme.md", Body=b"words")

    batch, _ = engine.run(Scope(bucket, ("in/",)), options())

    assert (batch.listed.keys, batch.listed.images) == (3, 2)
