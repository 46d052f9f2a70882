"""When an account is polled next: decided here alone."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import or_, select

from airflow_midjourney.describe.table import callbacks
from airflow_midjourney.describe.table.accounts import account_row, pause_after_no, update_account
from airflow_midjourney.describe.table.doubt import unanswered
from airflow_midjourney.describe.table.latency import DueAnswers, latest_describes, on_their_way_since

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.table.accounts import AccountState
    from airflow_midjourney.describe.table.database import Transaction

#: Polls further apart than this many seconds say nothing about the time between them.
SILENCE_AFTER: Final = 60.0

#: A poll that found nothing new is followed by a longer pause, up to this many seconds.
LONGEST_POLL_INTERVAL: Final = 20.0

#: While overdue images hang, polls for them may be apart by this share of how overdue the latest of them is, up to so
#: many seconds. With what comes on top it has to stay below SILENCE_AFTER.
OVERDUE_SHARE: Final = 0.125

LONGEST_OVERDUE_INTERVAL: Final = 45.0

#: How much longer it gets each time: while it is not known how long the service takes at all, it stays close.
POLL_GROWTH: Final = 1.5

FIRST_POLLS_GROWTH: Final = 1.2

#: Seconds for which no process asks where no answer is due: failures come without notice. With what comes on top it has
#: to stay below SILENCE_AFTER.
LONGEST_WAIT_FOR_DUE: Final = 15.0

#: Polls for answers that are due come as soon after each other as this share of the usual interval.
SHORTEST_SHARE: Final = 1 / 6

#: Seconds by which a poll comes after the moment at which answers are due, at least and at most.
_A_LITTLE_LATER: Final = (0.03, 0.1)

#: An image that takes longer than others is first asked about again after this share of what those took, and not
#: sooner than after so many seconds; each time it is twice as long.
_LATE_SHARE: Final = 0.05

_LATE_AT_LEAST: Final = 0.5

#: Polls for late images wait for answers that are due within this share of their pause.
_TOGETHER: Final = 0.25

#: While callbacks announce the answers, polls are this far apart at most, in seconds. With what comes on top it has to
#: stay below SILENCE_AFTER. Each announced answer makes the pause so many times longer, until then.
LONGEST_ANNOUNCED_INTERVAL: Final = 45.0

ANNOUNCED_GROWTH: Final = 4.0

#: Seconds for which an answer that was announced lets us expect that the next ones are, too.
CALLBACKS_EXPECTED_FOR: Final = 3600.0

#: Seconds from a poll to the next one that a callback may bring about: after a quiet time, and while many come.
SHORTEST_CALL_GAP: Final = 1.0

CALL_GAP_OF_MANY: Final = 3.0


#: Seconds that a turn lasts; a process that polls for longer lengthens it half way. So a dead poller is followed by
#: another soon, however long a request may take.
TURN_LASTS: Final = 10.0


def next_poll_interval(
    base: float, last: float, *, news: bool, quickest: float | None = None, overdue_by: float = 0.0
) -> float:
    """Give the seconds until the next poll: short while answers come, longer while nothing happens.

    :param quickest: seconds that an image takes at least lately; an eighth of it is late enough to hear of one.
    :param overdue_by: seconds by which the latest of the overdue images is beyond the usual time.
    """
    longest = LONGEST_POLL_INTERVAL if quickest is None else min(LONGEST_POLL_INTERVAL, quickest / 8)
    growth = FIRST_POLLS_GROWTH if quickest is None else POLL_GROWTH
    longest = max(longest, overdue_interval(overdue_by), base)
    pause = base if news else min(max(last, base) * growth, longest)
    return pause * random.uniform(0.85, 1.15)  # noqa: S311


def overdue_interval(overdue_by: float) -> float:
    """Give the seconds between two polls for images that hang: the longer they hang, the less a minute matters."""
    return min(overdue_by * OVERDUE_SHARE, LONGEST_OVERDUE_INTERVAL)


def pause_until_due(answers: DueAnswers, base: float, interval: float) -> float | None:
    """Give in how many seconds to poll for the images on their way; None if no moment is better than another.

    :param base: seconds between two polls where answers come at any time.
    :param interval: seconds from the last poll to the next, were nothing known to be due.
    """
    due = answers.best_poll(base)
    if due is not None:
        due = _with_looks_between(due, answers.heard_ago)
    if answers.overdue_by is None:
        return due
    if not answers.took:
        return None
    longest = interval if due is None else max(interval, overdue_interval(answers.overdue_by))
    pause = min(_pause_for_late(answers, answers.overdue_by), longest)
    for_late = max(0.0, pause - answers.heard_ago)
    return due if due is not None and due <= for_late + pause * _TOGETHER else for_late


def pause_after_poll(answers: DueAnswers, base: float, last: float, *, news: bool) -> tuple[float, float]:
    """Give the interval between polls as it is now, and the seconds until the next one.

    :param last: the interval as it was.
    """
    overdue_by = answers.overdue_by or 0.0
    interval = next_poll_interval(base, last, news=news, quickest=answers.first_after, overdue_by=overdue_by)
    due = pause_until_due(answers, base, interval)
    return interval, interval if due is None else max(base * SHORTEST_SHARE, _a_little_later(due))


def pause_until_first(answers: DueAnswers) -> float | None:
    """Give in how many seconds to poll for an image that goes out now, and for others close behind it."""
    first = answers.first_after
    return None if first is None else _with_looks_between(first, 0.0)


def put_off_by(answers: DueAnswers, base: float, interval: float) -> float | None:
    """Give by how many seconds a poll is put off that is due: images have been submitted since its time was set.

    :return: None if this is the best moment.
    """
    pause = pause_until_due(answers, base, interval)
    return _a_little_later(pause) if pause else None


def _with_looks_between(due: float, heard_ago: float) -> float:
    """Give the pause that divides a long wait for an answer into equal parts."""
    parts = math.ceil((heard_ago + due) / LONGEST_WAIT_FOR_DUE)
    return due if parts <= 1 else max(0.0, (heard_ago + due) / parts - heard_ago)


def _pause_for_late(answers: DueAnswers, overdue_by: float) -> float:
    """Give the seconds between two polls for images that take longer than others did: often at first."""
    longest = max(one.most for one in answers.took)
    return max(_LATE_AT_LEAST, longest * _LATE_SHARE, overdue_by)


def announced_poll_interval(base: float, last: float, *, news: bool) -> float:
    """Give the seconds until the next poll while callbacks say when to ask: polls are for callbacks that get lost."""
    pause = max(last, base) * (ANNOUNCED_GROWTH if news else 1.0)
    return min(pause, max(LONGEST_ANNOUNCED_INTERVAL, base)) * random.uniform(0.85, 1.15)  # noqa: S311


def call_gap(base: float, seconds_since_last: float | None) -> float:
    """Give the seconds from a poll until a callback may bring about the next: a flood of them is no reason for one.

    :param seconds_since_last: from the poll before to this one; None if there was none.
    """
    gap_of_many = min(base, CALL_GAP_OF_MANY)
    rested = seconds_since_last is None or seconds_since_last >= gap_of_many
    return min(gap_of_many, SHORTEST_CALL_GAP) if rested else gap_of_many


@dataclass(frozen=True, slots=True)
class PollTurn:
    """That it is this process's turn to poll.

    :param taken_at: what was called before that is asked about in this turn.
    :param called: whether a callback had come.
    :param heard_at: when the service was heard before.
    :param until: when it ends, unless it is held.
    """

    taken_at: datetime
    called: bool
    heard_at: datetime | None
    until: datetime


def take_poll_turn(tx: Transaction, settings: AccountSettings) -> PollTurn | None:
    """Take the turn if this process is the one to poll now; the others read the table.

    A turn is due at its time, or when a callback has come, or a submission should have had its answer by now, and the
    last poll is long enough ago. It lasts for some seconds, so that a poller that dies is followed by another.
    """
    accounts = tx.tables.accounts
    called_rows = callbacks.called_rows(tx.tables.images, settings.identity)
    called = tx.connection.execute(called_rows.limit(1)).first() is not None
    due = accounts.c.next_poll_at <= tx.now
    if called or unanswered.any_unanswered(tx, settings.identity):
        due = or_(due, _calls_count(tx))
    elif _is_put_off(tx, settings):
        return None
    until = _turn_ends(tx, settings)
    turn = tx.connection.execute(
        accounts.update()
        .where(accounts.c.account == settings.identity, due)
        .values(next_poll_at=until, calls_from=until, sought_at=None, sought_for=None, updated_at=tx.now)
        .returning(accounts.c.answered_at)
    ).first()
    return None if turn is None else PollTurn(tx.now, called, turn.answered_at, until)


def _is_put_off(tx: Transaction, settings: AccountSettings) -> bool:
    """Put a poll off if a later one is better by now: images have been submitted since the turn was set."""
    row = account_row(tx, settings.identity)
    expected = _callbacks_are_expected(tx, settings, row["announced_at"])
    if row["next_poll_at"] > tx.now or row["poll_failing_since"] is not None or expected:
        return False
    seconds = put_off_by(_due_answers(tx, row), settings.poll_interval, row["poll_interval"])
    if seconds is None:
        return False
    # Another process may poll by now: its turn is its own.
    accounts = tx.tables.accounts
    tx.connection.execute(
        accounts.update()
        .where(accounts.c.account == settings.identity, accounts.c.next_poll_at == row["next_poll_at"])
        .values(next_poll_at=tx.now + timedelta(seconds=seconds), updated_at=tx.now)
    )
    return True


def _a_little_later(pause: float) -> float:
    return pause + random.uniform(*_A_LITTLE_LATER)  # noqa: S311


def turn_seconds(settings: AccountSettings) -> float:
    """Give how long a turn lasts that is not held."""
    return min(TURN_LASTS, settings.submit_deadline)


def hold_poll_turn(tx: Transaction, settings: AccountSettings, until: datetime) -> datetime | None:
    """Lengthen the turn of a process that still polls.

    :param until: when the turn ends, as the process knows it.
    :return: when it ends now; None if another process has taken it meanwhile.
    """
    accounts = tx.tables.accounts
    later = _turn_ends(tx, settings)
    held = tx.connection.execute(
        accounts.update()
        .where(accounts.c.account == settings.identity, accounts.c.next_poll_at == until)
        .values(next_poll_at=later, calls_from=later, updated_at=tx.now)
    )
    return later if held.rowcount else None


def _turn_ends(tx: Transaction, settings: AccountSettings) -> datetime:
    return tx.now + timedelta(seconds=turn_seconds(settings))


def _calls_count(tx: Transaction) -> ColumnElement[bool]:
    """Give the condition that the last poll is long enough ago for a callback to bring about the next."""
    calls_from = tx.tables.accounts.c.calls_from
    return or_(calls_from.is_(None), calls_from <= tx.now)


def is_called_for(tx: Transaction, identity: str) -> bool:
    """Say whether a callback makes a poll due now. Cheap: each waiting process asks every second."""
    accounts = tx.tables.accounts.c
    called = callbacks.called_rows(tx.tables.images, identity).exists()
    due = select(accounts.account).where(accounts.account == identity, _calls_count(tx), called)
    return tx.connection.execute(due).first() is not None


def poll_due_at(state: AccountState) -> datetime:
    """Give when a process should ask the service next."""
    called_at = state.now if state.called else state.unanswered_from
    if called_at is None:
        return state.next_poll_at
    return min(state.next_poll_at, max(called_at, state.calls_from or called_at))


def expect_answer(tx: Transaction, settings: AccountSettings, state: AccountState) -> None:
    """Set the next turn when an image goes out, if no other is on its way or the next turn is far off."""
    if state.in_flight == 0:
        _expect_first_answer(tx, settings)
    elif state.next_poll_at > tx.now + timedelta(seconds=_usual_limit(settings)) and not _is_taken_or_failed(state):
        _bring_forward(tx, settings, state)


def _usual_limit(settings: AccountSettings) -> float:
    """Give the seconds that a turn is away at most, but for images that hang."""
    return max(LONGEST_POLL_INTERVAL, settings.poll_interval) * 1.15


def _is_taken_or_failed(state: AccountState) -> bool:
    """Say whether the next turn is far off because a process polls now, or because the service did not answer."""
    return state.calls_from is not None and state.calls_from >= state.next_poll_at


def _bring_forward(tx: Transaction, settings: AccountSettings, state: AccountState) -> None:
    """Poll soon again: only images that hang were on their way."""
    if _callbacks_are_expected(tx, settings, account_row(tx, settings.identity)["announced_at"]):
        return
    first = _first_answer_after(tx, settings)
    pause = settings.poll_interval if first is None else max(settings.poll_interval, first)
    soon = min(state.next_poll_at, tx.now + timedelta(seconds=pause))
    update_account(tx, settings.identity, poll_interval=settings.poll_interval, next_poll_at=soon)


def _first_answer_after(tx: Transaction, settings: AccountSettings) -> float | None:
    """Give in how many seconds an image that goes out now may have its answer; None if that is not known."""
    return pause_until_first(DueAnswers((), latest_describes(tx, settings.identity)))


def _expect_first_answer(tx: Transaction, settings: AccountSettings) -> None:
    """Set the next turn when the first image of an idle account goes out: polling earlier tells nothing."""
    row = account_row(tx, settings.identity)
    interval, pause = settings.poll_interval, settings.poll_interval
    if _callbacks_are_expected(tx, settings, row["announced_at"]):
        interval = pause = max(interval, row["poll_interval"])
    elif (first := _first_answer_after(tx, settings)) is not None:
        pause = max(first, interval * SHORTEST_SHARE)
    update_account(
        tx,
        settings.identity,
        answered_at=tx.now,
        poll_interval=interval,
        next_poll_at=tx.now + timedelta(seconds=pause),
        calls_from=tx.now,
    )


def poll_answered(tx: Transaction, identity: str) -> None:
    """Record that the service was heard; a long gap since it was last heard is silence."""
    row = account_row(tx, identity)
    heard: datetime | None = row["answered_at"]
    gap = 0.0 if heard is None else (tx.now - heard).total_seconds()
    silence = row["silence"] + (gap if gap > SILENCE_AFTER else 0.0)
    update_account(tx, identity, poll_failing_since=None, answered_at=tx.now, silence=silence)


def set_next_poll(tx: Transaction, settings: AccountSettings, turn: PollTurn, *, news: bool) -> None:
    """Set the next turn: soon while answers come, later while nothing happens, and when an answer is due.

    While callbacks announce the answers it is much later. One answer that came without is enough to poll as before:
    gateways drop them.

    :param news: whether the turn has found that an image had ended.
    """
    row = account_row(tx, settings.identity)
    announced_at = row["announced_at"]
    if news:
        announced_at = tx.now if turn.called else None
    last, base = row["poll_interval"], settings.poll_interval
    if _callbacks_are_expected(tx, settings, announced_at):
        interval = announced_poll_interval(base, last, news=news)
        next_poll_at = tx.now + timedelta(seconds=interval)
    else:
        answers = _due_answers(tx, row)
        interval, pause = pause_after_poll(answers, base, last, news=news)
        next_poll_at = tx.now + timedelta(seconds=pause)
    since_last = None if turn.heard_at is None else (turn.taken_at - turn.heard_at).total_seconds()
    update_account(
        tx,
        settings.identity,
        poll_interval=interval,
        next_poll_at=next_poll_at,
        calls_from=tx.now + timedelta(seconds=call_gap(base, since_last)),
        announced_at=announced_at,
    )


def _due_answers(tx: Transaction, row: Any) -> DueAnswers:
    """Find out which images are on their way since when, and how long the service took of late.

    :param row: of the account.
    """
    ages = [(tx.now - moment).total_seconds() for moment in on_their_way_since(tx, row["account"])]
    heard: datetime | None = row["answered_at"]
    heard_ago = 0.0 if heard is None else max(0.0, (tx.now - heard).total_seconds())
    return DueAnswers(ages, latest_describes(tx, row["account"]), heard_ago)


def _callbacks_are_expected(tx: Transaction, settings: AccountSettings, announced_at: datetime | None) -> bool:
    """Say whether the last answer was announced by a callback, not long ago."""
    if not settings.callbacks or announced_at is None:
        return False
    return (tx.now - announced_at).total_seconds() <= CALLBACKS_EXPECTED_FOR


def poll_failed(tx: Transaction, settings: AccountSettings, retry_after: float | None = None) -> None:
    """Record that a poll came to nothing, and stay away for a while."""
    since = account_row(tx, settings.identity)["poll_failing_since"] or tx.now
    pause = pause_after_no((tx.now - since).total_seconds(), retry_after)
    update_account(
        tx,
        settings.identity,
        poll_failing_since=since,
        poll_failed_at=tx.now,
        next_poll_at=tx.now + timedelta(seconds=pause),
        calls_from=tx.now + timedelta(seconds=pause),
    )
