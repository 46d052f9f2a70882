"""What becomes of a task after its row was given up."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from airflow_midjourney.describe.engine.answers.late import take_late_answer
from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.model.status import Reason, Status
from airflow_midjourney.describe.table import results
from airflow_midjourney.describe.table.doubt import late_results
from tests.support import rows
from tests.support.polling import ACCOUNT, Service, at_work, described, failed, statuses, submit

if TYPE_CHECKING:
    from airflow_midjourney.describe.service.tasks import RemoteTask
    from airflow_midjourney.describe.table.database import Database


def take_late(database: Database, late: results.InFlight, task: RemoteTask | None) -> bool:
    with database.reading() as tx:
        (one,) = (one for one in late_results.given_up(tx, ACCOUNT.identity) if one.submit_token == late.submit_token)
    return asyncio.run(take_late_answer(Service().watcher(database), one, task))


def test_a_late_answer_is_taken_if_it_is_one_and_its_own(database: Database) -> None:
    with database.writing() as tx:
        late, other = submit(tx, 2, max_attempts=1)
        for row in (late, other):
            results.ended(tx, row, Reason.TIMEOUT, "too long", results.RemoteTimes(), "")

    for none in (None, at_work(late), failed(late, state="another's"), described(late, state="another's")):
        assert not take_late(database, late, none)
    assert statuses(database) == [Status.FAILED] * 2

    started_at, finished_at = rows.LONG_AGO, rows.LONG_AGO + timedelta(minutes=1)
    assert take_late(database, late, described(late, start_time=started_at, finish_time=finished_at))
    assert take_late(database, other, described(other, state=""))
    assert statuses(database) == [Status.SUCCEEDED] * 2
    with database.reading() as tx:
        first = rows.image_rows(tx)[0]
    assert (first["prompt_1"], first["started_at"], first["finished_at"]) == ("one", started_at, finished_at)


def test_a_late_answer_without_a_state_is_not_taken_for_an_id_that_two_submissions_have(database: Database) -> None:
    with database.writing() as tx:
        late, _ = submit(tx, 2, max_attempts=1)
        results.ended(tx, late, Reason.TIMEOUT, "too long", results.RemoteTimes(), "")
        tx.connection.execute(tx.tables.submissions.update().values(task_id=late.task_id))

    assert not take_late(database, late, described(late, state=""))
    assert statuses(database)[0] is Status.FAILED


@pytest.mark.parametrize(
    ("refunds", "state", "outcome"),
    [
        (True, None, Outcome.REFUNDED),
        (False, None, Outcome.ACCEPTED),
        (True, "another's", Outcome.ACCEPTED),
    ],
)
def test_a_task_that_fails_after_it_was_given_up_costs_nothing_where_the_money_comes_back(
    database: Database, refunds: bool, state: str | None, outcome: Outcome
) -> None:
    with database.writing() as tx:
        (late,) = submit(tx, 1, max_attempts=1)
        results.ended(tx, late, Reason.TIMEOUT, "too long", results.RemoteTimes(), "")
        (one,) = late_results.given_up(tx, ACCOUNT.identity)
    watcher = Service().watcher(database)
    watcher.account = replace(ACCOUNT, refunds_failures=refunds)
    task = failed(late) if state is None else failed(late, state=state)

    assert not asyncio.run(take_late_answer(watcher, one, task))

    assert statuses(database) == [Status.FAILED]
    with database.reading() as tx:
        assert [Outcome(post["outcome"]) for post in rows.bill(tx)] == [outcome]
