"""A task that the service still shows running is waited for, not replaced, up to three times the timeout."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from airflow_midjourney.describe.engine.answers.tasks import settle_rows
from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.describe.service.tasks import RemoteTask, RemoteTaskStatus
from airflow_midjourney.describe.table import accounts, results
from tests.support import rows

if TYPE_CHECKING:
    from airflow_midjourney.describe.table.database import Database

ACCOUNT = replace(rows.ACCOUNT, task_timeout=1800.0)


@pytest.mark.parametrize(
    ("minutes", "is_shown", "status"),
    [
        (29, False, Status.SUBMITTED),
        (31, False, Status.FAILED),
        (31, True, Status.SUBMITTED),
        (89, True, Status.SUBMITTED),
        (91, True, Status.FAILED),
    ],
)
def test_it_ends_by_what_the_service_shows(database: Database, minutes: int, is_shown: bool, status: Status) -> None:
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed("a.jpg")])
        sent = rows.submit_next(tx, rows.open_batch(tx, max_attempts=1), "1")
        results.started(tx, sent, results.RemoteTimes(tx.now))
        rows.let_time_pass(tx, timedelta(minutes=minutes))
        (row,) = results.in_flight(tx, ACCOUNT.identity)
        task = RemoteTask("1", RemoteTaskStatus.IN_PROGRESS, state=row.submit_token, start_time=row.started_at)
        state = accounts.read_account(tx, ACCOUNT.identity)

        settle_rows(tx, ACCOUNT, state, [row], {"1": task} if is_shown else {})

        assert rows.image_row(tx, row.id)["status"] == status
