"""When a poll is worth most, and what that comes to over a run: requests and idle slots, by a clock of its own."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_midjourney.describe.table.latency import DueAnswers, Took
from airflow_midjourney.describe.table.poll_schedule import (
    LONGEST_WAIT_FOR_DUE,
    SHORTEST_SHARE,
    pause_after_poll,
    pause_until_due,
    pause_until_first,
    put_off_by,
)

BASE = 3.0

#: Seconds from an answer that was fetched to the POST of the next image, and from that to the next POST.
NEXT_POST = 0.2
APART = 0.02


def exactly(*seconds: float) -> list[Took]:
    return [Took(one, one, one) for one in seconds]


@dataclass
class Run:
    """A run over images that take so many seconds, on a service that works on some at once.

    :param known: what is known of the service before; what comes to light follows.
    """

    durations: list[float]
    slots: int
    known: list[Took] = field(default_factory=list)
    exact: bool = True
    polls: int = 0
    idle: list[float] = field(default_factory=list)
    _now: float = 0.0
    _heard: float = 0.0
    _next_poll: float = 0.0
    _interval: float = BASE
    _sent: list[tuple[float, float]] = field(default_factory=list)
    _left: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        random.seed(17)
        self._left = self.durations[::-1]
        self._submit([0.0] * self.slots)
        self._next_poll = NEXT_POST + (pause_until_first(self._answers()) or BASE)
        while self._sent:
            self._now = self._next_poll
            later = put_off_by(self._answers(), BASE, self._interval)
            if later is None:
                self._poll()
            else:
                self._next_poll = self._now + later

    @property
    def requests_an_image(self) -> float:
        return 1 + self.polls / len(self.durations)

    @property
    def idle_after_an_answer(self) -> float:
        """Mean seconds that a slot is free, without the first time, in which nothing is known."""
        return sum(self.idle) / len(self.idle)

    def _answers(self) -> DueAnswers:
        return DueAnswers([self._now - sent for sent, _ in self._sent], self.known[-40:], self._now - self._heard)

    def _poll(self) -> None:
        self.polls += 1
        ended = [one for one in self._sent if sum(one) <= self._now]
        self._sent = [one for one in self._sent if one not in ended]
        self._heard = self._now
        for sent, seconds in ended:
            ours = self._now - sent
            self.known.append(Took(seconds, seconds, seconds) if self.exact else Took(ours, 0.8 * ours, ours))
        was_idle = not self._sent
        self._interval, pause = pause_after_poll(self._answers(), BASE, self._interval, news=bool(ended))
        self._next_poll = self._now + pause
        freed = sorted(map(sum, ended))
        self._submit(freed)
        if was_idle and self._sent:
            self._next_poll = self._sent[0][0] + (pause_until_first(self._answers()) or BASE)

    def _submit(self, freed: list[float]) -> None:
        for number, end in enumerate(freed[: len(self._left)]):
            sent = self._now + NEXT_POST + APART * number
            self._sent.append((sent, self._left.pop()))
            if self.polls:
                self.idle.append(sent - end)


def spread(number: int, typical: float, by: float) -> list[float]:
    chance = random.Random(number)
    return [typical * chance.uniform(1 - by, 1 + by) for _ in range(number)]


def long_tailed(number: int, typical: float) -> list[float]:
    chance = random.Random(number)
    return [typical * chance.lognormvariate(0, 0.4) for _ in range(number)]


def two_kinds(number: int) -> list[float]:
    chance = random.Random(number)
    return [chance.choice([8.0, 16.0]) * chance.uniform(0.97, 1.03) for _ in range(number)]


@pytest.mark.parametrize(("images", "slots", "seconds"), [(50, 12, 5.0), (60, 6, 12.0), (200, 12, 40.0)])
def test_where_images_take_the_same_time_no_slot_idles_for_long(images: int, slots: int, seconds: float) -> None:
    run = Run([seconds] * images, slots, exactly(seconds))

    # Of it, the next POSTs take 0.3 seconds.
    assert run.idle_after_an_answer <= 0.3 + 0.3
    assert run.requests_an_image <= 1.3


@pytest.mark.parametrize(
    ("durations", "slots", "idle", "requests"),
    [
        (spread(120, 12.0, 0.02), 6, 1.0, 1.4),
        (spread(120, 12.0, 0.2), 6, 2.2, 1.6),
        (spread(120, 40.0, 0.2), 12, 2.7, 2.1),
        (long_tailed(120, 12.0), 6, 3.0, 1.8),
        (two_kinds(120), 6, 2.5, 1.6),
        ([5 + number / 10 for number in range(120)], 12, 1.2, 1.8),
        (spread(50, 12.0, 0.2), 1, 2.0, 2.6),
    ],
    ids=["nearly the same", "spread", "long and spread", "long tail", "two kinds", "slower and slower", "one slot"],
)
def test_where_they_do_not_polls_come_where_they_are_worth_it(
    durations: list[float], slots: int, idle: float, requests: float
) -> None:
    run = Run(durations, slots)

    assert run.idle_after_an_answer <= idle
    assert run.requests_an_image <= requests


def test_where_a_service_becomes_quicker_two_times_are_enough_to_notice() -> None:
    run = Run([40.0] * 48 + [5.0] * 96, 12, exactly(40.0))

    # Answers after five seconds are seen by the looks between.
    assert max(run.idle) <= LONGEST_WAIT_FOR_DUE
    assert sum(run.idle[-48:]) / 48 <= 1.0


def test_where_the_service_does_not_say_when_images_ended_polls_do_not_come_later_and_later() -> None:
    run = Run([12.0] * 240, 6, exact=False)

    assert sum(run.idle[-60:]) / 60 < 2.0
    assert run.requests_an_image <= 1.5


@settings(max_examples=40, deadline=None, derandomize=True)
@given(slots=st.integers(6, 24), seconds=st.floats(2.0, 120.0), known=st.booleans())
def test_two_polls_for_four_images_are_enough_whatever_they_take(slots: int, seconds: float, known: bool) -> None:
    run = Run([seconds] * 120, slots, exactly(seconds) if known else [])
    # Failures come without notice.
    looks_between = seconds // LONGEST_WAIT_FOR_DUE / slots
    first_time = 0.0 if known else 8 / 120

    assert run.requests_an_image <= 1.5 + looks_between + first_time


@given(
    ages=st.lists(st.floats(0.0, 100.0), max_size=12),
    took=st.lists(st.floats(0.1, 60.0), max_size=12),
    heard_ago=st.floats(0.0, 30.0),
)
def test_a_poll_is_never_in_the_past_nor_later_than_the_last_answer_may_be(
    ages: list[float], took: list[float], heard_ago: float
) -> None:
    answers = DueAnswers(ages, exactly(*took), heard_ago)
    best, due = answers.best_poll(BASE), pause_until_due(answers, BASE, BASE)

    if best is not None:
        assert 0 <= best <= max(0.0, max(took) - min(ages))
    if due is not None:
        assert 0 <= due <= LONGEST_WAIT_FOR_DUE + heard_ago


def test_answers_that_are_due_together_are_fetched_together() -> None:
    assert DueAnswers([5.0, 4.9, 4.7], exactly(12.0)).best_poll(BASE) == pytest.approx(7.3)


def test_an_answer_that_is_due_much_later_is_not_waited_for() -> None:
    assert DueAnswers([11.0, 11.0, 1.0], exactly(12.0)).best_poll(BASE) == pytest.approx(1.0)


def test_a_long_wait_is_divided_since_failures_come_without_notice() -> None:
    assert pause_until_due(DueAnswers([0.0], exactly(80.0)), BASE, BASE) == pytest.approx(80 / 6)
    assert pause_until_due(DueAnswers([0.0], exactly(LONGEST_WAIT_FOR_DUE)), BASE, BASE) == LONGEST_WAIT_FOR_DUE


def test_an_image_that_takes_longer_than_others_is_asked_about_soon_and_then_less_often() -> None:
    pauses = [pause_until_due(DueAnswers([12.0 + late], exactly(12.0)), BASE, BASE) for late in (0, 1, 2, 4, 30)]

    assert pauses == pytest.approx([0.6, 1.0, 2.0, BASE, BASE])


def test_late_images_wait_for_answers_that_are_nearly_due() -> None:
    late = 12.0 + 2.0
    assert pause_until_due(DueAnswers([late, 9.6], exactly(12.0)), BASE, BASE) == pytest.approx(2.4)
    assert pause_until_due(DueAnswers([late, 9.0], exactly(12.0)), BASE, BASE) == pytest.approx(2.0)


def test_a_poll_is_put_off_only_for_images_that_cannot_have_ended() -> None:
    sent_just_now = DueAnswers([12.0, 11.2], exactly(12.0), heard_ago=12.0)
    overdue = DueAnswers([14.0, 1.0], exactly(12.0), heard_ago=2.0)

    later = put_off_by(sent_just_now, BASE, BASE)
    assert later is not None
    assert 0.8 < later < 1.0
    assert put_off_by(overdue, BASE, BASE) is None
    assert put_off_by(DueAnswers([5.0], []), BASE, BASE) is None


def test_two_polls_are_never_closer_than_a_part_of_the_usual_interval() -> None:
    _, pause = pause_after_poll(DueAnswers([12.0], exactly(12.1)), BASE, BASE, news=True)

    assert pause == pytest.approx(BASE * SHORTEST_SHARE)
