"""What became of the tasks of rows that wait for an answer, as one poll heard it.

A row that the service could not be asked about can only be overdue. It is lost only if the service has denied for long
to know its task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_midjourney.describe.model.status import Reason, Status
from airflow_midjourney.describe.service.dialects.dialect import RemoteTaskStatus
from airflow_midjourney.describe.service.tasks import Described, Ended, RemoteTask, read_answer
from airflow_midjourney.describe.table import results, submissions
from airflow_midjourney.describe.table.results import InFlight, RemoteTimes, TaskAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from airflow_midjourney.describe.engine.doubt.ask import Answers
    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.table.accounts import AccountState
    from airflow_midjourney.describe.table.database import Transaction


def settle_rows(
    tx: Transaction, account: AccountSettings, state: AccountState, rows: Sequence[InFlight], tasks: Answers
) -> int:
    """Write what the service said about some rows.

    :return: how many of them ended, or go round again.
    """
    theirs = _tasks_of_rows(tx, rows, tasks)
    if account.refunds_failures and (failed := [row.submit_token for row in rows if has_failed(theirs.get(row.id))]):
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
            described.append(TaskAnswer(row, answer.prompts, answer.raw, times_of(task)))
        elif isinstance(answer, Ended):
            ended += _end(tx, row, answer.reason, answer.detail, times_of(task), raw="\n".join(task.texts[:1]))
        else:
            ended += _settle_unfinished(tx, account, state, row, task.start_time)
    return ended + (sum(results.described(tx, described)) if described else 0)


def _tasks_of_rows(tx: Transaction, rows: Sequence[InFlight], tasks: Answers) -> dict[int, RemoteTask]:
    """Give the task of each row that the service knows, by the row's id."""
    found = {row.submit_token: task for row in rows if (task := tasks.get(row.task_id)) is not None}
    theirs = with_their_own(tx, found)
    return {row.id: found[row.submit_token] for row in rows if row.submit_token in theirs}


def with_their_own(tx: Transaction, tasks: Mapping[str, RemoteTask]) -> set[str]:
    """Give the submissions whose task is theirs: two submissions in one millisecond may share an id.

    A task with another state is not ours; one without any belongs to neither of two submissions that have its id.

    :param tasks: by the tokens of the submissions.
    """
    shared = submissions.with_a_shared_id(tx, [token for token, task in tasks.items() if not task.state])
    return {token for token, task in tasks.items() if (task.state == token if task.state else token not in shared)}


def has_failed(task: RemoteTask | None) -> bool:
    """Say whether the service itself reports that a task came to nothing."""
    return task is not None and task.status is RemoteTaskStatus.FAILURE and isinstance(read_answer(task), Ended)


def times_of(task: RemoteTask) -> RemoteTimes:
    """Give when the service began with a task and ended it, as far as it says so."""
    return RemoteTimes(task.start_time, task.finish_time)


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
