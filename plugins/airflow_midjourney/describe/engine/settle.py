"""Asking the service about everything of an account that is on its way, and writing down what has ended."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from airflow_midjourney.describe.engine.reconcile import reconcile
from airflow_midjourney.describe.model.errors import ServiceProtocolError, ServiceUnavailableError, TableError
from airflow_midjourney.describe.model.status import Reason, Status
from airflow_midjourney.describe.service.client import ListingUnsupportedError
from airflow_midjourney.describe.service.dialects.dialect import RemoteTaskStatus
from airflow_midjourney.describe.service.tasks import Described, Ended, RemoteTask, read_answer
from airflow_midjourney.describe.table import accounts, callbacks, poll_schedule, results, submissions
from airflow_midjourney.describe.table.doubt import in_doubt, late_results
from airflow_midjourney.describe.table.duplicates import resolve_shared
from airflow_midjourney.describe.table.results import InFlight, RemoteTimes, TaskAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from airflow_midjourney.describe.engine.context import Watcher
    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.table.accounts import AccountState
    from airflow_midjourney.describe.table.database import Transaction
    from airflow_midjourney.describe.table.doubt.late_results import GivenUp
    from airflow_midjourney.describe.table.poll_schedule import PollTurn

#: Rows whose answers are written in one transaction.
ROWS_TOGETHER: Final = 50

#: Ids that a listing left out and that are asked for one by one, per poll.
SINGLE_FETCHES: Final = 20


#: What the service says about tasks, by their ids; None for one that it does not know. An id that it could not be
#: asked about is left out.
Answers: TypeAlias = "dict[str, RemoteTask | None]"


async def settle(watcher: Watcher) -> int:
    """Write down what has ended, if it is this process's turn to ask; otherwise others do it.

    Safe to call from anywhere, as often as one likes: the account's row says when the next poll is due.

    :return: how many images ended.
    :raises ServiceDeniedError: when the key may not read any more.
    """
    database, account = watcher.database, watcher.account
    found = await database.read(_find_questions, account.identity)
    ended = 0
    if found.any:
        turn = await database.write(poll_schedule.take_poll_turn, account) if found.due else None
        if turn is None:
            return 0
        rows = await database.read(results.in_flight, account.identity)
        try:
            ended = await _poll(watcher, rows)
            ended += await reconcile(watcher)
        except (ServiceUnavailableError, ServiceProtocolError):
            await database.write(poll_schedule.poll_failed, account)
            return ended
        await database.write(_end_turn, account, turn, [row.id for row in rows], news=ended > 0)
    await database.write(_tidy)
    return ended


@dataclass(frozen=True, slots=True)
class _Questions:
    """Whether there is anything to ask the service about, and whether it is time to."""

    any: bool
    due: bool


def _find_questions(tx: Transaction, account: str) -> _Questions:
    state = accounts.read_account(tx, account)
    something = (
        state.in_flight > 0 or bool(late_results.given_up(tx, account)) or bool(in_doubt.unresolved(tx, account))
    )
    return _Questions(something, due=poll_schedule.poll_due_at(state) <= tx.now)


async def _poll(watcher: Watcher, rows: Sequence[InFlight]) -> int:
    """Ask about everything at once, and write what has ended, one row after the other."""
    database, account = watcher.database, watcher.account
    late = await database.read(late_results.given_up, account.identity)
    if not rows and not late:
        return 0
    tasks = await _ask(watcher, [row.task_id for row in rows], [one.task_id for one in late])
    state = await database.write(_heard, account)
    ended = 0
    for start in range(0, len(rows), ROWS_TOGETHER):
        ended += await _settle_some(watcher, state, rows[start : start + ROWS_TOGETHER], tasks)
    for one in late:
        ended += await take_late_answer(watcher, one, tasks.get(one.task_id))
    return ended


async def _settle_some(watcher: Watcher, state: AccountState, rows: Sequence[InFlight], tasks: Answers) -> int:
    """Write what the service said about some rows, in one transaction; singly, if the database refuses one of them."""
    try:
        return await watcher.database.write(_settle_rows, watcher.account, state, rows, tasks)
    except TableError as error:
        if error.retry_helps or len(rows) == 1:
            raise
    ended = [await _settle_some(watcher, state, [row], tasks) for row in rows]
    return sum(ended)


def _settle_rows(
    tx: Transaction, account: AccountSettings, state: AccountState, rows: Sequence[InFlight], tasks: Answers
) -> int:
    """Write what the service said about some rows.

    :return: how many of them ended, or go round again.
    """
    theirs = _tasks_of_rows(tx, rows, tasks)
    if account.refunds_failures and (failed := [row.submit_token for row in rows if _has_failed(theirs.get(row.id))]):
        submissions.refund(tx, failed)
    described: list[TaskAnswer] = []
    ended = 0
    for row in rows:
        if row.task_id not in tasks:
            ended += _end_if_overdue(tx, account, state, row, row.started_at, account.task_timeout)
            continue
        task = theirs.get(row.id)
        if task is None:
            ended += _settle_missing(tx, account, state, row)
            continue
        answer = read_answer(task)
        if isinstance(answer, Described):
            described.append(TaskAnswer(row, answer.prompts, answer.raw, _times(task)))
        elif isinstance(answer, Ended):
            ended += _end(tx, row, answer.reason, answer.detail, _times(task), raw="\n".join(task.texts[:1]))
        else:
            ended += _settle_unfinished(tx, account, state, row, task.start_time)
    return ended + (sum(results.described(tx, described)) if described else 0)


def _tasks_of_rows(tx: Transaction, rows: Sequence[InFlight], tasks: Answers) -> dict[int, RemoteTask]:
    """Give the task of each row that the service knows, by the row's id."""
    found = {row.submit_token: task for row in rows if (task := tasks.get(row.task_id)) is not None}
    theirs = _with_their_own(tx, found)
    return {row.id: found[row.submit_token] for row in rows if row.submit_token in theirs}


