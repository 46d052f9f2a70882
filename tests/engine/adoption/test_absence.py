"""That a list does not show a submission proves little, and what it takes to prove more."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from airflow_midjourney.describe.model.errors import ServiceProtocolError
from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.describe.service.client import ListingUnsupportedError
from airflow_midjourney.describe.service.submit_response import Ambiguous
from tests.support import rows
from tests.support.task_lists import ACCOUNT, CONFIRMED, MOMENTS, OVER, Table, an_older_task


def test_a_list_without_it_proves_nothing_before_its_time(table: Table) -> None:
    an_older_task(table)
    table.claim()
    for _ in range(3):
        table.pass_time(MOMENTS)
        table.reconcile()

    assert table.statuses[-1] is Status.SUBMITTING


def test_two_lists_apart_that_show_an_older_task_prove_that_it_was_never_taken(table: Table) -> None:
    an_older_task(table)
    table.claim()
    table.pass_time(OVER)

    table.reconcile()
    table.pass_time(CONFIRMED / 2)
    table.reconcile()
    assert table.statuses[-1] is Status.IN_DOUBT
    table.pass_time(CONFIRMED / 2)
    assert table.reconcile() == 1

    assert table.statuses[-1] is Status.PENDING
    assert table.bill[-1] == "never_sent"


def test_between_the_two_lists_none_is_asked_for(table: Table) -> None:
    an_older_task(table)
    table.claim()
    table.pass_time(OVER)
    table.reconcile()
    lists = table.service.lists

    table.reconcile()

    assert table.service.lists == lists


@pytest.mark.parametrize("restarted", ["empty", "with tasks of others that are younger"])
def test_a_restarted_service_proves_nothing(table: Table, restarted: str) -> None:
    an_older_task(table)
    sent = table.claim(5)
    for claim in sent:
        table.service.takes(claim)
    table.service.tasks.clear()
    if restarted != "empty":
        table.service.takes_of_others(20)

    for gone in (OVER, CONFIRMED, CONFIRMED):
        table.pass_time(gone)
        table.reconcile()

    assert table.statuses[1:] == [Status.IN_DOUBT] * 5
    with table.database.reading() as tx:
        assert all(row["doubt_checked_at"] for row in rows.image_rows(tx)[1:])


@pytest.mark.parametrize(
    ("age", "clock", "status"),
    [
        (10.0, timedelta(), Status.PENDING),
        (0.0, timedelta(), Status.IN_DOUBT),
        # It is older by a clock that may be an hour behind.
        (10.0, None, Status.IN_DOUBT),
    ],
)
def test_before_our_first_task_any_that_is_older_than_the_claim_is_a_witness_by_a_clock_that_is_known(
    table: Table, age: float, clock: timedelta | None, status: Status
) -> None:
    table.service.behind = clock
    table.claim()
    with table.database.reading() as tx:
        table.service.takes_of_others(1, tx.now - timedelta(minutes=age))
    table.pass_time(OVER)
    with table.database.reading() as tx:
        # What was submitted long before the claim stays so, by whichever clock.
        (task,) = table.service.tasks
        assert task.submit_time is not None
        moved = task.submit_time - OVER
    table.service.tasks = [replace(task, submit_time=moved)]

    table.reconcile()
    table.pass_time(CONFIRMED)
    table.reconcile()

    assert table.statuses == [status]


@pytest.mark.parametrize("shown_by", ["a task of ours", "the header of the answer"])
@pytest.mark.parametrize("behind", [60.0, 0.0, -60.0])
def test_a_task_that_only_a_slow_clock_makes_older_is_no_witness(table: Table, behind: float, shown_by: str) -> None:
    """A service that has forgotten our task lists younger ones, which look older than it by its own clock."""
    clock_of_service = timedelta(minutes=behind)
    (lost,) = table.claim()
    table.service.takes(lost)
    table.pass_time(MOMENTS)
    table.service.tasks.clear()
    with table.database.reading() as tx:
        moment = tx.now - clock_of_service
    table.service.takes_of_others(3, moment)
    if shown_by == "a task of ours":
        (later,) = table.claim()
        answer = table.service.takes(later)
        table.service.tasks[-1] = replace(table.service.tasks[-1], submit_time=moment)
        table.record(later, answer)
    else:
        table.service.behind = clock_of_service
    for gone in (OVER, CONFIRMED, CONFIRMED):
        table.pass_time(gone)
        table.service.tasks = [
            replace(task, submit_time=task.submit_time and task.submit_time - gone) for task in table.service.tasks
        ]
        table.reconcile()

    assert table.statuses[0] is Status.IN_DOUBT


def test_a_post_that_was_seen_to_break_off_is_proved_so_and_not_as_one_that_was_never_sent(table: Table) -> None:
    an_older_task(table)
    (claim,) = table.claim()
    table.record(claim, Ambiguous(None, None, "no whole answer within 60 s"))
    for gone in (OVER, CONFIRMED):
        table.pass_time(gone)
        table.reconcile()

    assert table.bill[-1] == "broken_off"


def test_a_service_without_a_list_is_not_asked_for_it_again_and_all_its_doubts_are_left_to_people(table: Table) -> None:
    table.service.error = ListingUnsupportedError("no list")
    table.claim(2)
    table.pass_time(OVER)
    watcher = table.watcher()
    assert table.left_to_people == [False, False]

    assert table.reconcile(watcher) == 0
    assert table.left_to_people == [True, True]
    assert not watcher.finds_tasks

    table.claim()
    table.pass_time(MOMENTS, watcher)
    table.reconcile(watcher)
    assert table.service.lists == 1


def test_a_list_that_cannot_be_read_may_be_readable_later_but_not_for_ever(table: Table) -> None:
    table.service.error = ServiceProtocolError("a web page")
    table.claim()
    table.pass_time(OVER)

    table.reconcile()
    assert table.left_to_people == [False]

    table.pass_time(timedelta(seconds=ACCOUNT.lost_after + 100))
    table.claim()
    table.pass_time(OVER)
    table.reconcile()
    assert table.left_to_people == [True, False]


def test_without_a_witness_a_doubt_is_left_to_people_when_a_proof_would_have_been_possible(table: Table) -> None:
    table.claim()
    table.pass_time(OVER)
    table.reconcile()
    assert table.left_to_people == [False]

    table.pass_time(CONFIRMED)
    table.reconcile()

    assert (table.left_to_people, table.statuses) == ([True], [Status.IN_DOUBT])
