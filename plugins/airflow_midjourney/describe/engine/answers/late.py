"""What became of tasks after their rows were given up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_midjourney.describe.engine.answers.tasks import has_failed, times_of, with_their_own
from airflow_midjourney.describe.service.tasks import Described, RemoteTask, Waiting, read_answer
from airflow_midjourney.describe.table import submissions
from airflow_midjourney.describe.table.doubt import late_results

if TYPE_CHECKING:
    from airflow_midjourney.describe.engine.context import Watcher
    from airflow_midjourney.describe.table.doubt.late_results import GivenUp


async def take_late_answer(watcher: Watcher, one: GivenUp, task: RemoteTask | None) -> bool:
    """Write the prompts of a task that was given up, if it has some by now, or that its money was given back.

    :return: True if the row has its prompts by this.
    """
    if task is None or not one.is_answered_by(task):
        return False
    answer = read_answer(task)
    if isinstance(answer, Waiting) or not await watcher.database.read(with_their_own, {one.submit_token: task}):
        return False
    if not isinstance(answer, Described):
        await _refund_late(watcher, one, task)
        return False
    times = times_of(task)
    account = watcher.account.identity
    return await watcher.database.write(late_results.answered_late, account, one, answer.prompts, answer.raw, times)


async def _refund_late(watcher: Watcher, one: GivenUp, task: RemoteTask) -> None:
    """Record that the service gives the money back for a task that failed after it was given up."""
    account = watcher.account
    if account.refunds_failures and one.account in ("", account.identity) and has_failed(task):
        await watcher.database.write(submissions.refund, [one.submit_token])