def _with_their_own(tx: Transaction, tasks: Mapping[str, RemoteTask]) -> set[str]:
    """Give the submissions whose task is theirs: two submissions in one millisecond may share an id.

    A task with another state is not ours; one without any belongs to neither of two submissions that have its id.

    :param tasks: by the tokens of the submissions.
    """
    shared = submissions.with_a_shared_id(tx, [token for token, task in tasks.items() if not task.state])
    return {token for token, task in tasks.items() if (task.state == token if task.state else token not in shared)}


def _has_failed(task: RemoteTask | None) -> bool:
    """Say whether the service itself reports that a task came to nothing."""
    return task is not None and task.status is RemoteTaskStatus.FAILURE and isinstance(read_answer(task), Ended)


def _times(task: RemoteTask) -> RemoteTimes:
    return RemoteTimes(task.start_time, task.finish_time)


async def _ask(watcher: Watcher, task_ids: Sequence[str], late_ids: Sequence[str]) -> Answers:
    """Ask about tasks; about a few that were given up where each takes a request of its own."""
    try:
        found: Answers = dict((await watcher.client.list_by_condition([*task_ids, *late_ids])).tasks)
    except ListingUnsupportedError:
        some_late = random.sample(late_ids, min(len(late_ids), SINGLE_FETCHES))
        return await _ask_one_by_one(watcher, [*task_ids, *some_late])
    left_out = [task_id for task_id in task_ids if task_id not in found]
    with suppress(ServiceUnavailableError):
        found |= await _ask_one_by_one(watcher, left_out[:SINGLE_FETCHES])
    return found


async def _ask_one_by_one(watcher: Watcher, task_ids: Sequence[str]) -> Answers:
    found: Answers = {}
    for task_id in task_ids:
        try:
            found[task_id] = await watcher.client.fetch(task_id)
        except ServiceProtocolError:
            # An answer that cannot be read says nothing about the task, nor about the others.
            continue
        except ServiceUnavailableError:
            if not found:
                raise
            break
    return found


def _heard(tx: Transaction, account: AccountSettings) -> AccountState:
    poll_schedule.poll_answered(tx, account.identity)
    return accounts.read_account(tx, account.identity)


def _end_turn(tx: Transaction, account: AccountSettings, turn: PollTurn, asked: Sequence[int], *, news: bool) -> None:
    if turn.called:
        callbacks.note_asked(tx, asked, turn.taken_at)
    poll_schedule.set_next_poll(tx, account, turn, news=news)


def _tidy(tx: Transaction) -> None:
    submissions.doubt_overdue(tx)
    resolve_shared(tx)


def _settle_unfinished(
    tx: Transaction, account: AccountSettings, state: AccountState, row: InFlight, began: datetime | None
) -> bool:
    # The earlier of both clocks: one that is ahead would put the end of a task's time off by as much.
    seen = None if began is None else min(began, row.started_at or tx.now, tx.now)
    if seen != row.started_at or row.missing_since is not None:
        results.started(tx, row, RemoteTimes(seen))
    return _end_if_overdue(tx, account, state, row, seen, account.longest_run)


def _end_if_overdue(
    tx: Transaction,
    account: AccountSettings,
    state: AccountState,
    row: InFlight,
    began: datetime | None,
    longest_run: float,
) -> bool:
    limit, since = account.queue_timeout, row.submitted_at
    if began is not None:
        limit, since = longest_run, max(began, row.submitted_at)
    if _answered_seconds(tx, state, since, row.silence_before) <= limit:
        return False
    detail = f"No answer in {limit:.0f} s {'from its start' if began else 'in the queue'} while the service worked."
    return _end(tx, row, Reason.TIMEOUT, detail, RemoteTimes(began))


def _settle_missing(tx: Transaction, account: AccountSettings, state: AccountState, row: InFlight) -> bool:
    if row.missing_since is None:
        results.missed(tx, row, state.silence)
        return False
    if _answered_seconds(tx, state, row.missing_since, row.silence_before_missing) <= account.lost_after:
        return False
    detail = f"The service has not known task {row.task_id} for {account.lost_after:.0f} s."
    return _end(tx, row, Reason.LOST, detail, RemoteTimes())


def _end(tx: Transaction, row: InFlight, reason: Reason, detail: str, times: RemoteTimes, raw: str = "") -> bool:
    status = results.ended(tx, row, reason, detail, times, raw)
    return status in (Status.FAILED, Status.PENDING)


def _answered_seconds(tx: Transaction, state: AccountState, since: datetime, silence_before: float) -> float:
    """Give the seconds since a moment in which the service answered: silence counts for no timeout."""
    return (tx.now - since).total_seconds() - (state.silence - silence_before)


async def take_late_answer(watcher: Watcher, one: GivenUp, task: RemoteTask | None) -> bool:
    """Write the prompts of a task that was given up, if it has some by now.

    :return: True if the row has its prompts by this.
    """
    if task is None or not one.is_answered_by(task):
        return False
    answer = read_answer(task)
    if not isinstance(answer, Described):
        return False
    if not await watcher.database.read(_with_their_own, {one.submit_token: task}):
        return False
    times = RemoteTimes(task.start_time, task.finish_time)
    account = watcher.account.identity
    return await watcher.database.write(late_results.answered_late, account, one, answer.prompts, answer.raw, times)
