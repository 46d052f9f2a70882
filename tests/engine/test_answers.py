"""What the service says about a task, and what becomes of its image."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.describe.engine.reporting import ProgressReport
from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.model.status import Reason, Status
from airflow_midjourney.describe.service import client
from airflow_midjourney.describe.service.tasks import RemoteTask, parse_task
from airflow_midjourney.describe.table import results
from airflow_midjourney.describe.table.accounts import read_account
from airflow_midjourney.describe.table.doubt.orphans import ORPHANED_AFTER
from tests.support import rows
from tests.support.batches import all_submitted, options, put_photos, work_on
from tests.support.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.testing.simulator.serving import RunningSimulator


@pytest.fixture(autouse=True)
def _tries_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "RETRY_PAUSE", 0.05)


@pytest.fixture
def service(simulate: Callable[..., RunningSimulator]) -> RunningSimulator:
    return simulate(dialect="novicezk", latency=0.1, slots=20, queue=20, pause=0.4)


@pytest.fixture
def engine(database: Database, s3: S3Client, service: RunningSimulator) -> Engine:
    return Engine(database, s3, service.url)


@pytest.fixture
def scope(s3: S3Client, bucket: str) -> Scope:
    put_photos(s3, bucket, range(3))
    return Scope(bucket, ("in/",))


def all_rows(engine: Engine) -> list[dict[str, Any]]:
    with engine.database.reading() as tx:
        return rows.image_rows(tx)


def what_became(engine: Engine) -> set[tuple[str, str | None]]:
    return {(row["status"], row["reason"]) for row in all_rows(engine)}


def test_success_with_an_error_sentence_is_a_failure(engine: Engine, scope: Scope, service: RunningSimulator) -> None:
    service.set_scenarios(["false_success"])

    engine.run(scope, options(max_attempts=1))

    assert {status for status, _ in what_became(engine)} == {Status.FAILED}
    assert all(row["prompt_1"] is None and row["prompt_raw"] for row in all_rows(engine))


def test_failure_with_four_prompts_is_a_success(engine: Engine, scope: Scope, service: RunningSimulator) -> None:
    service.set_scenarios(["false_failure"])

    _, counts = engine.run(scope)

    assert (counts.succeeded, counts.billed) == (3, 3)
    assert {row["prompt_count"] for row in all_rows(engine)} == {4}


def test_fewer_than_four_prompts_are_kept_and_counted(engine: Engine, scope: Scope, service: RunningSimulator) -> None:
    service.set_scenarios(["two_prompts"])

    engine.run(scope)

    assert {(row["status"], row["prompt_count"], row["prompt_3"]) for row in all_rows(engine)} == {
        ("succeeded", 2, None)
    }


def test_what_no_database_stores_is_removed_from_prompts(
    engine: Engine, scope: Scope, service: RunningSimulator
) -> None:
    service.set_scenarios(["dirty_text"])

    _, counts = engine.run(scope)

    assert counts.succeeded == 3
    texts = [str(row[name]) for row in all_rows(engine) for name in ("prompt_1", "prompt_4", "prompt_raw")]
    assert not any("\x00" in text or any("\ud800" <= letter <= "\udfff" for letter in text) for text in texts)


@pytest.mark.parametrize(
    ("scenario", "reason", "posts"),
    [
        ("banned_image", Reason.BANNED, 1),
        ("image_denied", Reason.BANNED, 1),
        ("internal_error", Reason.SERVICE_ERROR, 2),
        ("task_timeout", Reason.TIMEOUT, 2),
        ("no_prompts", Reason.UNPARSEABLE, 1),
    ],
)
def test_failures_are_paid_for_again_only_where_that_may_help(
    engine: Engine, scope: Scope, service: RunningSimulator, scenario: str, reason: Reason, posts: int
) -> None:
    service.set_scenarios([scenario])

    _, counts = engine.run(scope, options(max_attempts=2))

    assert (counts.failed, counts.succeeded) == (3, 0)
    assert what_became(engine) == {(Status.FAILED, reason)}
    assert counts.billed == 3 * posts
    with engine.database.reading() as tx:
        assert len(rows.bill(tx)) == counts.billed == service.counters()["accepted"]


def test_a_second_attempt_that_succeeds_leaves_no_trace_of_the_first_but_its_bill(
    engine: Engine, scope: Scope, service: RunningSimulator
) -> None:
    service.set_scenarios(["internal_error:first=3"])

    _, counts = engine.run(scope)

    assert (counts.succeeded, counts.reasons, counts.billed) == (3, {}, 6)
    assert {(row["attempts"], row["detail"]) for row in all_rows(engine)} == {(2, None)}
    with engine.database.reading() as tx:
        assert sorted(entry["result"] for entry in rows.bill(tx)) == ["failed"] * 3 + ["succeeded"] * 3


@pytest.mark.parametrize("scenario", ["stuck_not_start", "stuck_submitted", "hanging_upload"])
def test_a_task_that_never_ends_times_out(
    database: Database, s3: S3Client, scope: Scope, service: RunningSimulator, scenario: str
) -> None:
    service.set_scenarios([scenario])
    engine = Engine(database, s3, service.url, account={"task_timeout": 0.5, "queue_timeout": 0.5})

    engine.run(scope, options(max_attempts=1))

    assert what_became(engine) == {(Status.FAILED, Reason.TIMEOUT)}
    assert all("while the service worked" in row["detail"] for row in all_rows(engine))


def test_a_task_that_vanishes_is_lost_and_sent_again_before_it_fails(
    database: Database, s3: S3Client, scope: Scope, service: RunningSimulator
) -> None:
    service.change(pause=0.0)
    service.set_scenarios(["vanish_after_seconds"])
    engine = Engine(database, s3, service.url, account={"lost_after": 0.3})

    _, counts = engine.run(scope, options(max_attempts=2))

    assert what_became(engine) == {(Status.FAILED, Reason.LOST)}
    assert counts.billed == 6


def test_a_task_that_is_unknown_for_a_moment_is_not_lost(
    engine: Engine, scope: Scope, service: RunningSimulator
) -> None:
    service.set_scenarios(["unknown_at_first"])

    _, counts = engine.run(scope)

    assert (counts.succeeded, counts.billed) == (3, 3)
    assert {row["missing_since"] for row in all_rows(engine)} == {None}


def test_a_task_that_belongs_to_somebody_else_is_not_taken(
    database: Database, s3: S3Client, scope: Scope, service: RunningSimulator
) -> None:
    service.set_scenarios(["foreign_state"])
    engine = Engine(database, s3, service.url, account={"lost_after": 0.3})

    engine.run(scope, options(max_attempts=1))

    assert what_became(engine) == {(Status.FAILED, Reason.LOST)}
    assert all(row["prompt_1"] is None for row in all_rows(engine))


def test_of_two_submissions_with_one_id_each_gets_only_its_own_answer(
    database: Database, s3: S3Client, scope: Scope, service: RunningSimulator
) -> None:
    service.set_scenarios(["id_collision:first=1"])
    engine = Engine(database, s3, service.url, account={"lost_after": 0.3})

    _, counts = engine.run(scope, options(max_attempts=2))

    assert counts.succeeded == 3
    answers = [row["prompt_raw"] for row in all_rows(engine)]
    assert len(set(answers)) == 3


def test_an_id_of_two_submissions_without_a_state_belongs_to_neither(
    database: Database, s3: S3Client, scope: Scope, service: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "parse_task", lambda item: replace(parse_task(item), state=""))
    service.set_scenarios(["id_collision:first=1"])
    engine = Engine(database, s3, service.url, account={"lost_after": 0.3})

    _, counts = engine.run(scope, options(max_attempts=2))

    assert counts.succeeded == 3
    assert len({row["prompt_raw"] for row in all_rows(engine)}) == 3


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(hours=-1)])
def test_a_clock_of_the_service_that_is_wrong_puts_no_timeout_off(
    database: Database,
    s3: S3Client,
    scope: Scope,
    service: RunningSimulator,
    monkeypatch: pytest.MonkeyPatch,
    ahead: timedelta,
) -> None:
    def with_wrong_clock(item: object) -> RemoteTask:
        return replace(parse_task(item), start_time=datetime.now(UTC) + ahead)

    monkeypatch.setattr(client, "parse_task", with_wrong_clock)
    service.set_scenarios(["stuck_submitted"])
    engine = Engine(database, s3, service.url, account={"task_timeout": 0.5, "queue_timeout": 600.0})

    engine.run(scope, options(max_attempts=1))

    assert what_became(engine) == {(Status.FAILED, Reason.TIMEOUT)}


@pytest.mark.parametrize(
    "scenario", ["numeric_result", "result_17_digits", "leading_zero_id", "task_prefix_id", "queued_code"]
)
def test_ids_of_any_form_are_kept_as_text(
    engine: Engine, scope: Scope, service: RunningSimulator, scenario: str
) -> None:
    service.set_scenarios([scenario])

    _, counts = engine.run(scope)

    assert counts.succeeded == 3
    assert {row["task_id"] for row in all_rows(engine)} == {task["id"] for task in service.tasks()}


@pytest.mark.parametrize(
    "scenario", ["no_list_by_condition", "malformed_list_item", "missing_list_id", "list_empty", "list_shuffled"]
)
def test_an_incomplete_list_is_completed_by_asking_for_single_tasks(
    database: Database, s3: S3Client, scope: Scope, service: RunningSimulator, scenario: str
) -> None:
    service.set_scenarios([scenario])
    engine = Engine(database, s3, service.url, account={"lost_after": 0.2})

    _, counts = engine.run(scope)

    assert (counts.succeeded, counts.billed) == (3, 3)


def test_more_tasks_than_are_asked_for_singly_are_not_lost(
    database: Database, s3: S3Client, bucket: str, simulate: Callable[..., RunningSimulator]
) -> None:
    service = simulate(dialect="novicezk", latency=0.6, slots=50, queue=50, scenarios=("list_empty",))
    put_photos(s3, bucket, range(30))
    engine = Engine(database, s3, service.url, account={"lost_after": 0.05, "max_in_flight": 40})

    _, counts = engine.run(Scope(bucket, ("in/",)), options(max_attempts=1))

    assert (counts.succeeded, counts.reasons) == (30, {})


def test_time_in_which_nobody_heard_from_the_service_counts_for_no_timeout(
    database: Database, s3: S3Client, scope: Scope, simulate: Callable[..., RunningSimulator]
) -> None:
    service = simulate(dialect="novicezk", latency=0.1, pause=2.0, slots=9, scenarios=("slow_not_start",))
    engine = Engine(database, s3, service.url, account={"queue_timeout": 60.0})
    work_on(engine, scope, options(max_attempts=1), until=all_submitted)
    with database.writing() as tx:
        rows.let_time_pass(tx, timedelta(hours=12))

    _, counts = engine.run(scope, options(max_attempts=1))

    assert (counts.succeeded, counts.reasons, counts.billed) == (3, {}, 3)
    with database.reading() as tx:
        assert read_account(tx, engine.settings.identity).silence > timedelta(hours=11).total_seconds()


def test_time_in_which_the_service_answered_does(
    database: Database, s3: S3Client, scope: Scope, simulate: Callable[..., RunningSimulator]
) -> None:
    service = simulate(dialect="novicezk", latency=0.1, slots=9, scenarios=("stuck_not_start",))
    engine = Engine(database, s3, service.url, account={"queue_timeout": 60.0})
    work_on(engine, scope, options(max_attempts=1), until=all_submitted)
    with database.writing() as tx:
        rows.let_time_pass(tx, timedelta(hours=12))
        rows.set_account(tx, answered_at=tx.now)

    engine.run(scope, options(max_attempts=1))

    assert what_became(engine) == {(Status.FAILED, Reason.TIMEOUT)}


def test_images_that_wait_for_another_account_are_told(engine: Engine, scope: Scope, service: RunningSimulator) -> None:
    service.change(latency=60.0)
    progress, _ = work_on(engine, scope, until=all_submitted)
    lines: list[str] = []

    async def report_with_a_new_key() -> None:
        async with replace(engine, key="new").worker() as worker:
            await ProgressReport(lines.append).tell(worker, progress)

    asyncio.run(report_with_a_new_key())

    with engine.database.writing() as tx:
        rows.let_time_pass(tx, timedelta(seconds=ORPHANED_AFTER + 1))
    asyncio.run(report_with_a_new_key())

    polled, orphaned = lines
    assert f"3 wait for account {engine.settings.identity}, by which they were sent" in polled
    assert f"3 were sent by account {engine.settings.identity}, which no connection polls any more" in orphaned
    assert "for 24 h more" in orphaned
    assert "'midjourney_default' got a new key, set its extra 'account' to 'anonymous'" in orphaned
