"""What one image costs in requests, statements, bytes and decodes: exact, whatever machine counts them."""

from __future__ import annotations

import math
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from PIL import ImageFile
from sqlalchemy import event

from airflow_midjourney.describe.engine.answers.posts import Posted, record_posts
from airflow_midjourney.describe.engine.answers.tasks import settle_rows
from airflow_midjourney.describe.engine.reading import image_reader
from airflow_midjourney.describe.imaging import prepare
from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.service.submit_response import Accepted
from airflow_midjourney.describe.service.tasks import parse_task
from airflow_midjourney.describe.service.transport import Transport
from airflow_midjourney.describe.storage.objects import ImageStore
from airflow_midjourney.describe.table import accounts, claims, leases, matching, results
from airflow_midjourney.describe.table.matching import Asker
from tests.support import rows
from tests.support.batches import put_photos, work_on
from tests.support.engine import Engine
from tests.support.images import jpeg

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.testing.simulator.serving import RunningSimulator

IMAGES = 12
ROOMY = replace(rows.ACCOUNT, max_in_flight=1000)


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    """Collect the statements of the block, without BEGIN, COMMIT and ROLLBACK."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Bytes of each body that is posted to be described."""
    sizes: list[int] = []
    exchange = Transport.exchange

    async def measured(self: Transport, method: str, path: str, **rest: Any) -> Any:
        if path == "/submit/describe":
            sizes.append(len(rest["body"]))
        return await exchange(self, method, path, **rest)

    monkeypatch.setattr(Transport, "exchange", measured)
    return sizes


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keys of the objects that are read, and ``page`` for each page."""
    asked: list[str] = []
    read_once, list_page = ImageStore.read, ImageStore.list_page
    monkeypatch.setattr(
        ImageStore, "read", lambda self, image, *note: asked.append(image.key) or read_once(self, image, *note)
    )
    monkeypatch.setattr(
        ImageStore, "list_page", lambda self, *place, **rest: asked.append("page") or list_page(self, *place, **rest)
    )
    return asked


@pytest.fixture
def decodes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Formats of the files that are decoded while an image is prepared; the simulator decodes what it gets, too."""
    found: list[str] = []
    preparing = threading.local()
    load_prepare, prepare_one = ImageFile.ImageFile.load_prepare, prepare.prepare

    def noted(self: ImageFile.ImageFile) -> None:
        if getattr(preparing, "now", False):
            found.append(self.format or "")
        load_prepare(self)

    def noting(body: bytes, **rest: Any) -> prepare.PreparedImage:
        preparing.now = True
        try:
            return prepare_one(body, **rest)
        finally:
            preparing.now = False

    monkeypatch.setattr(prepare, "prepare", noting)
    monkeypatch.setattr(image_reader, "prepare", noting)
    monkeypatch.setattr(ImageFile.ImageFile, "load_prepare", noted)
    return found


def test_each_image_is_read_decoded_and_sent_once_and_all_are_asked_about_at_once(
    database: Database,
    s3: S3Client,
    bucket: str,
    simulate: Callable[..., RunningSimulator],
    sent: list[int],
    read: list[str],
    decodes: list[str],
) -> None:
    simulator = simulate(latency=0.0, slots=IMAGES)
    # Everything is answered long before the first poll, even on a machine that is busy with other tests.
    engine = Engine(database, s3, simulator.url, account={"poll_interval": 8.0})
    put_photos(s3, bucket, range(IMAGES))
    bodies = [jpeg(number, size=16) for number in range(IMAGES)]

    _, counts = work_on(engine, Scope(bucket, ("in/",)))

    assert counts.succeeded == IMAGES
    # The one that proves that the key may read, and the one that brings all answers.
    assert simulator.counters()["requests"] == {"submit": IMAGES, "list_by_condition": 2}
    assert sorted(read) == [*(f"in/{number:04}.jpg" for number in range(IMAGES)), "page"]
    assert decodes == ["JPEG"] * IMAGES
    around = len('{"botType":"MID_JOURNEY","state":"","base64":"data:image/jpeg;base64,"}') + 32
    assert sorted(sent) == sorted(around + 4 * math.ceil(len(body) / 3) for body in bodies)


