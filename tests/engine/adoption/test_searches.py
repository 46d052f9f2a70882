"""How far a search through a list has come, and how far back the list reaches by the service's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from airflow_midjourney.describe.engine.reconcile import Search
from airflow_midjourney.describe.service.tasks import RemoteTask, RemoteTaskStatus


@pytest.mark.parametrize("part", [0.0, 0.4, 0.999])
@pytest.mark.parametrize("seconds_to_answer", [0, 30])
def test_a_right_clock_that_names_whole_seconds_is_not_taken_for_one_that_is_behind(
    part: float, seconds_to_answer: int
) -> None:
    asked_at = datetime(2026, 11, 30, 12, tzinfo=UTC) + timedelta(seconds=part)
    search = Search(expected={"ours"})
    search.look(RemoteTask("1", RemoteTaskStatus.SUCCESS, state="theirs", submit_time=asked_at - timedelta(seconds=60)))

    search.note_clock(asked_at, (asked_at + timedelta(seconds=seconds_to_answer)).replace(microsecond=0))

    assert search.reaches_back_to(asked_at - timedelta(seconds=59.9))
    assert not search.reaches_back_to(asked_at - timedelta(seconds=60))


NOON: Final = datetime(2026, 11, 30, 12, tzinfo=UTC)


def listed(task_id: str, state: str, minutes_ago: float | None = None) -> RemoteTask:
    submit_time = None if minutes_ago is None else NOON - timedelta(minutes=minutes_ago)
    return RemoteTask(task_id, RemoteTaskStatus.SUBMITTED, state=state, submit_time=submit_time)


def test_a_search_is_over_when_all_that_is_expected_was_seen_and_takes_what_it_hopes_for_on_its_way() -> None:
    search = Search(expected={"a", "b"}, hoped={"c"}, older={"a": frozenset({"witness"}), "b": frozenset({"another"})})

    seen = [search.look(listed(str(number), state)) for number, state in enumerate(("c", "a", "witness", "x", "b"))]

    assert seen == [False, False, False, False, True]
    assert [task.state for task in search.found] == ["c", "a", "b"]
    assert search.seen == {"witness"}
    assert search.tasks == 5
    assert (search.expected, search.hoped) == (set(), set())


def test_the_oldest_task_of_any_order_says_how_far_a_list_reaches_back() -> None:
    search = Search(expected={"ours"})
    assert not search.reaches_back_to(NOON)
    for minutes_ago in (None, 10, 30, 20):
        search.look(listed("1", "theirs", minutes_ago))

    assert search.oldest == NOON - timedelta(minutes=30)
    assert not search.reaches_back_to(NOON), "nothing is known of the service's clock"
    search.note_clock(NOON, NOON)
    assert search.reaches_back_to(NOON - timedelta(minutes=29))
    assert not search.reaches_back_to(NOON - timedelta(minutes=30))


def test_a_clock_is_behind_by_the_most_that_any_task_of_ours_or_any_answer_shows() -> None:
    search = Search(expected={"ours"}, claimed={"a": NOON, "b": NOON})
    for state, minutes_ago in (("theirs", 60.0), ("a", 5.0), ("b", 2.0)):
        search.look(listed("1", state, minutes_ago))
    assert search.behind == timedelta(minutes=5)

    search.note_clock(NOON, None)
    search.note_clock(NOON, NOON - timedelta(minutes=3))
    assert search.behind == timedelta(minutes=5)

    search.note_clock(NOON, NOON - timedelta(minutes=8))
    assert search.behind == timedelta(minutes=8) - timedelta(seconds=1)
    assert search.reaches_back_to(NOON - timedelta(minutes=52))
    assert not search.reaches_back_to(NOON - timedelta(minutes=53))


def test_a_clock_that_is_ahead_counts_as_right() -> None:
    search = Search(expected={"ours"}, claimed={"a": NOON})
    search.look(listed("1", "a", -5.0))
    search.note_clock(NOON, NOON + timedelta(minutes=5))

    assert search.behind == timedelta()
