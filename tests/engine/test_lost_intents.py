"""Intents that the database has lost, after a crash or a failover: the answer still finds its place."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.describe.engine.advance import advance
from airflow_midjourney.describe.engine.answers.posts import Posted, record_posts
from airflow_midjourney.describe.model.batch import BatchOptions, Origin, Scope
from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.model.status import Reason, Status
from airflow_midjourney.describe.service.submit_response import Accepted, Ambiguous, Full, Refused
from airflow_midjourney.describe.table import leases, submissions
from airflow_midjourney.describe.table.batches import open_batch
from airflow_midjourney.describe.table.claims import ClaimResult
from airflow_midjourney.describe.table.doubt import late_results
from airflow_midjourney.describe.table.doubt.lost_intents import NO_ROW
from airflow_midjourney.describe.table.results import RemoteTimes
from tests.support import rows
from tests.support.batches import put_photos
from tests.support.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.service.submit_response import SubmitOutcome
    from airflow_midjourney.describe.table.claims import Claim
    from airflow_midjourney.describe.table.database import Database, Transaction
    from airflow_midjourney.testing.simulator.serving import RunningSimulator

TAKEN = Accepted("0123", 200, 1)


@dataclass
class LostCommit:
    """A worker's claim of the one image there is, and the table without it."""

    database: Database
    claim: Claim
    batch: Batch

    def answer(self, outcome: SubmitOutcome) -> None:
        """Record what the service said to its POST, twice as after a commit that went unheard."""
        for _ in range(2):
            with self.database.writing() as tx:
                record_posts(tx, rows.ACCOUNT, [Posted(self.claim, outcome, 2.0)])

    def claim_elsewhere(self) -> Claim:
        """Have another worker claim the image, which waits as if it had never been claimed."""
        with self.database.writing() as tx:
            result, other = rows.claim_next(tx, self.batch, "its bytes")
        assert result is ClaimResult.CLAIMED
        return other

    @property
    def row(self) -> dict[str, Any]:
        with self.database.reading() as tx:
            (row,) = rows.image_rows(tx)
        return row

    @property
    def bill(self) -> list[tuple[str, str | None]]:
        with self.database.reading() as tx:
            return [(entry["outcome"], entry["task_id"]) for entry in rows.bill(tx)]


def roll_back(tx: Transaction, token: str, before: dict[str, Any], *, bill: bool, row: bool) -> None:
    """Take a claim out of the table, as a crash does that loses its commit."""
    images, bills = tx.tables.images, tx.tables.submissions
    if bill:
        tx.connection.execute(bills.delete().where(bills.c.submit_token == token))
    if row:
        tx.connection.execute(images.update().where(images.c.id == before["id"]).values(**before))


@pytest.fixture(params=["all", "row"])
def lost(database: Database, request: pytest.FixtureRequest) -> LostCommit:
    """A claim whose commit is lost whole, and one whose row alone was put back to what it had been."""
    with database.writing() as tx:
        batch = rows.open_batch(tx)
        rows.list_images(tx, [rows.listed("a.jpg")])
        (before,) = rows.image_rows(tx)
        (reserved,) = leases.reserve(tx, batch, "holder", 1)
        claim = rows.request(batch, reserved, "its bytes")
        assert rows.claim(tx, claim) is ClaimResult.CLAIMED
    with database.writing() as tx:
        roll_back(tx, claim.submit_token, before, bill=request.param == "all", row=True)
    return LostCommit(database, claim, batch)


def test_a_paid_answer_is_written_with_its_intent(lost: LostCommit) -> None:
    lost.answer(TAKEN)

    row = lost.row
    assert (row["status"], row["task_id"], row["attempts"]) == (Status.SUBMITTED, "0123", 1)
    assert (row["submit_token"], row["account"]) == (lost.claim.submit_token, rows.ACCOUNT.identity)
    assert row["content_sha256"] == lost.claim.content.content_sha256
    assert lost.bill == [("accepted", "0123")]


def test_the_moment_of_the_claim_is_that_of_the_worker_not_of_the_record(lost: LostCommit) -> None:
    with lost.database.writing() as tx:
        tx.connection.execute(tx.tables.submissions.delete())

    lost.answer(TAKEN)

    with lost.database.reading() as tx:
        (entry,) = rows.bill(tx)
    assert (entry["answered_at"] - entry["claimed_at"]).total_seconds() == 2.0


def test_without_an_answer_the_image_is_not_sent_again_before_its_doubt_is_resolved(lost: LostCommit) -> None:
    lost.answer(Ambiguous(None, None, "no whole answer in time"))

    assert lost.row["status"] == Status.SUBMITTING
    assert lost.bill == [("ambiguous", None)]
    with lost.database.writing() as tx:
        assert leases.reserve(tx, lost.batch, "next", 1) == []
        rows.set_columns(tx, lost.row["id"], in_doubt_after=rows.LONG_AGO)
        assert submissions.doubt_overdue(tx) == 1


@pytest.mark.parametrize(
    ("answer", "status"),
    [(Full(None, 429, None, "full"), Status.PENDING), (Refused(Reason.BANNED, 200, 24, "no"), Status.FAILED)],
)
def test_a_no_is_written_too(lost: LostCommit, answer: SubmitOutcome, status: Status) -> None:
    lost.answer(answer)

    assert (lost.row["status"], lost.row["attempts"]) == (status, 0 if status is Status.PENDING else 1)


