"""Asking the service about everything of an account that is on its way, and writing down what has ended."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.engine.answers.late import take_late_answer
from airflow_midjourney.describe.engine.answers.tasks import settle_rows
from airflow_midjourney.describe.engine.doubt.ask import ask
from airflow_midjourney.describe.engine.doubt.orphans import seek_orphans
from airflow_midjourney.describe.engine.reconcile import reconcile
from airflow_midjourney.describe.model.errors import ServiceProtocolError, ServiceUnavailableError, TableError
from airflow_midjourney.describe.service.settings import host_of
from airflow_midjourney.describe.table import accounts, callbacks, poll_schedule, results, submissions
from airflow_midjourney.describe.table.doubt import in_doubt, late_results, orphans
from airflow_midjourney.describe.table.duplicates import resolve_shared

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import datetime

    from airflow_midjourney.describe.engine.context import Watcher
    from airflow_midjourney.describe.engine.doubt.ask import Answers
    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.table.accounts import AccountState
    from airflow_midjourney.describe.table.database import Transaction
    from airflow_midjourney.describe.table.poll_schedule import PollTurn
    from airflow_midjourney.describe.table.results import InFlight

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
        rows = await _in_flight(watcher)
        try:
            async with _held(watcher, turn):
                ended = await _poll(watcher, rows)
                if resolved := await reconcile(watcher):
                    # An adopted task may have ended long ago.
                    asked = {row.id for row in rows}
                    adopted = [one for one in await _in_flight(watcher) if one.id not in asked]
                    ended += resolved + (await _poll(watcher, adopted) if adopted else 0)
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


async def _in_flight(watcher: Watcher) -> Sequence[InFlight]:
    return await watcher.database.read(results.in_flight, watcher.account.identity)


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
        return await watcher.database.write(settle_rows, watcher.account, state, rows, tasks)
    except TableError as error:
        if error.retry_helps or len(rows) == 1:
            raise
    ended = [await _settle_some(watcher, state, [row], tasks) for row in rows]
    return sum(ended)


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