def test_a_group_of_claims_takes_as_many_statements_as_one(database: Database) -> None:
    # Clock, account, slots, rows, bytes that other rows have, bytes in the bill, and the writes: row, bill. The very
    # first sets the next poll.
    assert [statements_of_claims(database, number) for number in (1, 2, 16)] == [8 + 3, 8, 8]


def test_a_group_of_answers_to_posts_takes_as_many_statements_as_one(database: Database) -> None:
    # Clock, latest claim, circuit breaker, and the writes: bill, row.
    assert [statements_of_records(database, number) for number in (1, 16)] == [5, 5]


def test_a_group_of_prompts_takes_as_many_statements_as_one(database: Database) -> None:
    # Clock, two for ids that submissions share, since the tasks have no state; bill, rows that still wait, row.
    assert [statements_of_prompts(database, number) for number in (1, 50)] == [6, 6]


def test_a_page_of_a_thousand_images_that_are_done_is_compared_by_one_statement(database: Database) -> None:
    page = [rows.listed(f"{number:04}.jpg") for number in range(1000)]
    with database.writing() as tx:
        rows.list_images(tx, page)
    with database.writing() as tx, counted(database) as statements:
        comparison = matching.compare_page(tx, page, Asker("batch", rows.BotType.MID_JOURNEY, rows.READER))

    assert sum(comparison.decisions.values()) == 1000
    assert len(statements) == 1


def test_an_image_that_is_converted_is_decoded_once(decodes: list[str]) -> None:
    prepared = prepare.prepare(jpeg(1, size=2100), image_uri="s3://photos/large.jpg")

    assert max(prepared.width, prepared.height) == 2100
    assert decodes == ["JPEG"]


def claims_of(database: Database, number: int) -> list[claims.Claim]:
    with database.writing() as tx:
        batch = rows.open_batch(tx, run_id=f"run-{number}")
        rows.list_images(tx, [rows.listed(f"{number}/{one:04}.jpg") for one in range(number)])
        reserved = leases.reserve(tx, batch, "holder", number)
        return [rows.request(batch, row) for row in reserved]


def claim(database: Database, wanted: list[claims.Claim]) -> None:
    with database.writing() as tx:
        assert set(claims.claim(tx, wanted, ROOMY)) == {claims.ClaimResult.CLAIMED}


def record(database: Database, wanted: list[claims.Claim]) -> None:
    posts = [Posted(one, Accepted(f"task-{one.image_id}", 200, 1)) for one in wanted]
    with database.writing() as tx:
        record_posts(tx, ROOMY, posts)


def statements_of_claims(database: Database, number: int) -> int:
    wanted = claims_of(database, number)
    with counted(database) as statements:
        claim(database, wanted)
    return len(statements)


def statements_of_records(database: Database, number: int) -> int:
    wanted = claims_of(database, number)
    claim(database, wanted)
    with counted(database) as statements:
        record(database, wanted)
    return len(statements)


def statements_of_prompts(database: Database, number: int) -> int:
    wanted = claims_of(database, number)
    claim(database, wanted)
    record(database, wanted)
    text = "1️⃣ one\n\n2️⃣ two\n\n3️⃣ three\n\n4️⃣ four"
    with database.reading() as tx:
        in_flight = results.in_flight(tx, ROOMY.identity)
        state = accounts.read_account(tx, ROOMY.identity)
    tasks = {
        row.task_id: parse_task({"id": row.task_id, "action": "DESCRIBE", "status": "SUCCESS", "prompt": text})
        for row in in_flight
    }
    with counted(database) as statements, database.writing() as tx:
        assert settle_rows(tx, ROOMY, state, in_flight, dict(tasks)) == number
    return len(statements)
