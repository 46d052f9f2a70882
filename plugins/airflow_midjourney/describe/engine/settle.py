"""Asking the service about everything of an account that is on its way, and writing down what has ended."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.engine.doubt.ask import ask
from airflow_midjourney.describe.engine.doubt.orphans import seek_orphans
from airflow_midjourney.describe.engine.reconcile import reconcile
from airflow_midjourney.describe.model.errors import ServiceProtocolError, ServiceUnavailableError, TableError
from airflow_midjourney.describe.model.status import Reason, Status
from airflow_midjourney.describe.service.dialects.dialect import RemoteTaskStatus
from airflow_midjourney.describe.service.settings import host_of
from airflow_midjourney.describe.service.tasks import Described, Ended, RemoteTask, Waiting, read_answer
from airflow_midjourney.describe.table import accounts, callbacks, poll_schedule, results, submissions
from airflow_midjourney.describe.table.doubt import in_doubt, late_results, orphans
from airflow_midjourney.describe.table.duplicates import resolve_shared
from airflow_midjourney.describe.table.results import InFlight, RemoteTimes, TaskAnswer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from datetime import datetime

    from airflow_midjourney.describe.engine.context import Watcher
    from airflow_midjourney.describe.engine.doubt.ask import Answers
    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.table.accounts import AccountState
    from airflow_midjourney.describe.table.database import Transaction
    from airflow_midjourney.describe.table.doubt.late_results import GivenUp
    from airflow_midjourney.describe.table.poll_schedule import PollTurn

#: Rows whose answers are written in one transaction.
ROWS_TOGETHER: Final = 50


async def settle(watcher: Watcher) -> int:
    """Write down what has ended, if it is this process's turn to ask; otherwise others do it.

    Safe to call from anywhere, as often as one likes: the account's row says when the next poll is due.

    :return: how many images ended.
    :raises ServiceDeniedError: when the key may not read any more.
    """
    database, account = watcher.database, watcher.account
    found = await database.read(_find_questions, account.identity)
    if found.orphans:
        await seek_orphans(watcher)
        found = await database.read(_find_questions, account.identity)
    ended = 0
    if found.any:
        turn = await database.write(poll_schedule.take_poll_turn, account) if found.due else None
        if turn is None:
            return 0
        if found.to_reclaim:
            await database.write(orphans.reclaim, account.identity)
        rows = await database.read(results.in_flight, account.identity)
        try:
            async with _held(watcher, turn):
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
    """What there is to ask the service about.

    :param any: whether there is anything of the account's own.
    :param due: whether it is time to.
    :param to_reclaim: whether rows are in doubt only because no connection has asked for a day.
    :param orphans: whether images of other accounts wait to be asked about.
    """

    any: bool
    due: bool
    to_reclaim: bool
    orphans: bool


def _find_questions(tx: Transaction, account: str) -> _Questions:
    state = accounts.read_account(tx, account)
    to_reclaim = orphans.any_to_reclaim(tx, account)
    something = (
        state.in_flight > 0
        or to_reclaim
        or bool(late_results.given_up(tx, account))
        or bool(in_doubt.unresolved(tx, account))
    )
    return _Questions(
        something,
        due=poll_schedule.poll_due_at(state) <= tx.now,
        to_reclaim=to_reclaim,
        orphans=orphans.may_be_sought(tx, account),
    )


@asynccontextmanager
async def _held(watcher: Watcher, turn: PollTurn) -> AsyncIterator[None]:
    """Hold the turn while the block polls, however long the service takes."""
    holding = asyncio.create_task(_hold(watcher, turn.until))
    try:
        yield
    finally:
        holding.cancel()
        await asyncio.wait([holding])


async def _hold(watcher: Watcher, until: datetime | None) -> None:
    with suppress(TableError):
        while until is not None:
            await asyncio.sleep(poll_schedule.turn_seconds(watcher.account) / 2)
            until = await watcher.database.write(poll_schedule.hold_poll_turn, watcher.account, until)


async def _poll(watcher: Watcher, rows: Sequence[InFlight]) -> int:
    """Ask about everything at once, and write what has ended, one row after the other."""
    database, account = watcher.database, watcher.account
    late = await database.read(late_results.given_up, account.identity)
    if not rows and not late:
        return 0
    tasks = await ask(watcher, [row.task_id for row in rows], [one.task_id for one in late])
    state = await database.write(_heard, account)
    ended = 0
    for start in range(0, len(rows), ROWS_TOGETHER):
        ended += await _settle_some(watcher, state, rows[start : start + ROWS_TOGETHER], tasks)
    for one in late:
        task = tasks.get(one.task_id)
        if task is not None and (task.state or host_of(one.account) == host_of(account.identity)):
            # An id alone says nothing at another host.
            ended += await take_late_answer(watcher, one, task)
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
    """Write the prompts of a task that was given up, if it has some by now, or that its money was given back.

    :return: True if the row has its prompts by this.
    """
    if task is None or not one.is_answered_by(task):
        return False
    answer = read_answer(task)
    if isinstance(answer, Waiting) or not await watcher.database.read(_with_their_own, {one.submit_token: task}):
        return False
    if not isinstance(answer, Described):
        await _refund_late(watcher, one, task)
        return False
    times = RemoteTimes(task.start_time, task.finish_time)
    account = watcher.account.identity
    return await watcher.database.write(late_results.answered_late, account, one, answer.prompts, answer.raw, times)


async def _refund_late(watcher: Watcher, one: GivenUp, task: RemoteTask) -> None:
    """Record that the service gives the money back for a task that failed after it was given up."""
    account = watcher.account
    if account.refunds_failures and one.account in ("", account.identity) and _has_failed(task):
        await watcher.database.write(submissions.refund, [one.submit_token])
