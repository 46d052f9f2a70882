"""Before an image is sent, each task that was paid for its bytes is asked about."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from airflow_midjourney.describe.model.errors import (
    ServiceDeniedError,
)
from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.describe.service.tasks import RemoteTask, RemoteTaskStatus
from tests.support import rows
from tests.support.sending import ACCOUNT, AWAY, Scene, described, sent_before


def test_the_task_that_a_row_had_is_asked_about_once_before_it_is_sent_again(scene: Scene) -> None:
    sent_before(scene)

    assert scene.send()

    assert scene.service.asked == ["old-0"]
    assert len(scene.service.posts) == 1
    assert scene.statuses[0] is Status.SUBMITTED


def test_an_answer_that_has_come_spares_the_second_price(scene: Scene) -> None:
    sent_before(scene)
    scene.service.tasks["old-0"] = described("old-0")

    assert scene.send()

    assert scene.service.posts == []
    assert scene.statuses[0] is Status.SUCCEEDED


@pytest.mark.parametrize(
    ("task", "age", "spared"),
    [
        (RemoteTask("old-0", RemoteTaskStatus.IN_PROGRESS), 0.0, True),
        (RemoteTask("old-0", RemoteTaskStatus.IN_PROGRESS), ACCOUNT.longest_run + 100, False),
        (RemoteTask("old-0", RemoteTaskStatus.IN_PROGRESS, state="another's"), 0.0, False),
        (RemoteTask("old-0", RemoteTaskStatus.FAILURE, fail_reason="internal error"), 0.0, False),
    ],
    ids=["at work", "for too long", "another's", "failed"],
)
def test_a_task_that_is_still_at_work_is_waited_for(scene: Scene, task: RemoteTask, age: float, spared: bool) -> None:
    sent_before(scene)
    scene.change(lambda tx: rows.let_time_pass(tx, timedelta(seconds=age)))
    scene.service.tasks["old-0"] = task

    assert scene.send()

    assert len(scene.service.posts) == (0 if spared else 1)
    assert scene.rows[0]["task_id"] == ("old-0" if spared else "new-1")
    assert scene.statuses[0] is Status.SUBMITTED


def test_while_a_former_task_cannot_be_asked_about_its_image_waits_and_is_patient_anew_once_it_was_heard(
    scene: Scene,
) -> None:
    sent_before(scene)
    scene.service.tasks["old-0"] = AWAY
    assert scene.send()
    assert scene.service.posts == []
    with scene.database.reading() as tx:
        assert rows.bill(tx)[0]["unheard_since"] is not None

    scene.change(lambda tx: rows.set_columns(tx, 1, not_before=None))
    scene.service.tasks.clear()
    scene.send()

    assert len(scene.service.posts) == 1
    with scene.database.reading() as tx:
        assert rows.bill(tx)[0]["unheard_since"] is None


def test_a_key_that_may_not_ask_gives_the_row_back(scene: Scene) -> None:
    sent_before(scene)
    scene.service.tasks["old-0"] = ServiceDeniedError("unauthorised")

    with pytest.raises(ServiceDeniedError):
        scene.send()

    assert scene.rows[0]["reserved_by"] is None


def paid_for_by_others(scene: Scene, *task_ids: str) -> None:
    """Have the bytes of the first image been paid for by rows that are gone, without a result."""
    sent_before(scene)
    body = scene.read(cast("Any", SimpleNamespace(key="0.jpg"))).body
    with scene.database.writing() as tx:
        digest = hashlib.sha256(body).hexdigest()
        (entry,) = rows.bill(tx)
        bills = tx.tables.submissions
        tx.connection.execute(bills.delete())
        for task_id in task_ids:
            copy = entry | {"submit_token": f"token of {task_id}", "task_id": task_id, "content_sha256": digest}
            tx.connection.execute(bills.insert().values({k: v for k, v in copy.items() if k != "id"}))
        rows.set_columns(tx, 1, task_id=None, submit_token=None)


def test_all_that_was_paid_for_the_same_bytes_is_asked_about_before_they_are_sent(scene: Scene) -> None:
    paid_for_by_others(scene, "theirs-1", "theirs-2")

    assert scene.send()

    assert sorted(scene.service.asked) == ["theirs-1", "theirs-2"]
    assert len(scene.service.posts) == 1


def test_the_first_of_them_that_has_an_answer_is_enough(scene: Scene) -> None:
    paid_for_by_others(scene, "theirs-1", "theirs-2")
    scene.service.tasks["theirs-2"] = described("theirs-2")

    scene.send()

    assert scene.service.asked == ["theirs-2"]
    assert scene.service.posts == []
    assert scene.statuses[0] is Status.SUCCEEDED


def test_a_row_without_a_task_or_a_token_had_none_before(scene: Scene) -> None:
    sent_before(scene)
    scene.change(lambda tx: tx.connection.execute(tx.tables.submissions.delete()))
    for gone in ("submit_token", "task_id"):
        scene.change(lambda tx, gone=gone: rows.set_columns(tx, 1, **{gone: None}))
        scene.worker.account = replace(ACCOUNT, max_in_flight=0)
        assert not scene.send()
    assert scene.service.asked == []
