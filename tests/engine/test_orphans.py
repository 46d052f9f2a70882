"""Images on their way of an account that changed its name: other connections ask for them, no batch waits for ever."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest
from sqlalchemy import select

from airflow_midjourney.describe.engine.settle import settle
from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.model.status import Reason, Status
from airflow_midjourney.describe.table.accounts import ensure_account, read_account
from airflow_midjourney.describe.table.doubt import late_results, orphans
from tests.support import rows
from tests.support.batches import all_submitted, origin, put_photos, work_on
from tests.support.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.testing.simulator.serving import RunningSimulator

IMAGES: Final = 3

#: Long enough for an account to be polled by no connection any more.
LONG: Final = timedelta(seconds=orphans.ORPHANED_AFTER + 60)

#: What a connection at the same address becomes: a new key, its first extra ``account``, TLS and another port.
CHANGES: Final[dict[str, dict[str, Any]]] = {
    "a new key": {"key": "new"},
    "its first extra account": {"account": {"identity": "http://127.0.0.1:{port}#studio"}},
    "https, and its port": {"account": {"identity": "https://127.0.0.1:443#anonymous"}},
}


@pytest.fixture
def scope(s3: S3Client, bucket: str) -> Scope:
    put_photos(s3, bucket, range(IMAGES))
    return Scope(bucket, ("in/",))


@pytest.fixture
def start(
    database: Database, s3: S3Client, scope: Scope, simulate: Callable[..., RunningSimulator]
) -> Callable[..., tuple[RunningSimulator, Engine]]:
    """Have all images submitted by an account that no connection polls from then on."""

    def submit(dialect: str = "novicezk", latency: float = 0.5) -> tuple[RunningSimulator, Engine]:
        service = simulate(dialect=dialect, latency=latency, slots=9, poll_interval=0.1)
        engine = Engine(database, s3, service.url)
        work_on(engine, scope, until=all_submitted)
        let_time_pass(database, LONG)
        return service, engine

    return submit


def changed(engine: Engine, change: str) -> Engine:
    port = engine.url.split(":")[2].split("/")[0]
    values = CHANGES[change]
    account = {name: value.format(port=port) for name, value in values.get("account", {}).items()}
    return replace(engine, key=values.get("key", ""), account=account)


def let_time_pass(database: Database, gone: timedelta) -> None:
    with database.writing() as tx:
        rows.let_time_pass(tx, gone)


def settle_once(engine: Engine) -> None:
    async def once() -> None:
        async with engine.worker() as worker:
            await settle(worker)

    asyncio.run(once())


def statuses(database: Database) -> list[str]:
    with database.reading() as tx:
        return [row["status"] for row in rows.image_rows(tx)]


def accounts_of_rows(database: Database) -> set[str]:
    with database.reading() as tx:
        return {row["account"] for row in rows.image_rows(tx)}


def times_sought(database: Database) -> set[float | None]:
    with database.reading() as tx:
        return set(tx.connection.execute(select(tx.tables.accounts.c.sought_for)).scalars())


def seek_for_a_day(engine: Engine, hours: int = 26) -> None:
    for _ in range(hours):
        settle_once(engine)
        let_time_pass(engine.database, timedelta(hours=1))
    settle_once(engine)


@pytest.mark.parametrize("dialect", ["novicezk", "trueai", "new-api"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_connection_to_the_same_host_finds_them_and_nothing_is_paid_twice(
    start: Callable[..., tuple[RunningSimulator, Engine]], scope: Scope, change: str, dialect: str
) -> None:
    service, engine = start(dialect)

    _, counts = changed(engine, change).run(scope, run_id="next")

    assert counts.succeeded == IMAGES
    assert service.counters()["billed"] == IMAGES


def test_another_dag_that_waits_for_the_same_bytes_gets_their_answer(
    start: Callable[..., tuple[RunningSimulator, Engine]], s3: S3Client, bucket: str
) -> None:
    service, engine = start()
    put_photos(s3, bucket, range(IMAGES), prefix="copies/")

    _, counts = changed(engine, "a new key").run(Scope(bucket, ("copies/",)), run_id="another")

    assert (counts.succeeded, counts.shared) == (IMAGES, IMAGES)
    assert service.counters()["billed"] == IMAGES


def give_up(service: RunningSimulator, database: Database) -> None:
    """Let the service have all answers, and the time for them be over."""
    with database.reading() as tx:
        task_ids = [row["task_id"] for row in rows.image_rows(tx)]
    for task_id in task_ids:
        # A gateway knows of an answer only after its next look at its own upstream.
        while httpx.get(f"{service.url}/task/{task_id}/fetch", timeout=60).json()["status"] != "SUCCESS":
            time.sleep(0.05)
    with database.writing() as tx:
        for row in rows.image_rows(tx):
            rows.set_columns(tx, row["id"], status=Status.FAILED.value, reason=Reason.TIMEOUT.value, ended_at=tx.now)
        bill = tx.tables.submissions.update().values(
            settled_at=tx.now, result=Status.FAILED.value, reason=Reason.TIMEOUT.value
        )
        tx.connection.execute(bill)


@pytest.mark.parametrize("dialect", ["novicezk", "trueai", "new-api"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_late_answer_is_taken_through_a_connection_to_the_same_host(
    start: Callable[..., tuple[RunningSimulator, Engine]], database: Database, change: str, dialect: str
) -> None:
    service, engine = start(dialect)
    give_up(service, database)

    settle_once(changed(engine, change))

    assert statuses(database) == [Status.SUCCEEDED] * IMAGES
    assert service.counters()["billed"] == IMAGES
    with database.reading() as tx:
        assert {row["account"] for row in rows.bill(tx)} == {engine.settings.identity}


@pytest.mark.parametrize("gone", [timedelta(), timedelta(hours=late_results.HOURS + 1)])
def test_late_answers_are_left_to_a_connection_that_still_polls_and_not_asked_for_after_a_day(
    start: Callable[..., tuple[RunningSimulator, Engine]], database: Database, gone: timedelta
) -> None:
    service, engine = start()
    if not gone:
        settle_once(engine)
    give_up(service, database)
    let_time_pass(database, gone)
    asked = service.counters()["requests"]

    settle_once(changed(engine, "a new key"))

    assert statuses(database) == [Status.FAILED] * IMAGES
    assert service.counters()["requests"] == asked


def test_what_was_paid_for_stays_with_the_account_that_paid(
    start: Callable[..., tuple[RunningSimulator, Engine]], scope: Scope, database: Database
) -> None:
    _, engine = start()
    later = changed(engine, "a new key")
    later.run(scope, run_id="next")

    with database.reading() as tx:
        assert {row["account"] for row in rows.bill(tx)} == {engine.settings.identity}
    assert accounts_of_rows(database) == {later.settings.identity}


def test_a_submission_that_was_cut_off_is_found_in_the_list(
    start: Callable[..., tuple[RunningSimulator, Engine]], scope: Scope, database: Database
) -> None:
    service, engine = start()
    with database.writing() as tx:
        cut = tx.tables.submissions.update().values(outcome=Outcome.SENT.value, task_id=None, answered_at=None)
        tx.connection.execute(cut)
        for row in rows.image_rows(tx):
            rows.set_columns(tx, row["id"], status=Status.SUBMITTING.value, task_id=None, submitted_at=None)

    _, counts = changed(engine, "a new key").run(scope, run_id="next")

    assert counts.succeeded == IMAGES
    assert service.counters()["billed"] == IMAGES


def test_no_timeout_counts_the_time_in_which_no_connection_asked(
    start: Callable[..., tuple[RunningSimulator, Engine]], database: Database
) -> None:
    _, engine = start(latency=60.0)
    let_time_pass(database, timedelta(hours=20))
    later = changed(engine, "a new key")

    settle_once(later)
    settle_once(later)

    assert statuses(database) == [Status.SUBMITTED] * IMAGES
    assert accounts_of_rows(database) == {later.settings.identity}


def test_what_a_connection_still_polls_is_left_to_it(
    database: Database, s3: S3Client, scope: Scope, simulate: Callable[..., RunningSimulator]
) -> None:
    engine = Engine(database, s3, simulate(dialect="novicezk", latency=60.0, slots=9).url)
    work_on(engine, scope, until=all_submitted)
    let_time_pass(database, timedelta(seconds=orphans.ORPHANED_AFTER / 2))

    settle_once(changed(engine, "a new key"))

    assert accounts_of_rows(database) == {engine.settings.identity}


def test_another_host_that_shows_our_tokens_is_believed_and_one_that_shows_none_is_not(
    start: Callable[..., tuple[RunningSimulator, Engine]], database: Database
) -> None:
    _, engine = start(latency=60.0)
    moved = replace(engine, account={"identity": "https://moved.example:443#studio"})

    settle_once(moved)

    assert accounts_of_rows(database) == {moved.settings.identity}


def test_what_services_were_asked_about_for_a_day_in_vain_is_in_doubt_and_so_are_its_twins(
    start: Callable[..., tuple[RunningSimulator, Engine]],
    simulate: Callable[..., RunningSimulator],
    s3: S3Client,
    bucket: str,
    scope: Scope,
    database: Database,
) -> None:
    service, engine = start()
    put_photos(s3, bucket, range(IMAGES), prefix="copies/")
    elsewhere = replace(engine, url=simulate(dialect="novicezk", latency=0.1).url, key="new")
    copies = Scope(bucket, ("copies/",))
    work_on(elsewhere, copies, whose=origin("copies"), until=lambda now: now.open.sharing == IMAGES)

    seek_for_a_day(elsewhere, hours=20)
    assert statuses(database) == [Status.SUBMITTED] * IMAGES + [Status.PENDING] * IMAGES
    seek_for_a_day(elsewhere, hours=6)

    for one, whose in ((scope, origin()), (copies, origin("copies"))):
        progress, counts = work_on(elsewhere, one, whose=whose)
        assert progress.all_ended
        assert counts.in_doubt == IMAGES
    assert service.counters()["billed"] == IMAGES


def test_time_in_which_no_service_answers_is_no_part_of_that_day(
    start: Callable[..., tuple[RunningSimulator, Engine]],
    simulate: Callable[..., RunningSimulator],
    database: Database,
) -> None:
    _, engine = start()
    away = simulate(dialect="novicezk", scenarios=("reset_on_reads",))

    seek_for_a_day(replace(engine, url=away.url, key="new"), hours=2)

    assert statuses(database) == [Status.SUBMITTED] * IMAGES
    assert times_sought(database) == {None}


def test_a_connection_of_the_account_that_asks_again_finds_what_was_in_doubt_by_then(
    start: Callable[..., tuple[RunningSimulator, Engine]],
    simulate: Callable[..., RunningSimulator],
    scope: Scope,
    database: Database,
) -> None:
    service, engine = start()
    seek_for_a_day(replace(engine, url=simulate(dialect="novicezk").url, key="new"))
    assert statuses(database) == [Status.IN_DOUBT] * IMAGES

    settle_once(engine)
    engine.run(scope, run_id="with the former key")

    assert statuses(database) == [Status.SUCCEEDED] * IMAGES
    assert service.counters()["billed"] == IMAGES


def test_the_first_poll_of_its_own_connection_ends_the_search(
    start: Callable[..., tuple[RunningSimulator, Engine]], simulate: Callable[..., RunningSimulator], database: Database
) -> None:
    _, engine = start(latency=60.0)
    seek_for_a_day(replace(engine, url=simulate(dialect="novicezk").url, key="new"), hours=5)

    settle_once(engine)

    assert times_sought(database) == {None}
    with database.reading() as tx:
        assert read_account(tx, engine.settings.identity).in_flight == IMAGES


def test_a_service_is_asked_ever_more_rarely(
    start: Callable[..., tuple[RunningSimulator, Engine]], simulate: Callable[..., RunningSimulator], database: Database
) -> None:
    _, engine = start()
    elsewhere = replace(engine, url=simulate(dialect="novicezk").url, key="new")
    asked = 0
    with database.writing() as tx:
        ensure_account(tx, elsewhere.settings)
    for _ in range(12 * 60):
        with database.writing() as tx:
            if orphans.may_be_sought(tx, elsewhere.settings.identity):
                sought = orphans.take_turn(tx, elsewhere.settings.identity)
                orphans.note_sought(tx, {one.account for one in sought})
                asked += 1
            rows.let_time_pass(tx, timedelta(minutes=1))

    assert 60 < asked < 110


def test_the_rows_of_a_batch_that_wait_for_such_an_account_are_counted(
    start: Callable[..., tuple[RunningSimulator, Engine]], scope: Scope, database: Database
) -> None:
    _, engine = start(latency=60.0)
    progress, _ = work_on(engine, scope, until=all_submitted)
    let_time_pass(database, LONG)

    with database.reading() as tx:
        found = orphans.accounts_waited_for(tx, progress.batch, None)
        of_its_own = orphans.accounts_waited_for(tx, progress.batch, engine.settings.identity)

    (one,) = found
    assert (one.account, one.rows, one.seconds_left) == (engine.settings.identity, IMAGES, orphans.SOUGHT_FOR)
    assert not of_its_own
