"""What a cap left over: later runs of the same task take it up after their own images, others never do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from airflow_midjourney.describe.engine.refusals import denials
from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.model.errors import ObjectDeniedError
from airflow_midjourney.describe.model.status import BotType, Reason, Status
from airflow_midjourney.describe.storage.objects import ImageStore
from airflow_midjourney.testing.simulator.serving import UNTIL_HURRIED
from tests.support.batches import options, origin, put_photos, work_on

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.engine.progress import Progress
    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.engine import Engine


@pytest.fixture
def yesterday(bucket: str) -> Scope:
    return Scope(bucket, ("day-1/",))


@pytest.fixture
def today(bucket: str) -> Scope:
    return Scope(bucket, ("day-2/",))


@pytest.fixture
def left_over(engine: Engine, s3: S3Client, service: RunningSimulator, yesterday: Scope, today: Scope) -> Engine:
    """A run that paid for two of its six images, and four new images since."""
    put_photos(s3, yesterday.bucket, range(6), "day-1/")
    work_on(engine, yesterday, options(max_submissions=2), origin("day-1"))
    put_photos(s3, today.bucket, range(10, 14), "day-2/")
    # Its own images are long enough on their way for others to follow.
    service.change(latency=1.0)
    return engine


def ending_when(service: RunningSimulator, happened: Callable[[Progress], bool]) -> Callable[[Progress], bool]:
    """Wait for the end of a run whose images are on their way until something has happened."""
    service.change(latency=UNTIL_HURRIED)

    def has_ended(progress: Progress) -> bool:
        if happened(progress):
            service.hurry()
        return progress.all_ended

    return has_ended


def without(prefix: str, read: Callable[..., Any]) -> Callable[..., Any]:
    """Make a way to read that is denied what is under a prefix."""

    def reading(store: ImageStore, image: Any, *note: Any) -> Any:
        if image.key.startswith(prefix):
            raise ObjectDeniedError(f"S3 denies access to {image.uri}", http_status=403)
        return read(store, image, *note)

    return reading


def succeeded(engine: Engine) -> dict[str, int]:
    images = engine.database.tables.images.c
    with engine.database.reading() as tx:
        keys = tx.connection.execute(select(images.key).where(images.status == Status.SUCCEEDED)).scalars().all()
    return {day: sum(key.startswith(day) for key in keys) for day in ("day-1", "day-2")}


def test_the_next_run_sends_its_own_images_and_then_what_was_left_over_and_ends_with_its_own(
    left_over: Engine, today: Scope, service: RunningSimulator
) -> None:
    until = ending_when(service, lambda now: now.account.in_flight == 8)

    progress, counts = work_on(left_over, today, options(), origin("day-2"), until)

    assert succeeded(left_over)["day-2"] == 4
    assert progress.all_ended
    assert counts.succeeded == 4
    assert service.counters()["billed"] == 10


def test_a_run_with_nothing_of_its_own_describes_all_that_was_left_over(
    left_over: Engine, bucket: str, service: RunningSimulator
) -> None:
    left_over.account |= {"max_in_flight": 1}

    progress, _ = work_on(left_over, Scope(bucket, ("day-3/",)), options(), origin("day-3"))

    assert succeeded(left_over) == {"day-1": 6, "day-2": 0}
    assert progress.all_ended
    assert service.counters()["billed"] == 6


def test_its_own_images_come_first(left_over: Engine, today: Scope, service: RunningSimulator) -> None:
    until = ending_when(service, lambda now: now.account.in_flight == 5)

    progress, counts = work_on(left_over, today, options(max_submissions=5), origin("day-2"), until)

    assert succeeded(left_over)["day-2"] == 4
    assert not progress.capped
    assert counts.billed == 5


def test_what_a_run_has_left_that_is_not_over_is_its_own(
    left_over: Engine, today: Scope, service: RunningSimulator
) -> None:
    left_over.running |= {"day-1"}

    work_on(left_over, today, options(), origin("day-2"))

    assert service.counters()["billed"] == 6


@pytest.mark.parametrize("changed", [{"mj_conn_id": "another"}, {"aws_conn_id": "another"}])
def test_what_was_left_over_is_not_sent_through_another_connection(
    left_over: Engine, today: Scope, service: RunningSimulator, changed: dict[str, str]
) -> None:
    work_on(left_over, today, options(**changed), origin("day-2"))

    assert service.counters()["billed"] == 6


def test_what_was_left_over_in_another_bucket_stays_there(
    left_over: Engine, s3: S3Client, service: RunningSimulator
) -> None:
    s3.create_bucket(Bucket="another-bucket")
    put_photos(s3, "another-bucket", range(20, 22), "day-2/")

    _, counts = work_on(left_over, Scope("another-bucket", ("day-2/",)), options(), origin("day-2"))

    assert counts.succeeded == 2
    assert service.counters()["billed"] == 4


def test_images_that_hang_in_the_backlog_keep_no_run(
    left_over: Engine, today: Scope, service: RunningSimulator
) -> None:
    def then_hang(progress: Progress) -> bool:
        if progress.open.submitted == 4:
            service.set_scenarios(["stuck_submitted"])
        return progress.account.in_flight == 8

    progress, counts = work_on(left_over, today, options(), origin("day-2"), ending_when(service, then_hang))

    assert progress.all_ended
    assert counts.succeeded == 4
    assert progress.account.in_flight == 4


def test_a_backlog_that_cannot_be_read_any_more_is_logged_and_fails_no_run(
    left_over: Engine,
    today: Scope,
    service: RunningSimulator,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(denials, "DENIED_IN_A_ROW", 2)
    monkeypatch.setattr(ImageStore, "read", without("day-1/", ImageStore.read))
    until = ending_when(service, lambda _: "S3 gave none of the latest" in caplog.text)

    progress, counts = work_on(left_over, today, options(), origin("day-2"), until)

    assert progress.all_ended
    assert counts.succeeded == 4
    assert "What earlier runs left over stays where it is" in caplog.text
    assert "S3 gave none of the latest" in caplog.text


def test_a_backlog_outside_allowed_uris_is_rejected_and_fails_no_run(
    left_over: Engine, today: Scope, service: RunningSimulator
) -> None:
    left_over.store["allowed_uris"] = (f"s3://{today.bucket}/day-2/*",)
    until = ending_when(service, lambda _: len(rejected(left_over)) == 4)

    progress, counts = work_on(left_over, today, options(), origin("day-2"), until)

    assert progress.all_ended
    assert counts.succeeded == 4
    assert rejected(left_over) == [Reason.NOT_ALLOWED] * 4


def rejected(engine: Engine) -> list[str | None]:
    images = engine.database.tables.images.c
    with engine.database.reading() as tx:
        query = select(images.reason).where(images.status == Status.REJECTED)
        return list(tx.connection.execute(query).scalars().all())


def test_with_none_it_is_left_where_it_is(left_over: Engine, today: Scope) -> None:
    progress, _ = work_on(left_over, today, options(backlog="none"), origin("day-2"))

    assert succeeded(left_over) == {"day-1": 2, "day-2": 4}
    assert not progress.capped


def test_what_another_dag_left_over_is_not_touched(left_over: Engine, today: Scope) -> None:
    work_on(left_over, today, options(), origin("day-2", dag_id="another_dag"))

    assert succeeded(left_over) == {"day-1": 2, "day-2": 4}


def test_what_was_left_over_is_not_sent_to_another_bot(
    left_over: Engine, today: Scope, service: RunningSimulator
) -> None:
    niji = Scope(today.bucket, today.prefixes, bot_type=BotType.NIJI_JOURNEY)

    work_on(left_over, niji, options(), origin("day-2"))

    assert succeeded(left_over) == {"day-1": 2, "day-2": 4}
    assert service.counters()["billed"] == 6


def test_left_over_images_are_described_once_however_many_runs_follow(
    left_over: Engine, today: Scope, yesterday: Scope, service: RunningSimulator
) -> None:
    for run_id in ("day-2", "day-3", "day-1"):
        work_on(left_over, yesterday if run_id == "day-1" else today, options(), origin(run_id))

    assert service.counters()["billed"] == 10
