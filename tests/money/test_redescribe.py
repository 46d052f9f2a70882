"""Describing again on purpose: once per batch however often it is retried, and never at the cost of what is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from airflow_midjourney.describe.engine import listing
from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.describe.table import results
from tests.support.batches import options, origin, put_photos, work_on

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.model.batch import Scope
    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.engine import Engine


def rows(engine: Engine) -> list[dict[str, Any]]:
    images = engine.database.tables.images
    with engine.database.reading() as tx:
        return [dict(row) for row in tx.connection.execute(select(images).order_by(images.c.id)).mappings()]


def fail_rows(engine: Engine, number: int, status: Status = Status.FAILED) -> None:
    """Let the first rows have ended badly."""
    images = engine.database.tables.images
    with engine.database.writing() as tx:
        ids = tx.connection.execute(select(images.c.id).order_by(images.c.id).limit(number)).scalars().all()
        tx.connection.execute(images.update().where(images.c.id.in_(ids)).values(status=status.value, ended_at=tx.now))


@pytest.fixture
def described(engine: Engine, scope: Scope, s3: S3Client) -> Engine:
    """Six images that have their prompts."""
    put_photos(s3, scope.bucket, range(6))
    work_on(engine, scope)
    return engine


@pytest.mark.parametrize("status", [Status.FAILED, Status.IN_DOUBT])
def test_what_ended_badly_is_described_once_more_per_batch(
    described: Engine, scope: Scope, service: RunningSimulator, status: Status
) -> None:
    fail_rows(described, 2, status)
    again = options(redescribe=status.value)

    _, counts = work_on(described, scope, again, origin("again"))
    work_on(described, scope, again, origin("again"))

    assert counts.succeeded == 2
    assert {row["status"] for row in rows(described)} == {Status.SUCCEEDED}
    assert service.counters()["billed"] == 8


def test_what_fails_again_is_described_again_by_another_run_but_not_by_a_clear(
    described: Engine, scope: Scope, service: RunningSimulator
) -> None:
    fail_rows(described, 2)
    service.set_scenarios(["banned_image"])
    again = options(redescribe="failed")

    work_on(described, scope, again, origin("again"))
    _, cleared = work_on(described, scope, again, origin("again"))
    assert service.counters()["billed"] == 8
    assert cleared.failed == 2
    _, counts = work_on(described, scope, again, origin("another"))

    assert service.counters()["billed"] == 10
    assert counts.failed == 2


def test_a_clear_after_another_run_has_described_all_again_pays_for_nothing(
    described: Engine, scope: Scope, service: RunningSimulator
) -> None:
    again = options(redescribe="all")
    work_on(described, scope, again, origin("first"))
    work_on(described, scope, again, origin("second"))
    assert service.counters()["billed"] == 18

    work_on(described, scope, again, origin("first"))
    work_on(described, scope, again, origin("second"))

    assert service.counters()["billed"] == 18


def test_images_that_are_new_to_a_batch_that_describes_all_again_are_paid_for_once(
    engine: Engine, scope: Scope, s3: S3Client, service: RunningSimulator
) -> None:
    put_photos(s3, scope.bucket, range(4))

    work_on(engine, scope, options(redescribe="all"))
    work_on(engine, scope, options(redescribe="all"))

    assert service.counters()["billed"] == 4


def test_old_prompts_stay_until_new_ones_are_committed(
    described: Engine, scope: Scope, service: RunningSimulator
) -> None:
    before = [(row["prompt_1"], row["prompt_raw"], row["prompt_count"]) for row in rows(described)]
    capped = options(redescribe="all", max_submissions=0)

    work_on(described, scope, capped, origin("again"))
    waiting = rows(described)
    assert {row["status"] for row in waiting} == {Status.PENDING}
    assert [(row["prompt_1"], row["prompt_raw"], row["prompt_count"]) for row in waiting] == before

    service.set_scenarios(["false_success"])
    work_on(described, scope, options(redescribe="all"), origin("again"))
    failed = rows(described)
    assert {row["status"] for row in failed} == {Status.FAILED}
    assert [(row["prompt_1"], row["prompt_raw"], row["prompt_count"]) for row in failed] == before

    service.set_scenarios(["two_prompts"])
    work_on(described, scope, options(redescribe="failed"), origin("third"))
    assert {(row["status"], row["prompt_count"], row["prompt_3"]) for row in rows(described)} == {
        (Status.SUCCEEDED, 2, None)
    }


@pytest.mark.parametrize("page_size", [1000, 2], ids=["one page", "many pages"])
def test_describing_all_again_costs_one_submission_per_distinct_bytes(
    engine: Engine,
    scope: Scope,
    s3: S3Client,
    service: RunningSimulator,
    monkeypatch: pytest.MonkeyPatch,
    page_size: int,
) -> None:
    put_photos(s3, scope.bucket, range(3))
    put_photos(s3, scope.bucket, range(3), "in/twins/")
    work_on(engine, scope)
    assert service.counters()["billed"] == 3
    monkeypatch.setattr(listing, "LOOK_AHEAD", page_size)
    list_page = engine_list_page(monkeypatch, page_size)

    _, counts = work_on(engine, scope, options(redescribe="all"), origin("again"))

    assert list_page
    assert (counts.succeeded, counts.shared) == (6, 3)
    assert service.counters()["billed"] == 6


def engine_list_page(monkeypatch: pytest.MonkeyPatch, page_size: int) -> list[int]:
    """Let listings come in pages of this size."""
    from airflow_midjourney.describe.storage.objects import ImageStore

    pages: list[int] = []
    whole = ImageStore.list_page

    def list_page(self: ImageStore, *args: Any, **kwargs: Any) -> Any:
        pages.append(page_size)
        return whole(self, *args, **{**kwargs, "page_size": page_size})

    monkeypatch.setattr(ImageStore, "list_page", list_page)
    return pages


def test_a_curable_failure_is_paid_for_max_attempts_times_and_no_more(
    engine: Engine, scope: Scope, s3: S3Client, service: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "RETRY_PAUSE", 0.1)
    service.set_scenarios(["task_timeout"])
    put_photos(s3, scope.bucket, range(3))

    _, counts = work_on(engine, scope, options(max_attempts=3))
    _, cleared = work_on(engine, scope, options(max_attempts=3))

    assert (counts.failed, cleared.failed) == (3, 3)
    assert service.counters()["billed"] == 9


def test_a_rejected_image_that_is_back_is_described_after_all(
    described: Engine, scope: Scope, service: RunningSimulator
) -> None:
    """It cost nothing before, so it needs no order."""
    images = described.database.tables.images
    with described.database.writing() as tx:
        gone: dict[str, str | None] = {"status": Status.REJECTED.value, "reason": "missing", "prompt_count": None}
        gone |= dict.fromkeys(("content_sha256", "task_id", "submit_token"))
        first = select(images.c.id).order_by(images.c.id).limit(1).scalar_subquery()
        tx.connection.execute(images.update().where(images.c.id == first).values(**gone, ended_at=tx.now))

    progress, counts = work_on(described, scope, options(), origin("later"))

    assert progress.batch.listed.reopened == 1
    assert counts.succeeded == 1
    assert service.counters()["billed"] == 7
