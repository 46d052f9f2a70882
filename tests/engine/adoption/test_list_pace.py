"""How often a long list is read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from airflow_midjourney.describe.engine.doubt.list_pace import SHORT_LIST, ListPace
from airflow_midjourney.describe.model.status import Status
from tests.support.task_lists import ACCOUNT, CONFIRMED, MOMENTS, OVER, Table, an_older_task


def test_a_long_list_is_read_ever_more_rarely_for_what_it_does_not_show(table: Table) -> None:
    table.service.takes_of_others(SHORT_LIST + 1)
    table.claim()
    table.pass_time(MOMENTS)

    polls = int((OVER - MOMENTS).total_seconds() // ACCOUNT.poll_interval)
    watcher = table.watcher()
    for _ in range(polls):
        table.reconcile(watcher)
        table.pass_time(timedelta(seconds=ACCOUNT.poll_interval), watcher)

    assert polls > 50
    assert 5 < table.service.lists < 20


def test_a_short_list_is_read_at_each_poll_since_it_loses_sight_of_tasks(table: Table) -> None:
    table.claim()
    table.pass_time(MOMENTS)

    watcher = table.watcher()
    for _ in range(10):
        table.reconcile(watcher)
        table.pass_time(timedelta(seconds=ACCOUNT.poll_interval), watcher)

    assert table.service.lists == 10


def test_what_was_never_sent_a_while_ago_makes_no_poll_read_a_long_list_to_its_end(table: Table) -> None:
    table.service.takes_of_others(SHORT_LIST + 1)
    an_older_task(table)
    table.claim()
    for gone in (OVER, CONFIRMED):
        table.pass_time(gone)
        table.reconcile()
    assert table.bill[-1] == "never_sent"

    watcher = table.watcher()
    shown = []
    for _ in range(10):
        (claim,) = table.claim()
        table.service.takes(claim)
        table.pass_time(MOMENTS, watcher)
        before = table.service.shown
        table.reconcile(watcher)
        shown.append(table.service.shown - before)

    assert table.statuses.count(Status.SUBMITTED) == 11
    assert shown[0] > SHORT_LIST
    assert max(shown[1:]) < 10


NOON: Final = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("read_minutes_ago", "tasks", "claimed_minutes_ago", "due"),
    [
        (None, SHORT_LIST + 1, 40.0, True),
        (1.0, SHORT_LIST, 40.0, True),
        (1.0, SHORT_LIST + 1, 40.0, False),
        (9.0, SHORT_LIST + 1, 40.0, False),
        (10.0, SHORT_LIST + 1, 40.0, True),
        (1.0, SHORT_LIST + 1, 1.0, True),
        (1.0, SHORT_LIST + 1, 0.5, True),
    ],
    ids=["first", "short", "just read", "not yet", "a quarter of its age", "read when it was claimed", "read before"],
)
def test_a_long_list_is_due_again_after_a_quarter_of_the_age_of_what_it_does_not_show(
    read_minutes_ago: float | None, tasks: int, claimed_minutes_ago: float, due: bool
) -> None:
    read_at = None if read_minutes_ago is None else NOON - timedelta(minutes=read_minutes_ago)

    assert ListPace(read_at, tasks).is_due(NOON - timedelta(minutes=claimed_minutes_ago), NOON) is due
