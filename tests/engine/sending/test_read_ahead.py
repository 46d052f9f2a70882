"""Images that are read while all slots are taken: they hold nothing, and are sent only as if they had not been read."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.describe.engine.advance import advance
from airflow_midjourney.describe.engine.loop import work
from airflow_midjourney.describe.engine.reading import read_ahead
from airflow_midjourney.describe.engine.reporting import ProgressReport
from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.model.errors import ObjectDeniedError
from airflow_midjourney.describe.model.status import Reason, Status
from airflow_midjourney.describe.storage.objects import ImageStore
from airflow_midjourney.describe.table import leases
from airflow_midjourney.describe.table.accounts import read_account, update_account
from airflow_midjourney.describe.table.batches import open_batch
from airflow_midjourney.describe.table.orders.pauses import pause_accounts
from airflow_midjourney.testing.simulator.serving import UNTIL_HURRIED
from tests.support import rows
from tests.support.batches import options, origin, put_photos
from tests.support.engine import Engine
from tests.support.images import jpeg

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.engine.context import Worker
    from airflow_midjourney.describe.engine.progress import Progress
    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.testing.simulator.serving import RunningSimulator

SLOTS = 2
IMAGES = 5


@dataclass
class Site:
    """A bucket of some images, and a service whose two slots stay taken until it is hurried."""

    engine: Engine
    bucket: str
    simulator: RunningSimulator
    reads: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def full(self, **chosen: Any) -> AsyncIterator[tuple[Worker, Progress]]:
        """Give a worker that has submitted as much as there is room for, and where its batch stands."""
        wanted = options(**chosen)
        batch = await self.engine.database.write(open_batch, Scope(self.bucket, ("in/",)), wanted, origin())
        async with self.engine.worker() as worker:
            progress = await advance(worker, batch.batch_id)
            while progress.handled:
                progress = await advance(worker, batch.batch_id)
            yield worker, progress
            await worker.ahead.end()

    async def go_on(self, worker: Worker, batch_id: str) -> Progress:
        """Let the service answer all that it has, and the worker read that and go on."""
        self.simulator.hurry()
        async with asyncio.timeout(60):
            while {task["status"] for task in self.simulator.tasks()} != {"SUCCESS"}:
                await asyncio.sleep(0.02)
        with self.engine.database.writing() as tx:
            update_account(tx, self.engine.settings.identity, next_poll_at=tx.now)
        return await advance(worker, batch_id)

    @property
    def rows(self) -> list[dict[str, Any]]:
        with self.engine.database.reading() as tx:
            return rows.image_rows(tx)

    @property
    def statuses(self) -> list[Status]:
        return [Status(row["status"]) for row in self.rows]


@pytest.fixture
def site(
    database: Database,
    s3: S3Client,
    bucket: str,
    simulate: Callable[..., RunningSimulator],
    monkeypatch: pytest.MonkeyPatch,
) -> Site:
    put_photos(s3, bucket, range(IMAGES))
    simulator = simulate(latency=UNTIL_HURRIED, latency_spread=0.0, slots=9)
    made = Site(Engine(database, s3, simulator.url, account={"max_in_flight": SLOTS}), bucket, simulator)
    read = ImageStore.read
    monkeypatch.setattr(
        ImageStore, "read", lambda self, image, *note: made.reads.append(image.key) or read(self, image, *note)
    )
    return made


async def read_ahead_of(worker: Worker, progress: Progress) -> None:
    await worker.ahead.begin(worker, progress)
    if worker.ahead.given_back is not None:
        await asyncio.wait_for(worker.ahead.given_back.wait(), 60)


def test_the_next_images_are_read_and_hold_neither_lease_nor_slot_nor_money(site: Site) -> None:
    async def scene() -> None:
        async with site.full() as (worker, progress):
            await read_ahead_of(worker, progress)
            assert worker.ahead.ready_images == SLOTS

    asyncio.run(scene())

    assert sorted(site.reads) == [f"in/{number:04}.jpg" for number in range(2 * SLOTS)]
    pending = [row for row in site.rows if row["status"] == Status.PENDING]
    assert [(row["reserved_by"], row["reservations"], row["attempts"]) for row in pending] == [(None, 0, 0)] * 3
    assert site.simulator.counters()["requests"]["submit"] == SLOTS
    with site.engine.database.reading() as tx:
        assert len(rows.bill(tx)) == SLOTS
        assert read_account(tx, site.engine.settings.identity).in_flight == SLOTS


def test_what_was_read_ahead_is_sent_without_being_read_again(site: Site) -> None:
    async def scene() -> None:
        async with site.full() as (worker, progress):
            await read_ahead_of(worker, progress)
            await site.go_on(worker, progress.batch.batch_id)

    asyncio.run(scene())

    assert sorted(site.reads) == [f"in/{number:04}.jpg" for number in range(2 * SLOTS)]
    assert site.statuses == [Status.SUCCEEDED] * 2 + [Status.SUBMITTED] * 2 + [Status.PENDING]
    digests = [row["content_sha256"] for row in site.rows[: 2 * SLOTS]]
    assert digests == [hashlib.sha256(jpeg(number, size=16)).hexdigest() for number in range(2 * SLOTS)]


def test_each_image_of_a_run_is_read_once_and_paid_once(site: Site) -> None:
    site.simulator.change(latency=0.05)
    site.engine.account["poll_interval"] = 0.1

    _, counts = site.engine.run(Scope(site.bucket, ("in/",)), options())

    assert counts.succeeded == IMAGES
    assert sorted(site.reads) == [f"in/{number:04}.jpg" for number in range(IMAGES)]
    assert site.simulator.counters()["billed"] == IMAGES


def test_an_image_that_was_replaced_meanwhile_is_not_sent_as_it_was(site: Site) -> None:
    async def scene() -> None:
        async with site.full() as (worker, progress):
            await read_ahead_of(worker, progress)
            site.engine.s3.put_object(Bucket=site.bucket, Key="in/0002.jpg", Body=jpeg(99, size=16))
            await site.go_on(worker, progress.batch.batch_id)

    asyncio.run(scene())

    assert site.statuses[2] is Status.REJECTED
    assert site.rows[2]["reason"] == Reason.REPLACED
    assert site.statuses[3] is Status.SUBMITTED


def test_an_image_that_was_deleted_meanwhile_is_not_sent(site: Site) -> None:
    async def scene() -> None:
        async with site.full() as (worker, progress):
            await read_ahead_of(worker, progress)
            site.engine.s3.delete_object(Bucket=site.bucket, Key="in/0003.jpg")
            await site.go_on(worker, progress.batch.batch_id)

    asyncio.run(scene())

    assert site.rows[3]["reason"] == Reason.MISSING


def test_while_the_account_is_paused_nothing_that_was_read_ahead_is_sent_nor_more_read(site: Site) -> None:
    async def scene() -> None:
        async with site.full() as (worker, progress):
            await read_ahead_of(worker, progress)
            with site.engine.database.writing() as tx:
                pause_accounts(tx, [site.engine.settings], "anna")
            progress = await site.go_on(worker, progress.batch.batch_id)
            await read_ahead_of(worker, progress)

    asyncio.run(scene())

    assert site.statuses == [Status.SUCCEEDED] * 2 + [Status.PENDING] * 3
    assert site.simulator.counters()["requests"]["submit"] == SLOTS
    assert len(site.reads) == 2 * SLOTS


def test_a_worker_that_is_told_to_stop_sends_nothing_that_it_has_read_ahead(site: Site) -> None:
    async def scene() -> None:
        async with site.full() as (worker, progress):
            await read_ahead_of(worker, progress)
            worker.told_to_stop = True
            await site.go_on(worker, progress.batch.batch_id)

    asyncio.run(scene())

    assert site.statuses == [Status.SUCCEEDED] * 2 + [Status.PENDING] * 3


def test_no_more_is_read_than_a_cap_lets_be_sent(site: Site) -> None:
    async def scene() -> None:
        async with site.full(max_submissions=SLOTS + 1) as (worker, progress):
            await read_ahead_of(worker, progress)
            assert worker.ahead.ready_images == 1

    asyncio.run(scene())


@pytest.mark.parametrize("images", [0, 1])
def test_what_is_ready_has_no_more_bytes_than_may_be(site: Site, monkeypatch: pytest.MonkeyPatch, images: int) -> None:
    size = len(f"data:image/jpeg;base64,{'x' * (-(-len(jpeg(2, size=16)) // 3) * 4)}")
    # The images are of nearly the same size.
    monkeypatch.setattr(read_ahead, "MOST_READY_BYTES", size // 2 if images == 0 else size * 3 // 2)

    async def scene() -> None:
        async with site.full() as (worker, progress):
            await read_ahead_of(worker, progress)
            assert worker.ahead.ready_images == images
            assert worker.ahead.ready_bytes <= read_ahead.MOST_READY_BYTES
            reads = len(site.reads)
            await read_ahead_of(worker, progress)
            # What did not fit is not read again and again.
            assert len(site.reads) <= reads + 1

    asyncio.run(scene())


def test_no_more_images_are_ready_than_may_be(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_ahead, "MOST_READY", 1)

    async def scene() -> None:
        async with site.full() as (worker, progress):
            await read_ahead_of(worker, progress)
            assert worker.ahead.ready_images == 1

    asyncio.run(scene())


def test_what_another_worker_takes_it_sends_and_the_first_forgets(site: Site) -> None:
    async def scene() -> None:
        async with site.full() as (worker, progress):
            await read_ahead_of(worker, progress)
            with site.engine.database.writing() as tx:
                taken = leases.reserve(tx, progress.batch, "another", SLOTS)
            assert [row.key for row in taken] == ["in/0002.jpg", "in/0003.jpg"]
            await read_ahead_of(worker, progress)
            assert worker.ahead.ready_images == 1
            await site.go_on(worker, progress.batch.batch_id)

    asyncio.run(scene())

    assert site.statuses == [Status.SUCCEEDED] * 2 + [Status.PENDING] * 2 + [Status.SUBMITTED]


def test_an_image_that_cannot_be_sent_takes_no_slot_and_one_that_s3_fails_at_waits_for_its_turn(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.engine.s3.put_object(Bucket=site.bucket, Key="in/0002.jpg", Body=b"\xff\xd8\xff broken")
    site.engine.s3.delete_object(Bucket=site.bucket, Key="in/0004.jpg")

    async def scene() -> None:
        async with site.full() as (worker, progress):
            monkeypatch.setattr(type(worker.images), "read", _refused_at("in/0003.jpg", ImageStore.read))
            await read_ahead_of(worker, progress)
            await read_ahead_of(worker, progress)

    asyncio.run(scene())

    assert site.statuses == [Status.SUBMITTED] * 2 + [Status.REJECTED, Status.PENDING]
    assert site.rows[2]["reason"] == Reason.CORRUPT
    assert (site.rows[3]["reserved_by"], site.rows[3]["not_before"]) == (None, None)


def _refused_at(key: str, read: Any) -> Any:
    def refuse(store: ImageStore, image: Any, *note: Any) -> Any:
        if image.key == key:
            raise ObjectDeniedError("denied", http_status=403, code="AccessDenied", image_uri=image.uri)
        return read(store, image, *note)

    return refuse


def test_a_worker_that_ends_gives_back_what_it_is_reading(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        async with site.full() as (worker, progress):
            goes_on = asyncio.Event()
            monkeypatch.setattr(
                "airflow_midjourney.describe.engine.reading.image_reader.ImageReader.read",
                lambda _reader, _row: goes_on.wait(),
            )
            await worker.ahead.begin(worker, progress)
            assert [row["reserved_by"] for row in site.rows[2:]] == [f"{worker.holder}-ahead"] * SLOTS + [None]
            await asyncio.sleep(0)
            await worker.ahead.end()
            assert worker.ahead.ready_images == 0

    asyncio.run(scene())

    assert [row["reserved_by"] for row in site.rows[2:]] == [None] * 3


@pytest.mark.parametrize("may_leave", [True, False])
def test_a_worker_that_may_leave_reads_ahead_only_once_it_knows_how_long_it_stays(site: Site, may_leave: bool) -> None:
    async def scene() -> None:
        async with site.full() as (worker, progress):
            ends: list[bool] = []

            def until(_progress: Progress) -> bool:
                ends.append(True)
                return len(ends) > 1 if may_leave else len(site.reads) > SLOTS

            silent = ProgressReport(lambda line: None)
            async with asyncio.timeout(60):
                await work(worker, progress.batch.batch_id, silent, until=until, may_leave=may_leave)

    asyncio.run(scene())

    assert (len(site.reads) > SLOTS) is not may_leave
