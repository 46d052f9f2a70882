"""Each fault of the service alone: everything ends, with prompts or with the right reason, and is paid for once."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from airflow_midjourney.describe.engine.waiting import WORTH_DEFERRING, expected_wait, worth_waking
from airflow_midjourney.describe.model.errors import BatchError, ServiceDeniedError, ServiceUnavailableError
from airflow_midjourney.describe.model.status import Reason, Status
from airflow_midjourney.describe.storage.objects import ImageStore
from airflow_midjourney.describe.table import accounts
from airflow_midjourney.describe.table.accounts import read_account
from airflow_midjourney.testing.simulator.serving import UNTIL_HURRIED
from tests.support.batches import all_submitted, options, origin, put_photos, work_on, working_on
from tests.support.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.model.batch import Scope
    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.testing.simulator.serving import RunningSimulator

PHOTOS = 8

PASSING = (
    "http_429_empty:first=2",
    "http_429_retry_after:first=2",
    "queue_full:first=2",
    "no_account:first=1",
    "crash_code_9:first=1",
    "http_500_spring:first=2",
    "bad_gateway:first=2",
    "reset_before_submit:first=2",
    "ambiguous_submit_500:first=2",
    "ambiguous_submit_504:first=2",
    "ambiguous_submit_timeout:first=2",
    "truncated_json:first=2",
    "empty_200:first=2",
    "slow_submit:first=3",
    "slow_reads:first=3",
    "http_500_on_reads:first=2",
    "http_429_on_reads:first=2",
    "reset_on_reads:first=2",
    "outage:first=3",
    "malformed_list_item:first=5",
    "missing_list_id:first=5",
    "list_duplicates",
    "list_shuffled",
    "no_list_by_condition",
    "unknown_at_first",
    "id_collision:first=1",
)


def rows(database: Database) -> list[dict[str, Any]]:
    images = database.tables.images
    with database.reading() as tx:
        return [dict(row) for row in tx.connection.execute(select(images).order_by(images.c.id)).mappings()]


def set_account(database: Database, **values: Any) -> None:
    with database.writing() as tx:
        tx.connection.execute(tx.tables.accounts.update().values(**values))


@pytest.mark.parametrize("fault", PASSING)
@pytest.mark.usefixtures("_short_pauses")
def test_a_fault_that_passes_leaves_every_image_with_prompts_and_one_bill(
    engine: Engine, scope: Scope, s3: S3Client, service: RunningSimulator, fault: str
) -> None:
    put_photos(s3, scope.bucket, range(PHOTOS))
    engine.account |= {"lost_after": 0.5}
    engine.timeout = 2.0 if "timeout" in fault else engine.timeout
    service.set_scenarios([fault])

    _, counts = work_on(engine, scope)

    assert (counts.succeeded, counts.in_doubt, counts.failed) == (PHOTOS, 0, 0)
    billed = sorted(image["billed"] for image in service.counters()["images"].values())
    # Two submissions under one id: the service has overwritten the first, so its answer is lost there for good.
    assert billed == [1] * (PHOTOS - 1) + [2 if "collision" in fault else 1]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("banned_image", Reason.BANNED),
        ("image_denied", Reason.BANNED),
        ("false_success", Reason.UNPARSEABLE),
        ("no_prompts", Reason.UNPARSEABLE),
        ("http_413", Reason.TOO_LARGE),
    ],
)
@pytest.mark.usefixtures("_short_pauses")
def test_an_image_that_cannot_be_described_says_why_and_the_others_go_on(
    engine: Engine, scope: Scope, s3: S3Client, service: RunningSimulator, fault: str, reason: Reason
) -> None:
    put_photos(s3, scope.bucket, range(20))
    service.set_scenarios([f"{fault}:share=0.2"])

    _, counts = work_on(engine, scope)

    assert 0 < counts.failed < 20
    assert counts.reasons == {reason.value: counts.failed}
    assert counts.succeeded == 20 - counts.failed


@pytest.mark.parametrize("fault", ["crash_code_9", "http_500_spring"])
@pytest.mark.usefixtures("_short_pauses")
def test_an_image_that_the_service_never_takes_does_not_stop_the_others(
    engine: Engine, scope: Scope, s3: S3Client, service: RunningSimulator, fault: str
) -> None:
    # Few go side by side, and none of the last is hit: with nothing else left to take, no process could tell the image
    # from the service.
    engine.account |= {"max_in_flight": 3}
    # With a task from before, the service's list proves that it has taken none of the images it answers with 500.
    put_photos(s3, scope.bucket, [11])
    work_on(engine, scope, whose=origin("before"))
    put_photos(s3, scope.bucket, range(11))
    service.set_scenarios([f"{fault}:share=0.15"])

    _, counts = work_on(engine, scope)

    assert 0 < counts.failed < 6
    assert counts.reasons == {Reason.SERVICE_ERROR.value: counts.failed}
    assert counts.succeeded == 11 - counts.failed
    assert service.counters()["billed"] == counts.succeeded + 1


@pytest.mark.parametrize("share", [0.2, 0.5])
@pytest.mark.parametrize(("fault", "status"), [("firewall_on_submit", 403), ("unauthorised_on_submit", 401)])
@pytest.mark.usefixtures("_short_pauses")
def test_images_that_a_firewall_answers_with_401_or_403_are_refused_and_the_others_go_on(
    engine: Engine, scope: Scope, s3: S3Client, service: RunningSimulator, fault: str, status: int, share: float
) -> None:
    engine.account |= {"max_in_flight": 3}
    put_photos(s3, scope.bucket, range(20))
    service.set_scenarios([f"{fault}:share={share}"])

    _, counts = work_on(engine, scope)

    assert 0 < counts.failed < 20
    assert counts.reasons == {Reason.REFUSED.value: counts.failed}
    assert counts.succeeded == 20 - counts.failed
    assert service.counters()["billed"] == counts.succeeded
    details = {row["detail"] for row in rows(engine.database) if row["status"] == Status.FAILED}
    assert all(f"HTTP {status}" in detail for detail in details)


@pytest.mark.parametrize("photos", [1, 30])
@pytest.mark.parametrize(
    ("fault", "cure"), [("firewall_on_submit", "firewall"), ("unauthorised_on_submit", "password field")]
)
@pytest.mark.usefixtures("_short_pauses")
def test_a_401_or_403_that_every_image_gets_stops_the_run_and_leaves_all_pending(
    engine: Engine, scope: Scope, s3: S3Client, service: RunningSimulator, fault: str, cure: str, photos: int
) -> None:
    put_photos(s3, scope.bucket, range(photos))
    service.set_scenarios([fault])

    with pytest.raises(ServiceDeniedError, match=cure):
        work_on(engine, scope)

    assert {row["status"] for row in rows(engine.database)} == {Status.PENDING}
    assert service.counters()["requests"]["submit"] <= 10 + 16


def test_a_service_that_is_away_when_a_run_starts_is_one_error_at_once(
    engine: Engine, scope: Scope, s3: S3Client, service: RunningSimulator
) -> None:
    put_photos(s3, scope.bucket, range(2))
    service.set_scenarios(["outage:first=6"])

    with pytest.raises(ServiceUnavailableError, match="midjourney_default") as stopped:
        work_on(engine, scope)
    left = [(row["status"], row["reserved_by"]) for row in rows(engine.database)]
    _, counts = work_on(engine, scope)

    assert stopped.value.retry_helps
    assert left == [(Status.PENDING, None)] * 2
    assert counts.succeeded == 2


def test_a_gateways_web_page_in_place_of_answers_is_waited_out(
    engine: Engine, scope: Scope, s3: S3Client, service: RunningSimulator
) -> None:
    put_photos(s3, scope.bucket, range(PHOTOS))
    service.change(latency=UNTIL_HURRIED)
    work_on(engine, scope, until=all_submitted)
    service.set_scenarios(["outage:first=6"])
    service.hurry()

    _, counts = work_on(engine, scope)

    assert counts.succeeded == PHOTOS
    assert service.counters()["billed"] == PHOTOS


def test_a_pause_that_the_service_asks_for_is_kept_by_the_whole_account(
    engine: Engine, scope: Scope, s3: S3Client, service: RunningSimulator
) -> None:
    put_photos(s3, scope.bucket, range(1))
    service.set_scenarios(["http_429_retry_after"])

    progress, _ = work_on(engine, scope, until=lambda now: now.account.blocked_until is not None)

    blocked_for = progress.account.blocked_until - progress.account.blocked_at  # type: ignore[operator]
    assert blocked_for == timedelta(seconds=2)
    while_it_lasts = replace(progress.account, now=progress.account.blocked_until - timedelta(seconds=0.1))
    assert while_it_lasts.room(engine.settings) == 0
    assert progress.account.submit_failing_since is None


def test_a_full_queue_is_tried_less_and_less_often_by_one_worker_that_reads_an_image_for_it(
    engine: Engine, scope: Scope, s3: S3Client, service: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "FIRST_PAUSE", 0.2)
    # What a busy machine holds up after its claim is sent all the same.
    engine.account |= {"doubt_grace": 60.0}
    put_photos(s3, scope.bucket, range(3))
    service.set_scenarios(["queue_full"])
    reads: list[str] = []
    read = ImageStore.read

    def counting(store: ImageStore, image: Any, *note: Any) -> Any:
        reads.append(image.key)
        return read(store, image, *note)

    monkeypatch.setattr(ImageStore, "read", counting)

    def posts() -> int:
        return int(service.counters()["requests"].get("submit", 0))

    async def two_workers() -> list[Any]:
        runs = [working_on(engine, scope, whose=origin(run), until=lambda _: posts() >= 3 + 6) for run in "ab"]
        return await asyncio.gather(*runs)

    began = time.monotonic()
    (progress, _), _ = asyncio.run(two_workers())

    # The first three go side by side. A pause is half as long as the queue has been full, or 0.2 s; 15 % less, at most.
    assert time.monotonic() - began > 1.4
    assert len(reads) <= posts() + 3
    assert progress.account.blocked_reason == 'queue full (it said: "队列已满，请稍后尝试")'


def test_a_task_that_only_waits_for_room_may_leave_its_worker(
    engine: Engine, scope: Scope, s3: S3Client, service: RunningSimulator
) -> None:
    engine.account |= {"doubt_grace": 60.0}
    put_photos(s3, scope.bucket, range(3))
    service.set_scenarios(["queue_full"])
    work_on(engine, scope, until=lambda now: now.account.blocked_until is not None)
    set_account(engine.database, blocked_since=datetime.now(UTC) - timedelta(hours=1), blocked_until=None)

    progress, _ = work_on(engine, scope, until=lambda now: now.account.blocked_until is not None)

    assert progress.account.blocked_until is not None
    assert expected_wait(progress, progress.account.now) > WORTH_DEFERRING
    assert not worth_waking(progress, 12)


def test_ten_alike_failures_stop_the_run_and_leave_the_rest_pending(
    engine: Engine, scope: Scope, s3: S3Client, service: RunningSimulator
) -> None:
    put_photos(s3, scope.bucket, range(40))
    service.set_scenarios(["captcha"])

    with pytest.raises(BatchError, match="latest 10 images all failed with 'service_error'"):
        work_on(engine, scope)

    assert service.counters()["billed"] < 40
    assert all(row["status"] != Status.FAILED for row in rows(engine.database))


@pytest.mark.parametrize("what", ["submit", "poll"])
def test_five_minutes_of_nothing_but_failures_stop_the_run(
    engine: Engine, scope: Scope, s3: S3Client, service: RunningSimulator, what: str
) -> None:
    put_photos(s3, scope.bucket, range(4))
    service.change(latency=UNTIL_HURRIED)
    # What is left to send is asked for first, and a service that does not answer then is an error at once.
    sent = 2 if what == "submit" else 4
    work_on(engine, scope, options(max_submissions=sent), until=all_submitted)
    service.set_scenarios(["no_account"] if what == "submit" else ["http_500_on_reads"])
    database = engine.database

    def let_five_minutes_pass(progress: Any) -> bool:
        state = progress.account
        since = state.submit_failing_since if what == "submit" else state.poll_failing_since
        if since is not None:
            long_ago = state.now - timedelta(seconds=400)
            set_account(
                database, **{f"{what}_failing_since": long_ago, "next_poll_at": long_ago, "blocked_until": None}
            )
            with database.writing() as tx:
                tx.connection.execute(tx.tables.batches.update().values(tried_at=long_ago))
        return False

    with pytest.raises(ServiceUnavailableError, match=r"nothing but fail for five minutes.*Check host and port"):
        work_on(engine, scope, until=let_five_minutes_pass)

    left = sorted(row["status"] for row in rows(database))
    assert left == [Status.PENDING] * (4 - sent) + [Status.SUBMITTED] * sent


def test_a_try_after_such_a_stop_has_five_minutes_of_its_own(
    engine: Engine, scope: Scope, s3: S3Client, service: RunningSimulator
) -> None:
    put_photos(s3, scope.bucket, range(3))
    work_on(engine, scope, options(max_submissions=1))
    with engine.database.reading() as tx:
        long_ago = read_account(tx, engine.settings.identity).now - timedelta(hours=1)
    set_account(
        engine.database,
        submit_failing_since=long_ago,
        blocked_at=long_ago + timedelta(minutes=6),
        blocked_reason="away",
    )

    _, counts = work_on(engine, scope)

    assert counts.succeeded == 3


@pytest.mark.parametrize("dialect", ["novicezk", "trueai", "new-api"])
def test_a_wrong_key_costs_two_requests_and_nothing_else(
    database: Database,
    scope: Scope,
    s3: S3Client,
    simulate: Callable[..., RunningSimulator],
    dialect: str,
) -> None:
    put_photos(s3, scope.bucket, range(PHOTOS))
    simulator = simulate(dialect=dialect, key="right", scenarios=("unauthorised_text",) if dialect == "trueai" else ())
    engine = Engine(database, s3, simulator.url, key="wrong")

    with pytest.raises(ServiceDeniedError, match="midjourney_default"):
        work_on(engine, scope)

    requests = simulator.counters()["requests"]
    assert requests.get("submit", 0) == 0
    assert 1 <= sum(requests.values()) <= 2
    assert {row["status"] for row in rows(database)} == {Status.PENDING}


def test_a_key_that_stops_working_leaves_unsent_images_pending(
    engine: Engine, scope: Scope, s3: S3Client, service: RunningSimulator
) -> None:
    put_photos(s3, scope.bucket, range(PHOTOS))
    service.change(latency=UNTIL_HURRIED)
    work_on(engine, scope, options(max_submissions=3), until=all_submitted)
    service.change(latency=0.05)
    service.set_scenarios(["unauthorised_empty"])

    with pytest.raises(ServiceDeniedError):
        work_on(engine, scope)
    assert {row["status"] for row in rows(engine.database)} == {Status.PENDING, Status.SUBMITTED}
    assert service.counters()["requests"]["submit"] <= 3 + 16

    service.set_scenarios(["happy"])
    service.hurry()
    set_account(engine.database, next_poll_at=rows(engine.database)[0]["created_at"])
    _, counts = work_on(engine, scope)
    assert counts.succeeded == PHOTOS
    assert service.counters()["billed"] == PHOTOS


@pytest.mark.parametrize("dialect", ["novicezk", "trueai", "new-api"])
@pytest.mark.usefixtures("_short_pauses")
def test_a_failure_after_the_last_submit_still_ends_with_prompts(
    database: Database,
    scope: Scope,
    s3: S3Client,
    simulate: Callable[..., RunningSimulator],
    dialect: str,
) -> None:
    """The operator has gone home by then; the sensor sends the image again."""
    put_photos(s3, scope.bucket, range(3))
    scenarios = ("slow_work:first=3", "task_timeout:first=1")
    simulator = simulate(dialect=dialect, latency=0.1, pause=UNTIL_HURRIED, poll_interval=0.1, scenarios=scenarios)
    engine = Engine(database, s3, simulator.url)

    submitted, _ = work_on(engine, scope, until=all_submitted)
    assert submitted.open.submitted == 3
    simulator.hurry()
    _, counts = work_on(engine, scope, whose=origin())

    assert (counts.succeeded, counts.billed) == (3, 4)
    assert sorted(row["attempts"] for row in rows(database)) == [1, 1, 2]
