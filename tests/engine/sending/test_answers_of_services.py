"""What each answer of a service to a POST comes to, for the row, the bill and the circuit breaker."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from airflow_midjourney.describe.engine.listing import list_further
from airflow_midjourney.describe.engine.submit import submit_some
from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.model.errors import ServiceDeniedError
from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.describe.table.accounts import AccountState, read_account
from airflow_midjourney.describe.table.batches import open_batch
from tests.support import rows
from tests.support.batches import options, origin, put_photos
from tests.support.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.testing.simulator.serving import RunningSimulator

    MakeEngine = Callable[..., Engine]


@pytest.fixture
def scope(s3: S3Client, bucket: str) -> Scope:
    """One image."""
    put_photos(s3, bucket, [1])
    return Scope(bucket, ("in/",))


@pytest.fixture
def make_engine(database: Database, s3: S3Client, simulate: Callable[..., RunningSimulator]) -> MakeEngine:
    """An engine for a service that plays a scenario; what it takes, it works on for longer than the test takes."""

    def make(scenario: str = "", dialect: str = "novicezk", **account: float) -> Engine:
        simulator = simulate(dialect=dialect, latency=600.0, scenarios=(scenario,) if scenario else ())
        return Engine(database, s3, simulator.url, account=account)

    return make


def send(engine: Engine, scope: Scope) -> None:
    """Have a worker list the scope and send what it finds, once."""

    async def list_and_send() -> None:
        batch = await engine.database.write(open_batch, scope, options(), origin())
        async with engine.worker() as worker:
            await list_further(worker, batch)
            await submit_some(worker, batch)

    asyncio.run(list_and_send())


def what_became(engine: Engine) -> tuple[Status, Outcome, AccountState]:
    with engine.database.reading() as tx:
        (row,), (entry,) = rows.image_rows(tx), rows.bill(tx)
        assert row["reserved_by"] is None
        return Status(row["status"]), Outcome(entry["outcome"]), read_account(tx, engine.settings.identity)


@pytest.mark.parametrize(
    ("scenario", "status", "outcome"),
    [
        ("", Status.SUBMITTED, Outcome.ACCEPTED),
        ("queued_code", Status.SUBMITTED, Outcome.ACCEPTED),
        ("queue_full", Status.PENDING, Outcome.FULL),
        ("http_429_retry_after", Status.PENDING, Outcome.FULL),
        ("no_account", Status.PENDING, Outcome.UNAVAILABLE),
        ("crash_code_9", Status.PENDING, Outcome.UNAVAILABLE),
        ("bad_gateway", Status.SUBMITTING, Outcome.AMBIGUOUS),
        ("reset_before_submit", Status.SUBMITTING, Outcome.AMBIGUOUS),
        ("ambiguous_submit_500", Status.SUBMITTING, Outcome.AMBIGUOUS),
        ("truncated_json", Status.SUBMITTING, Outcome.AMBIGUOUS),
        ("firewall_on_submit", Status.PENDING, Outcome.DENIED),
    ],
)
def test_each_answer_is_written_and_opens_the_breaker_if_it_speaks_against_the_service(
    make_engine: MakeEngine, scope: Scope, scenario: str, status: Status, outcome: Outcome
) -> None:
    engine = make_engine(scenario)

    send(engine, scope)

    found, billed, state = what_became(engine)
    assert (found, billed) == (status, outcome)
    assert (state.blocked_reason is not None) is (outcome in (Outcome.FULL, Outcome.UNAVAILABLE, Outcome.AMBIGUOUS))
    assert (state.submit_failing_since is not None) is (outcome in (Outcome.UNAVAILABLE, Outcome.AMBIGUOUS))


def test_a_post_whose_time_is_over_before_its_last_byte_was_never_sent(make_engine: MakeEngine, scope: Scope) -> None:
    engine = make_engine(doubt_grace=0.0)

    send(engine, scope)

    found, billed, state = what_became(engine)
    assert (found, billed, state.blocked_reason) == (Status.PENDING, Outcome.NEVER_SENT, None)


def test_no_credit_stops_the_run_when_the_answer_is_written(make_engine: MakeEngine, scope: Scope) -> None:
    engine = make_engine("no_credit", dialect="new-api")

    with pytest.raises(ServiceDeniedError):
        send(engine, scope)

    found, billed, _ = what_became(engine)
    assert (found, billed) == (Status.PENDING, Outcome.DENIED)
