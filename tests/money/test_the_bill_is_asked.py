"""Before bytes are paid for again, every accepted submission of them without a result is asked about."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.describe.model.errors import ServiceProtocolError, ServiceUnavailableError
from airflow_midjourney.describe.model.status import Reason, Status
from airflow_midjourney.describe.service.client import MidjourneyClient
from airflow_midjourney.describe.table import leases, results
from airflow_midjourney.describe.table.claims import ClaimResult
from airflow_midjourney.describe.table.doubt import former_tasks, late_results
from airflow_midjourney.describe.table.doubt.lost_intents import NO_ROW
from airflow_midjourney.describe.table.results import RemoteTimes
from airflow_midjourney.testing.simulator.serving import UNTIL_HURRIED
from tests.support import rows
from tests.support.batches import options, origin, put_photos, work_on
from tests.support.engine import Engine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.engine.context import Worker
    from airflow_midjourney.describe.engine.progress import Progress
    from airflow_midjourney.describe.model.batch import Scope
    from airflow_midjourney.describe.table.database import Database, Transaction
    from airflow_midjourney.testing.simulator.serving import RunningSimulator

IMAGES = 6
PATIENT: dict[str, Any] = {"poll_interval": 0.1, "max_in_flight": 50}


@pytest.fixture
def slow(simulate: Callable[..., RunningSimulator]) -> Callable[..., RunningSimulator]:
    """Start a service whose tasks take longer than the engine waits for them: they end when the test says so."""

    def start(*scenarios: str) -> RunningSimulator:
        chosen = {"pause": UNTIL_HURRIED, "scenarios": ("slow_work", *scenarios)}
        return simulate(dialect="novicezk", latency=0.05, slots=50, queue=50, **chosen)

    return start


def end_tasks(service: RunningSimulator) -> None:
    """Let the service have all answers, after all."""
    service.hurry()
    deadline = time.monotonic() + 60
    while {task["status"] for task in service.tasks()} != {"SUCCESS"}:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def give_up(engine: Engine, scope: Scope, s3: S3Client) -> None:
    """Pay for images, and wait for none of them."""
    put_photos(s3, scope.bucket, range(IMAGES))
    impatient = replace(engine, account=PATIENT | {"task_timeout": 0.05, "queue_timeout": 0.05})
    work_on(impatient, scope, options(max_attempts=1))
    with engine.database.writing() as tx:
        assert {(row["status"], row["reason"]) for row in rows.image_rows(tx)} == {(Status.FAILED, Reason.TIMEOUT)}
        # No poll takes the late answers: what happens comes of asking before paying.
        rows.set_account(tx, next_poll_at=tx.now + timedelta(hours=1))


@pytest.mark.parametrize("lists", [True, False])
def test_images_that_are_to_be_described_again_get_the_answer_that_was_paid_for(
    database: Database,
    s3: S3Client,
    scope: Scope,
    slow: Callable[..., RunningSimulator],
    monkeypatch: pytest.MonkeyPatch,
    lists: bool,
) -> None:
    service = slow(*([] if lists else ["no_list_by_condition"]))
    engine = Engine(database, s3, service.url, account=PATIENT)
    give_up(engine, scope, s3)
    end_tasks(service)
    monkeypatch.setattr(late_results, "AT_ONCE", 1)

    _, counts = work_on(engine, scope, options(redescribe="failed"), origin("again"))

    assert counts.succeeded == IMAGES
    assert service.counters()["billed"] == IMAGES


def test_a_task_that_the_service_still_works_on_is_waited_for(
    database: Database, s3: S3Client, scope: Scope, slow: Callable[..., RunningSimulator]
) -> None:
    service = slow()
    engine = Engine(database, s3, service.url, account=PATIENT)
    give_up(engine, scope, s3)
    with database.writing() as tx:
        rows.set_account(tx, next_poll_at=tx.now)

    def until_all_have_ended(progress: Progress) -> bool:
        # By now it has asked about the tasks, and heard that they are under way.
        service.hurry()
        return progress.all_ended

    _, counts = work_on(engine, scope, options(redescribe="failed"), origin("again"), until_all_have_ended)

    assert counts.succeeded == IMAGES
    assert service.counters()["billed"] == IMAGES


@dataclass
class Elsewhere(Engine):
    """An engine of one account whose Airflow has a connection for another."""

    other: Engine | None = None
    opened: list[tuple[str, str]] = field(default_factory=list)

    @asynccontextmanager
    async def worker(self, try_number: int = 1) -> AsyncIterator[Worker]:
        """Make a worker as a task does."""

        @asynccontextmanager
        async def open_other_account(conn_id: str, identity: str) -> AsyncIterator[MidjourneyClient | None]:
            self.opened.append((conn_id, identity))
            if self.other is None or self.other.settings.identity != identity:
                yield None
                return
            async with MidjourneyClient(self.other.service) as client:
                yield client

        async with super().worker(try_number) as worker:
            worker.open_other_account = open_other_account
            yield worker


@pytest.mark.parametrize(
    ("has_connection", "has_moved", "times_paid"),
    [(True, True, 1), (False, False, 1), (False, True, 2)],
    ids=["the connection of its batch", "its own, to the same host", "none"],
)
def test_what_another_account_has_paid_for_is_asked_through_a_connection_that_can(
    database: Database,
    s3: S3Client,
    scope: Scope,
    slow: Callable[..., RunningSimulator],
    has_connection: bool,
    has_moved: bool,
    times_paid: int,
) -> None:
    service = slow()
    first = Engine(database, s3, service.url, key="old-key", account=PATIENT)
    give_up(first, scope, s3)
    end_tasks(service)
    service.set_scenarios([])
    other = first if has_connection else None
    account = PATIENT | ({"identity": "https://moved.example:443#me"} if has_moved else {})
    second = Elsewhere(database, s3, service.url, key="new-key", account=account, other=other)

    _, counts = work_on(second, scope, options(redescribe="failed"), origin("again"))

    assert counts.succeeded == IMAGES
    assert set(second.opened) == {("midjourney_default", first.settings.identity)}
    assert service.counters()["billed"] == times_paid * IMAGES


@pytest.mark.parametrize(
    "silence",
    [
        ServiceUnavailableError("the service is away", retry_helps=True),
        # A page of maintenance, half an answer, or another's task.
        ServiceProtocolError("a web page instead of JSON"),
    ],
    ids=["no answer", "no answer that can be read"],
)
def test_while_the_service_does_not_say_nothing_is_paid_again(
    database: Database,
    s3: S3Client,
    scope: Scope,
    slow: Callable[..., RunningSimulator],
    monkeypatch: pytest.MonkeyPatch,
    silence: Exception,
) -> None:
    service = slow()
    engine = Engine(database, s3, service.url, account=PATIENT)
    give_up(engine, scope, s3)
    with database.writing() as tx:
        # Long after they were given up, as after a night.
        tx.connection.execute(tx.tables.submissions.update().values(settled_at=tx.now - timedelta(hours=8)))
    monkeypatch.setattr(former_tasks, "POSTPONEMENT", 0.2)
    fetch, silent = MidjourneyClient.fetch, [2 * IMAGES]

    async def fetch_from_a_service_that_is_away(client: MidjourneyClient, task_id: str) -> Any:
        if silent[0] > 0:
            silent[0] -= 1
            raise silence
        return await fetch(client, task_id)

    monkeypatch.setattr(MidjourneyClient, "fetch", fetch_from_a_service_that_is_away)
    end_tasks(service)

    _, counts = work_on(engine, scope, options(redescribe="failed"), origin("again"))

    assert counts.succeeded == IMAGES
    assert service.counters()["billed"] == IMAGES


def a_timed_out_row(tx: Transaction, key: str = "a.jpg", body: str = "the bytes") -> results.InFlight:
    rows.list_images(tx, [rows.listed(key)])
    sent = rows.submit_next(tx, rows.open_batch(tx, max_attempts=1), f"task of {key}", body)
    results.ended(tx, sent, Reason.TIMEOUT, "too long", RemoteTimes(), "")
    return sent


def reserve_again(tx: Transaction, image_id: int) -> leases.ReservedImage:
    """Have a person or a run ask for it to be described again, which makes it forget its task."""
    nothing = dict.fromkeys(("task_id", "submit_token", "reason", "ended_at", "not_before", "reserved_by"))
    rows.set_columns(tx, image_id, status="pending", attempts=0, **nothing)
    (reserved,) = leases.reserve(tx, rows.open_batch(tx), "holder", 1)
    return reserved


def test_patience_counts_from_the_first_question_without_an_answer(database: Database) -> None:
    with database.writing() as tx:
        sent = a_timed_out_row(tx)
        tx.connection.execute(tx.tables.submissions.update().values(settled_at=tx.now - timedelta(hours=3)))
        reserved = reserve_again(tx, sent.id)
        claim = rows.request(rows.open_batch(tx), reserved, "the bytes")
        (former,) = former_tasks.unasked(tx, claim)
        assert former_tasks.postpone(tx, reserved.id, "holder", former)
    for gone, is_postponed in ((timedelta(minutes=4), True), (timedelta(minutes=2), False)):
        with database.writing() as tx:
            rows.let_time_pass(tx, gone)
        with database.writing() as tx:
            rows.set_columns(tx, reserved.id, reserved_by="holder")
            assert former_tasks.postpone(tx, reserved.id, "holder", former) is is_postponed
    with database.writing() as tx:
        former_tasks.was_heard(tx, former)
        assert former_tasks.postpone(tx, reserved.id, "holder", former)


def test_all_submissions_of_the_bytes_are_asked_about_whichever_row_and_account(database: Database) -> None:
    with database.writing() as tx:
        first = a_timed_out_row(tx, "first.jpg")
        bills = tx.tables.submissions
        # Fifty copies that were paid for by another account, of rows that are gone by now.
        (entry,) = rows.bill(tx)
        for number in range(50):
            copy = {"id": None, "submit_token": f"copy-{number}", "account": "another", "image_id": NO_ROW}
            tx.connection.execute(bills.insert().values({k: v for k, v in (entry | copy).items() if k != "id"}))
        reserved = reserve_again(tx, first.id)
        claim = rows.request(rows.open_batch(tx), reserved, "the bytes")

        assert rows.claim_alone(tx, claim) is ClaimResult.ASK_FIRST
        former = former_tasks.unasked(tx, claim)
        assert len(former) == 51
        assert {one.image_id for one in former} == {first.id}

        asked = replace(claim, asked=frozenset(one.submit_token for one in former))
        assert rows.claim_alone(tx, asked) is ClaimResult.CLAIMED


def test_what_has_a_result_or_is_older_than_a_day_is_not_asked_about(database: Database) -> None:
    with database.writing() as tx:
        sent = a_timed_out_row(tx)
        claim = rows.request(rows.open_batch(tx), reserve_again(tx, sent.id), "the bytes")
        bills = tx.tables.submissions
        tx.connection.execute(bills.update().values(reason="banned"))
        assert former_tasks.unasked(tx, claim) == []
        tx.connection.execute(bills.update().values(reason="timeout", claimed_at=tx.now - timedelta(hours=27)))
        assert former_tasks.unasked(tx, claim) == []
        tx.connection.execute(bills.update().values(claimed_at=tx.now - timedelta(hours=20)))
        assert len(former_tasks.unasked(tx, claim)) == 1


def test_every_given_up_task_gets_its_turn_to_be_asked_about(database: Database) -> None:
    with database.writing() as tx:
        a_timed_out_row(tx)
        (entry,) = rows.bill(tx)
        for number in range(249):
            copy = entry | {"submit_token": f"copy-{number}"}
            tx.connection.execute(tx.tables.submissions.insert().values({k: v for k, v in copy.items() if k != "id"}))
    with database.reading() as tx:
        seen: set[str] = set()
        for minute in range(3):
            later = replace(tx, now=tx.now + timedelta(minutes=minute))
            page = late_results.given_up(later, rows.ACCOUNT.identity)
            assert len(page) <= late_results.AT_ONCE
            seen |= {one.submit_token for one in page}
    assert len(seen) == 250