def test_an_image_that_another_worker_has_claimed_meanwhile_gets_the_answer_if_that_comes_to_nothing(
    lost: LostCommit,
) -> None:
    other = lost.claim_elsewhere()

    lost.answer(TAKEN)

    assert (lost.row["status"], lost.row["submit_token"]) == (Status.SUBMITTING, other.submit_token)
    with lost.database.writing() as tx:
        submissions.not_taken(tx, other.submit_token, Outcome.FULL, submissions.PostFacts(429))
    with lost.database.writing() as tx:
        (late,) = late_results.given_up(tx, rows.ACCOUNT.identity)
        assert late.task_id == "0123"
        account = rows.ACCOUNT.identity
        assert late_results.answered_late(tx, account, late, rows.four_prompts(), "raw", RemoteTimes())
    assert lost.row["status"] == Status.SUCCEEDED
    assert sorted(outcome for outcome, _ in lost.bill) == ["accepted", "full"]


def test_an_answer_ends_the_doubt_about_the_submission_of_another_worker(lost: LostCommit) -> None:
    lost.claim_elsewhere()
    lost.answer(TAKEN)
    with lost.database.writing() as tx:
        rows.set_columns(tx, lost.row["id"], in_doubt_after=rows.LONG_AGO)
        assert submissions.doubt_overdue(tx) == 1
    with lost.database.writing() as tx:
        (late,) = late_results.given_up(tx, rows.ACCOUNT.identity)
        assert late_results.answered_late(tx, rows.ACCOUNT.identity, late, rows.four_prompts(), "raw", RemoteTimes())
    assert lost.row["status"] == Status.SUCCEEDED


def test_if_both_were_taken_the_bill_has_both_and_nothing_is_paid_a_third_time(lost: LostCommit) -> None:
    other = lost.claim_elsewhere()
    lost.answer(TAKEN)

    with lost.database.writing() as tx:
        record_posts(tx, rows.ACCOUNT, [Posted(other, Accepted("0124", 200, 1), 1.0)])

    assert (lost.row["status"], lost.row["task_id"]) == (Status.SUBMITTED, "0124")
    assert sorted(lost.bill) == [("accepted", "0123"), ("accepted", "0124")]
    with lost.database.writing() as tx:
        assert leases.reserve(tx, lost.batch, "next", 1) == []


def test_a_row_that_is_lost_too_leaves_its_answer_in_the_bill_under_the_digest_of_its_bytes(lost: LostCommit) -> None:
    with lost.database.writing() as tx:
        tx.connection.execute(tx.tables.submissions.delete())
        tx.connection.execute(tx.tables.images.delete())

    lost.answer(TAKEN)

    with lost.database.reading() as tx:
        (entry,) = rows.bill(tx)
    assert (entry["image_id"], entry["outcome"], entry["task_id"]) == (NO_ROW, "accepted", "0123")
    assert entry["content_sha256"] == lost.claim.content.content_sha256


def test_a_row_that_was_listed_anew_under_another_number_gets_the_answer(lost: LostCommit) -> None:
    with lost.database.writing() as tx:
        tx.connection.execute(tx.tables.submissions.delete())
        tx.connection.execute(tx.tables.images.update().values(id=lost.claim.image_id + 1000))

    lost.answer(TAKEN)

    assert (lost.row["status"], lost.row["task_id"]) == (Status.SUBMITTED, "0123")


def test_a_whole_run_pays_once_though_the_database_loses_every_claim(
    database: Database, s3: S3Client, bucket: str, simulate: Callable[..., RunningSimulator]
) -> None:
    simulator = simulate(dialect="new-api", latency=0.2, poll_interval=0.1)
    engine = Engine(database, s3, simulator.url)
    put_photos(s3, bucket, range(6))

    counts = asyncio.run(_work_while_claims_are_lost(engine, Scope(bucket, ("in/",))))

    assert counts == {Status.SUCCEEDED: 6}
    assert simulator.counters()["billed"] == 6
    with database.reading() as tx:
        assert [entry["outcome"] for entry in rows.bill(tx)] == ["accepted"] * 6


async def _work_while_claims_are_lost(engine: Engine, scope: Scope) -> dict[str, int]:
    database = engine.database
    batch = await database.write(open_batch, scope, BatchOptions(), Origin("dag", "run", "submit"))
    async with engine.worker() as worker:
        submit = worker.client.submit_describe

        def lose(tx: Transaction, token: str) -> None:
            claimed = next(row for row in rows.image_rows(tx) if row["submit_token"] == token)
            nothing = dict.fromkeys(("submit_token", "account", "in_doubt_after", "content_sha256"))
            before = {"id": claimed["id"], "status": Status.PENDING.value, "attempts": 0, **nothing}
            roll_back(tx, token, before, bill=True, row=True)

        async def submit_describe(*, state: str, **image: Any) -> SubmitOutcome:
            outcome = await submit(state=state, **image)
            await database.write(lose, state)
            return outcome

        worker.client.submit_describe = submit_describe  # type: ignore[method-assign]
        while not (await advance(worker, batch.batch_id)).all_ended:
            await asyncio.sleep(0.1)
    with database.reading() as tx:
        statuses = [row["status"] for row in rows.image_rows(tx)]
    return {status: statuses.count(status) for status in set(statuses)}
