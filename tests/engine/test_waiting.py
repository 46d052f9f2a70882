"""How long to wait, where, and when to wake a task that sleeps."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from airflow_midjourney.describe.engine.pause_report import PauseReport
from airflow_midjourney.describe.engine.progress import Progress
from airflow_midjourney.describe.engine.waiting import (
    LONGEST_WAIT,
    SHORTEST_WAIT,
    WORTH_DEFERRING,
    expected_wait,
    pause_before_next_look,
    queue_seconds,
    worth_waking,
)
from airflow_midjourney.describe.model.batch import Batch, BatchOptions, Origin, Scope
from airflow_midjourney.describe.model.submit_window import Opening
from airflow_midjourney.describe.table.accounts import AccountState
from airflow_midjourney.describe.table.counts import OpenRows
from tests.support.rows import LONG_AGO as NOW

ACCOUNT = AccountState(
    now=NOW,
    in_flight=0,
    paused=False,
    blocked_until=None,
    blocked_at=None,
    blocked_reason=None,
    submit_failing_since=None,
    poll_failing_since=None,
    poll_failed_at=None,
    next_poll_at=NOW,
    silence=0.0,
)
LISTED = Batch("batch", Scope("b", ("",)), BatchOptions(), Origin(), NOW, NOW, listing_ended_at=NOW)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def progress(**facts: Any) -> Progress:
    known = Progress(
        batch=LISTED,
        open=OpenRows(submitted=1),
        undecided=0,
        sent_beside=0,
        account=ACCOUNT,
        room=0,
        submissions_left=None,
        run_capped=False,
        typical_seconds=None,
        oldest_in_flight=None,
    )
    return replace(known, **facts)


def test_with_room_and_something_to_submit_nothing_is_waited_for() -> None:
    busy = progress(open=OpenRows(pending=5, claimable=5), room=2)

    assert busy.work_to_do
    assert expected_wait(busy, NOW - seconds(900)) == 0


@pytest.mark.parametrize(("pending", "can_list"), [(0, True), (199, True), (200, False), (5000, False)])
def test_an_unfinished_listing_is_work_only_while_little_is_pending(pending: int, can_list: bool) -> None:
    listing = progress(batch=replace(LISTED, listing_ended_at=None), open=OpenRows(pending=pending, claimable=pending))

    assert listing.can_list is listing.work_to_do is can_list
    assert (expected_wait(listing, NOW - seconds(60)) >= WORTH_DEFERRING) is not can_list


@pytest.mark.parametrize("plan", [{"options": BatchOptions(plan_only=True)}, {}])
def test_a_plan_and_a_capped_run_list_to_the_end(plan: dict[str, Any]) -> None:
    listing = progress(
        batch=replace(LISTED, listing_ended_at=None, **plan),
        open=OpenRows(pending=900, claimable=900),
        submissions_left=None if plan else 0,
    )

    assert listing.can_list


def test_a_wait_is_as_long_as_the_quickest_describes_take_lately() -> None:
    waiting = progress(typical_seconds=90.0, quickest_seconds=60.0, oldest_in_flight=NOW - seconds(20))

    assert expected_wait(waiting, NOW) == pytest.approx(40)


@pytest.mark.parametrize(("queued", "lasts"), [(0, 0), (3, 6), (9, 18)])
def test_while_the_service_has_a_queue_the_worker_is_not_needed(queued: int, lasts: float) -> None:
    state = replace(ACCOUNT, in_flight=queued + 3, queued=queued)
    facts = {"typical_seconds": 2.0 * (queued + 3), "quickest_seconds": 6.0, "oldest_in_flight": NOW - seconds(7)}
    waiting = progress(account=state, open=OpenRows(pending=50, claimable=50, submitted=queued + 3), **facts)

    assert queue_seconds(waiting) == pytest.approx(lasts)
    fresh = replace(waiting, typical_seconds=6.0, oldest_in_flight=NOW - seconds(2.0 * (queued + 3)))
    assert queue_seconds(fresh) == pytest.approx(lasts)
    assert expected_wait(waiting, NOW - seconds(1)) == pytest.approx(max(lasts, 1))


def test_where_nothing_is_known_it_is_as_long_as_it_was_so_far() -> None:
    assert expected_wait(progress(), NOW - seconds(7)) == pytest.approx(7)
    overdue = progress(typical_seconds=10.0, quickest_seconds=10.0, oldest_in_flight=NOW - seconds(60))
    assert expected_wait(overdue, NOW - seconds(30)) == pytest.approx(30)


def test_a_blocked_account_is_waited_for_at_least_until_it_accepts_again() -> None:
    blocked = progress(
        account=replace(ACCOUNT, blocked_until=NOW + seconds(120)), open=OpenRows(pending=3, claimable=3)
    )

    assert expected_wait(blocked, NOW) == pytest.approx(120)


@pytest.mark.parametrize(
    ("next_poll", "pause"), [(-5, SHORTEST_WAIT), (0.01, SHORTEST_WAIT), (2, 2), (600, LONGEST_WAIT)]
)
def test_the_next_look_is_when_the_next_poll_is_due_within_bounds(next_poll: float, pause: float) -> None:
    state = replace(ACCOUNT, next_poll_at=NOW + seconds(next_poll))

    assert pause_before_next_look(progress(account=state)) == pytest.approx(pause)


@pytest.mark.parametrize(
    ("room", "claimable", "wakes"), [(0, 9, False), (2, 9, False), (3, 9, True), (1, 1, True), (12, 0, False)]
)
def test_a_task_is_woken_for_a_few_slots_at_once(room: int, claimable: int, wakes: bool) -> None:
    sleeping = progress(open=OpenRows(pending=claimable, claimable=claimable, submitted=3), room=room)

    assert worth_waking(sleeping, max_in_flight=12) is wakes


@pytest.mark.parametrize(
    ("rows", "left", "submitted", "ended"),
    [
        (OpenRows(), None, True, True),
        (OpenRows(submitted=2), None, True, False),
        (OpenRows(submitting=1), None, False, False),
        (OpenRows(submitting=2, unanswered=1), None, False, False),
        (OpenRows(submitting=2, unanswered=2), None, True, False),
        (OpenRows(pending=1, claimable=1), None, False, False),
        (OpenRows(pending=1, claimable=1), 0, True, True),
        (OpenRows(pending=1, claimable=1, submitted=1), 0, True, False),
        (OpenRows(pending=1, sharing=1, submitted=1), None, True, False),
        (OpenRows(pending=1, sharing=1), None, True, False),
    ],
)
def test_what_is_left_to_do_says_whether_a_batch_is_submitted_or_has_ended(
    rows: OpenRows, left: int | None, submitted: bool, ended: bool
) -> None:
    now = progress(open=rows, submissions_left=left)

    assert (now.all_submitted, now.all_ended) == (submitted, ended)


def test_a_batch_that_is_still_listed_has_not_ended() -> None:
    now = progress(batch=replace(LISTED, listing_ended_at=None), open=OpenRows())

    assert (now.all_submitted, now.all_ended) == (False, False)


def test_a_task_with_something_to_send_leaves_its_worker_at_once_while_a_person_has_paused_the_account() -> None:
    paused = replace(ACCOUNT, paused=True)
    unsent, all_sent = OpenRows(pending=5, claimable=5), OpenRows(submitted=1)

    assert expected_wait(progress(account=paused, open=unsent), NOW) >= WORTH_DEFERRING
    assert expected_wait(progress(account=paused, open=all_sent), NOW) == 0


# Hours of the connection


def closed_for(number: float, **facts: Any) -> Progress:
    waiting = OpenRows(pending=5, claimable=5)
    return progress(open=waiting, opening=Opening(NOW + seconds(number), "Europe/Berlin"), **facts)


@pytest.mark.parametrize(("opens_in", "longest"), [(7200.0, LONGEST_WAIT), (2.0, 2.0)])
def test_outside_its_hours_a_run_looks_rarely_and_again_at_the_opening(opens_in: float, longest: float) -> None:
    closed = closed_for(opens_in)

    assert expected_wait(closed, NOW) == opens_in
    assert pause_before_next_look(closed) == longest
    assert not worth_waking(closed, 12)


def test_a_look_from_before_the_opening_does_not_put_it_off() -> None:
    later = replace(closed_for(10.0), account=replace(ACCOUNT, now=NOW + seconds(11)))

    assert pause_before_next_look(later) == SHORTEST_WAIT


def test_outside_its_hours_answers_are_fetched_as_ever() -> None:
    closed = closed_for(7200.0, account=replace(ACCOUNT, in_flight=3, next_poll_at=NOW + seconds(1)))

    assert pause_before_next_look(closed) == 1.0


def test_an_account_that_is_paused_and_has_nothing_in_flight_is_looked_at_rarely() -> None:
    assert pause_before_next_look(progress(account=replace(ACCOUNT, paused=True))) == LONGEST_WAIT


def test_the_log_says_once_until_when_submissions_wait_and_once_that_they_go_on() -> None:
    lines: list[str] = []
    report = PauseReport(lines.append)
    closed = closed_for(3600.0)
    for look in (progress(), closed, closed, replace(closed, opening=None), replace(closed, opening=None)):
        report.tell(look)

    assert lines == [
        "Submissions wait until 02:00 Europe/Berlin, by the extra submit_window of the connection. What is on its way"
        " is still fetched.",
        "Submissions go on: the connection's submit_window is open.",
    ]


def test_a_run_that_has_nothing_to_submit_says_nothing_of_hours() -> None:
    lines: list[str] = []
    PauseReport(lines.append).tell(replace(closed_for(3600.0), open=OpenRows(submitted=1)))

    assert lines == []
