"""Callbacks as services send them, through the real receiver: protocol.md (b) 21 to 24."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from airflow_midjourney.describe.engine import waiting
from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.service.callback_url import digest_of
from airflow_midjourney.describe.table import poll_schedule, results
from airflow_midjourney.describe.table.accounts import read_account
from airflow_midjourney.describe.table.callbacks import mark_called
from airflow_midjourney.web.callbacks import Doorbell, make_receiver
from tests.support import rows
from tests.support.batches import all_submitted, put_photos, work_on, working_on
from tests.support.engine import Engine
from tests.support.receiving import RunningReceiver, running_receiver

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.table.counts import Counts
    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.testing.simulator.serving import RunningSimulator

IMAGES = 3

#: Without callbacks no poll would ask for an answer within this many seconds: a test that ends has been called.
NOT_WITHOUT = 600.0
PATIENCE = 60.0


@dataclass
class Site:
    """A service that calls, our receiver, and an engine that asks when it is called."""

    engine: Engine
    service: RunningSimulator
    receiver: RunningReceiver
    scope: Scope

    def describe(self) -> Counts:
        async def within_patience() -> Counts:
            return (await asyncio.wait_for(working_on(self.engine, self.scope), PATIENCE))[1]

        return asyncio.run(within_patience())

    def rows(self) -> list[dict[str, Any]]:
        with self.engine.database.reading() as tx:
            return rows.image_rows(tx)

    def polls(self) -> int:
        requests: dict[str, int] = self.service.counters()["requests"]
        return sum(number for route, number in requests.items() if route != "submit")

    def pace(self) -> float:
        """The seconds between two polls, as things are."""
        database = self.engine.database
        with database.reading() as tx:
            return float(tx.connection.execute(tx.tables.accounts.select()).mappings().one()["poll_interval"])

    def eventually_called(self, times: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while len(self.receiver.paths) < times:
            assert time.monotonic() < deadline, self.receiver.paths
            time.sleep(0.02)


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "LISTENS_EVERY", 0.1)
    monkeypatch.setattr(poll_schedule, "SHORTEST_CALL_GAP", 0.1)
    monkeypatch.setattr(poll_schedule, "CALL_GAP_OF_MANY", 0.2)
    monkeypatch.setattr(results, "RETRY_PAUSE", 0.05)


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, verify=False, timeout=60) as one:
        yield one


@pytest.fixture
def make_site(
    database: Database, s3: S3Client, bucket: str, simulate: Callable[..., RunningSimulator]
) -> Iterator[Callable[..., Site]]:
    with ExitStack() as stack:

        async def mark(digests: Collection[str]) -> None:
            await database.write(mark_called, digests)

        def make(*scenarios: str, dialect: str = "novicezk", poll_interval: float = NOT_WITHOUT, **facts: Any) -> Site:
            service = simulate(**{"dialect": dialect, "latency": 0.3, "slots": 20, "queue": 20, "pause": 0.4, **facts})
            service.set_scenarios(list(scenarios))
            receiver = stack.enter_context(running_receiver(make_receiver(Doorbell(mark))))
            engine = Engine(
                database, s3, service.url, account={"poll_interval": poll_interval}, callback_url=receiver.url
            )
            put_photos(s3, bucket, range(IMAGES))
            return Site(engine, service, receiver, Scope(bucket, ("in/",)))

        yield make


@pytest.mark.parametrize(
    ("dialect", "scenario"),
    [
        ("novicezk", "happy"),
        ("novicezk", "start_handler_first"),
        ("novicezk", "callbacks_duplicated"),
        ("novicezk", "callbacks_reversed"),
        ("novicezk", "callbacks_already_ended"),
        ("novicezk", "callbacks_failure_after_success"),
        ("novicezk", "callbacks_forged"),
        ("novicezk", "callbacks_late"),
        ("novicezk", "callback_before_answer"),
        ("novicezk", "callbacks_after_lost_wakeup"),
        ("trueai", "happy"),
        ("trueai", "callbacks_duplicated"),
        ("trueai", "callback_before_answer"),
        ("trueai", "ta_partner"),
    ],
)
def test_whatever_comes_in_whatever_order_each_answer_is_taken_once(
    make_site: Callable[..., Site], dialect: str, scenario: str
) -> None:
    site = make_site(scenario, dialect=dialect)

    counts = site.describe()

    assert (counts.succeeded, counts.billed) == (IMAGES, IMAGES)
    assert {row["reason"] for row in site.rows()} == {None}


def test_a_refused_upload_is_known_at_once(make_site: Callable[..., Site]) -> None:
    site = make_site("upload_failed:first=3")

    site.describe()

    assert {row["reason"] for row in site.rows() if row["status"] == "failed"} <= {"service_error"}
    assert {row["status"] for row in site.rows()} <= {"failed", "succeeded"}


@pytest.mark.parametrize(("dialect", "scenarios"), [("novicezk", ["callbacks_none"]), ("new-api", [])])
def test_where_callbacks_are_dropped_it_polls_as_without(
    make_site: Callable[..., Site], dialect: str, scenarios: list[str]
) -> None:
    facts = {"dialect": dialect, "poll_interval": 0.2, "latency": 1.0}
    site = make_site(*[f"{name}:first=100" for name in scenarios], **facts)
    site.service.change(poll_interval=0.3)

    counts = site.describe()

    assert counts.succeeded == IMAGES
    assert site.receiver.paths == []
    assert site.pace() < 2


def test_a_gateway_that_forwards_the_address_is_served_like_the_others(make_site: Callable[..., Site]) -> None:
    site = make_site("gateway_forwards_hooks", dialect="new-api", poll_interval=0.5)
    site.service.change(poll_interval=0.3)

    assert site.describe().succeeded == IMAGES
    site.eventually_called(2 * IMAGES)


def test_after_the_end_a_callback_changes_nothing_and_makes_nobody_ask(
    make_site: Callable[..., Site], client: httpx.Client
) -> None:
    site = make_site("callbacks_duplicated")
    site.describe()
    site.eventually_called(3 * IMAGES)
    before, polls = site.rows(), site.polls()

    for path in [*site.receiver.paths, "/unknown", "/" + "A" * 32]:
        for body in (b"", b'{"id": "1", "status": "FAILURE", "failReason": "forged"}', b"\x00" * 100_000):
            answer = client.post(site.receiver.url + path, content=body)
            assert (answer.status_code, answer.content) == (204, b"")
    time.sleep(1)
    with site.engine.database.reading() as tx:
        assert not read_account(tx, site.engine.settings.identity).called

    assert site.rows() == before
    work_on(site.engine, site.scope)
    assert site.polls() == polls


def test_a_forged_end_of_a_row_on_its_way_only_makes_us_ask(
    make_site: Callable[..., Site], client: httpx.Client
) -> None:
    site = make_site("stuck_submitted")
    work_on(site.engine, site.scope, until=all_submitted)
    site.eventually_called(IMAGES)
    before = site.rows()

    forged = {"id": before[0]["task_id"], "status": "SUCCESS", "prompt": "1\ufe0f\u20e3 forged", "state": "x"}
    for path in site.receiver.paths[:IMAGES] * 10:
        assert client.post(site.receiver.url + path, json=forged).status_code == 204
    time.sleep(1)

    looked_at = {"called_at"}
    for row, was in zip(site.rows(), before, strict=True):
        assert {name for name in row if row[name] != was[name]} <= looked_at


def test_each_submission_has_an_address_of_its_own_and_the_table_does_not_know_it(
    make_site: Callable[..., Site],
) -> None:
    site = make_site()
    site.describe()
    site.eventually_called(2 * IMAGES)

    values = {path.removeprefix("/") for path in site.receiver.paths}
    found = {row["callback_digest"]: row for row in site.rows()}

    assert {digest_of(value) for value in values} == set(found)
    assert len(values) == IMAGES
    for value in values:
        row = found[digest_of(value)]
        assert value not in (row["submit_token"], row["task_id"])
        assert value not in str(row)
