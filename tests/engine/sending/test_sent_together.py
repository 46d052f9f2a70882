"""Images that are sent side by side share their transactions, not their fate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_midjourney.describe.engine import send as send_module
from airflow_midjourney.describe.engine.answers.posts import Posted, record_posts
from airflow_midjourney.describe.model.errors import (
    TableConflictError,
    TableError,
)
from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.describe.table import accounts, claims, submissions
from tests.support import rows
from tests.support.sending import ACCOUNT, YES, Scene

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from airflow_midjourney.describe.table.claims import Claim, ClaimResult
    from airflow_midjourney.describe.table.database import Transaction
    from airflow_midjourney.describe.table.submissions import Taken


def test_a_claim_that_another_process_was_first_with_keeps_no_other_from_being_claimed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = claims.claim
    conflicts: list[int] = []

    def claim_but_the_second(tx: Transaction, requests: Sequence[Claim], account: Any) -> list[ClaimResult]:
        if any(request.image_id == 2 for request in requests):
            conflicts.append(len(requests))
            raise TableConflictError("another was first")
        return claim(tx, requests, account)

    monkeypatch.setattr(send_module, "LINGER", 3.0)
    monkeypatch.setattr(send_module, "TOGETHER", 3)
    monkeypatch.setattr(claims, "claim", claim_but_the_second)

    assert scene.send_together(scene.reserve(3)) == [True] * 3

    assert conflicts == [3, 1]
    assert scene.statuses == [Status.SUBMITTED, Status.PENDING, Status.SUBMITTED]
    assert scene.rows[1]["reserved_by"] is None


def test_an_answer_that_the_table_does_not_take_keeps_no_other_from_being_written(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted = submissions.accepted
    reserved = scene.reserve(3)

    def take_but_the_second(tx: Transaction, posts: Sequence[Taken]) -> list[bool]:
        if {post.submit_token for post in posts} & {rows.image_row(tx, 2)["submit_token"]}:
            raise TableError("refused")
        return accepted(tx, posts)

    monkeypatch.setattr(send_module, "LINGER", 60.0)
    monkeypatch.setattr(send_module, "TOGETHER", 3)
    monkeypatch.setattr(submissions, "accepted", take_but_the_second)

    results_of_sending = scene.send_together(reserved)

    assert scene.statuses == [Status.SUBMITTED, Status.SUBMITTING, Status.SUBMITTED]
    assert all(isinstance(one, TableError) for one in results_of_sending)


def test_a_group_of_answers_closes_the_breaker_if_its_latest_image_was_claimed_after_the_no(scene: Scene) -> None:
    made = []
    for moment in ("before", "after"):
        with scene.database.writing() as tx:
            made.append(rows.claim_next(tx, scene.batch)[1])
        if moment == "before":
            scene.change(lambda tx: accounts.open_breaker(tx, ACCOUNT.identity, "full", None, failing=True))
            scene.change(lambda tx: rows.set_account(tx, blocked_until=tx.now))

    scene.change(
        lambda tx: record_posts(tx, ACCOUNT, [Posted(one, replace(YES, task_id=one.submit_token)) for one in made])
    )

    assert scene.state.blocked_reason is None
    assert scene.state.submit_failing_since is None
