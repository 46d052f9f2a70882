"""A person pauses an account: nothing more is sent, nothing in flight is lost, and tasks wait until it is resumed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.describe.engine.loop import work, work_off
from airflow_midjourney.describe.engine.reporting import ProgressReport
from airflow_midjourney.describe.model.batch import BatchOptions, Origin, Scope
from airflow_midjourney.describe.table.accounts import AccountState, read_account
from airflow_midjourney.describe.table.batches import open_batch
from airflow_midjourney.describe.table.claims import ClaimResult
from airflow_midjourney.describe.table.counts import count
from airflow_midjourney.describe.table.orders.pauses import SeenPause, pause_accounts, resume_accounts
from airflow_midjourney.describe.table.submissions import PostFacts
from airflow_midjourney.testing.simulator.serving import UNTIL_HURRIED
from tests.support import rows
from tests.support.engine import Engine
from tests.support.images import jpeg

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.engine.progress import Progress
    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.testing.simulator.serving import RunningSimulator

OTHER = replace(rows.ACCOUNT, identity="other.example")


def pause(database: Database, *accounts: AccountSettings, by: str = "anna") -> list[str]:
    with database.writing() as tx:
        return pause_accounts(tx, accounts, by)


def resume(
    database: Database, account: AccountSettings, by: str = "bob", seen: AccountState | None = None
) -> list[str]:
    shown = seen or state_of(database, account)
    with database.writing() as tx:
        return resume_accounts(tx, [SeenPause(account, shown.paused_at)], by)


def state_of(database: Database, account: AccountSettings = rows.ACCOUNT) -> AccountState:
    with database.reading() as tx:
        return read_account(tx, account.identity)


def test_it_is_written_who_paused_and_who_resumed_and_when(database: Database) -> None:
    assert pause(database, rows.ACCOUNT, OTHER) == sorted([rows.ACCOUNT.identity, OTHER.identity])
    paused = state_of(database)
    assert resume(database, rows.ACCOUNT) == [rows.ACCOUNT.identity]
    resumed = state_of(database)

    assert (paused.paused, paused.paused_by, paused.paused_at is not None) == (True, "anna", True)
    assert paused.pause.startswith("by anna since ")
    assert (resumed.paused, resumed.pause, resumed.resumed_by) == (False, "", "bob")
    assert resumed.resumed_at is not None
    assert state_of(database, OTHER).paused


def test_a_second_pause_changes_nothing_and_an_account_that_is_not_paused_is_not_resumed(database: Database) -> None:
    pause(database, rows.ACCOUNT)

    assert pause(database, rows.ACCOUNT, by="carl") == []
    assert state_of(database).paused_by == "anna"
    assert resume(database, rows.ACCOUNT) == [rows.ACCOUNT.identity]
    assert resume(database, rows.ACCOUNT, by="carl") == []
    assert state_of(database).resumed_by == "bob"


def test_a_pause_that_the_person_was_not_shown_stays(database: Database) -> None:
    pause(database, rows.ACCOUNT)
    shown = state_of(database)
    resume(database, rows.ACCOUNT)
    pause(database, rows.ACCOUNT, by="carl")

    assert resume(database, rows.ACCOUNT, seen=shown) == []
    assert state_of(database).pause.startswith("by carl since ")


def test_a_pause_by_hand_is_said_to_be_one_and_can_be_resumed(database: Database) -> None:
    pause(database, rows.ACCOUNT)
    resume(database, rows.ACCOUNT)
    with database.writing() as tx:
        rows.set_account(tx, paused=True)

    assert state_of(database).pause == "by hand, in the database"
    assert resume(database, rows.ACCOUNT) == [rows.ACCOUNT.identity]


def test_no_image_is_claimed_after_it_and_what_was_claimed_before_is_recorded(database: Database) -> None:
    with database.writing() as tx:
        batch = rows.open_batch(tx)
        rows.list_images(tx, [rows.listed("a.jpg"), rows.listed("b.jpg")])
        _, before = rows.claim_next(tx, batch)
    pause(database, rows.ACCOUNT)

    with database.writing() as tx:
        after, _ = rows.claim_next(tx, batch)
        assert rows.accepted(tx, before.submit_token, "task", PostFacts())
        assert rows.image_row(tx, before.image_id)["status"] == "submitted"
    assert after is ClaimResult.NO_ROOM


# A running batch


@pytest.fixture
def service(simulate: Callable[..., RunningSimulator]) -> RunningSimulator:
    """A service whose first tasks end when the test says so."""
    return simulate(latency=UNTIL_HURRIED, poll_interval=0.1)


@pytest.fixture
def engine(database: Database, s3: S3Client, service: RunningSimulator) -> Engine:
    return Engine(database, s3, service.url, account={"max_in_flight": 2})


@pytest.fixture
def batch_id(engine: Engine, s3: S3Client, bucket: str) -> str:
    """A batch of four images, of which two are in flight at a time."""
    for number in range(4):
        s3.put_object(Bucket=bucket, Key=f"in/{number}.jpg", Body=jpeg(number))
    with engine.database.writing() as tx:
        origin = Origin("describe_images", "run", "submit")
        return open_batch(tx, Scope(bucket, ("in/",)), BatchOptions(suffixes=(".jpg",)), origin).batch_id


async def work_on(
    engine: Engine, batch_id: str, lines: list[str], until: Callable[[Progress], bool], **how: Any
) -> Progress:
    async with engine.worker() as worker:
        return await work(worker, batch_id, ProgressReport(lines.append), until=until, **{"may_leave": False} | how)


def counted(engine: Engine, progress: Progress) -> tuple[int, int]:
    with engine.database.reading() as tx:
        counts = count(tx, progress.batch)
    return counts.succeeded, counts.pending


def pauses_told(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("The account ")]


def test_a_batch_that_is_paused_amid_its_run_gets_what_is_in_flight_and_goes_on_when_resumed(
    engine: Engine, batch_id: str, service: RunningSimulator
) -> None:
    lines: list[str] = []

    async def run() -> None:
        async with engine.worker() as worker:
            first = await work_off(worker, batch_id)
        assert first.open.in_flight == 2
        pause(engine.database, engine.settings)
        service.change(latency=0.1)
        service.hurry()

        still = await work_on(engine, batch_id, lines, lambda now: now.open.in_flight == 0)
        assert counted(engine, still) == (2, 2)
        assert still.account.pause.startswith("by anna since ")
        # A retry finds the account as it is, and leaves its worker at once.
        left = await work_on(engine, batch_id, [], lambda now: now.all_ended, may_leave=True)
        assert (left.all_ended, counted(engine, left)) == (False, (2, 2))

        async def resume_later() -> None:
            while len(pauses_told(lines)) < 2:
                await asyncio.sleep(0.02)
            resume(engine.database, engine.settings)

        done, _ = await asyncio.gather(work_on(engine, batch_id, lines, lambda now: now.all_ended), resume_later())
        assert counted(engine, done) == (4, 0)

    asyncio.run(run())
    assert [line.split(" since ")[0] for line in pauses_told(lines)] == [
        "The account is paused by anna",
        "The account is paused by anna",
        "The account goes on: it was resumed by bob.",
    ]


def test_a_long_pause_is_no_failure_of_the_service(database: Database) -> None:
    pause(database, rows.ACCOUNT)
    with database.writing() as tx:
        rows.let_time_pass(tx, timedelta(days=9))
        assert not read_account(tx, rows.ACCOUNT.identity).only_fails(tx.now - timedelta(days=9))
    assert state_of(database).paused
