"""Images that were cut in the middle of their POST wait for a proof: how many, how long, and nothing else waits."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from airflow_midjourney.describe.engine.reporting import OtherWaits, waits_in_words
from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.describe.table import submissions
from airflow_midjourney.describe.table.doubt import in_doubt
from airflow_midjourney.describe.table.doubt.unanswered import LOOKED_FOR_AFTER, Unproved, unproved
from airflow_midjourney.describe.table.submissions import PostFacts
from tests.support import rows
from tests.support.batches import all_submitted, put_photos, work_on
from tests.support.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.testing.simulator.serving import RunningSimulator

ACCOUNT = replace(rows.ACCOUNT, submit_deadline=60.0, doubt_grace=120.0)

WHOLE = ACCOUNT.doubt_after + ACCOUNT.absence_confirmed_after


def wait(database: Database, seconds: float) -> None:
    with database.writing() as tx:
        rows.let_time_pass(tx, timedelta(seconds=seconds))
        submissions.doubt_overdue(tx)


def found(database: Database, batch: Batch) -> Unproved | None:
    with database.reading() as tx:
        return unproved(tx, batch, ACCOUNT)


def test_they_are_counted_and_the_time_left_runs_down_until_the_proof(database: Database) -> None:
    with database.writing() as tx:
        batch = rows.open_batch(tx)
        rows.list_images(tx, [rows.listed(key) for key in ("a.jpg", "b.jpg")])
        _, claim = rows.claim_next(tx, batch, "A", ACCOUNT)
    assert found(database, batch) is None

    left = []
    for seconds in (LOOKED_FOR_AFTER + 1, ACCOUNT.doubt_after):
        wait(database, seconds)
        now = found(database, batch)
        assert now is not None
        assert now.images == 1
        left.append(now.seconds_left)
    assert left == pytest.approx([WHOLE - LOOKED_FOR_AFTER - 1, ACCOUNT.absence_confirmed_after], abs=10)

    with database.writing() as tx:
        (doubt,) = in_doubt.unresolved(tx, ACCOUNT.identity)
        in_doubt.note_absent(tx, doubt)
    wait(database, 100.0)
    now = found(database, batch)
    assert now is not None
    assert now.seconds_left == pytest.approx(ACCOUNT.absence_confirmed_after - 100.0, abs=10)

    with database.writing() as tx:
        submissions.not_taken(tx, claim.submit_token, Outcome.NEVER_SENT, PostFacts())
    assert found(database, batch) is None


def test_what_nothing_can_be_proved_of_waits_for_no_proof(database: Database) -> None:
    with database.writing() as tx:
        batch = rows.open_batch(tx)
        rows.list_images(tx, [rows.listed("a.jpg")])
        rows.claim_next(tx, batch, "A", ACCOUNT)
    wait(database, ACCOUNT.doubt_after + 1)
    with database.writing() as tx:
        (doubt,) = in_doubt.unresolved(tx, ACCOUNT.identity)
        in_doubt.cannot_tell(tx, doubt)

    assert found(database, batch) is None


@pytest.mark.parametrize(("seconds", "told"), [(61.2, "62 s"), (250.0, "5 min"), (0.0, "0 s")])
def test_they_are_told_with_the_time_left(seconds: float, told: str) -> None:
    (words,) = waits_in_words("midjourney_default", OtherWaits(Unproved(2, seconds)))

    assert words.startswith("2 had no answer to their submission")
    assert f"for {told} at most" in words


def test_the_operator_submits_the_others_and_does_not_wait(
    database: Database, s3: S3Client, bucket: str, simulate: Callable[..., RunningSimulator]
) -> None:
    put_photos(s3, bucket, range(4))
    scope = Scope(bucket, ("in/",))
    # The first POST is broken off before the service has it: only minutes later that is sure.
    service = simulate(dialect="novicezk", latency=60.0, slots=9, scenarios=("reset_before_submit:first=1",))
    engine = Engine(database, s3, service.url)
    looked_for_after = "airflow_midjourney.describe.table.doubt.unanswered.LOOKED_FOR_AFTER"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(looked_for_after, 0.5)
        progress, _ = work_on(engine, scope, until=all_submitted)

    assert (progress.open.submitting, progress.open.submitted) == (1, 3)
    assert not progress.all_ended
    with database.reading() as tx:
        assert sorted(row["status"] for row in rows.image_rows(tx)) == [Status.SUBMITTED] * 3 + [Status.SUBMITTING]
