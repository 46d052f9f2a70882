"""Taking an answer that comes after its row was given up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_midjourney.describe.errors import ServiceProtocolError
from airflow_midjourney.describe.table import late_answers
from airflow_midjourney.describe.table.outcomes import RemoteTimes
from airflow_midjourney.describe.task import Described, RemoteTask, read_answer

if TYPE_CHECKING:
    from airflow_midjourney.describe.crew import Watcher
    from airflow_midjourney.describe.table.late_answers import GivenUp


async def take_late_answer(watcher: Watcher, one: GivenUp, task: RemoteTask | None) -> bool:
    """Write the prompts of a task that was given up, if it has some by now.

    :return: True if the row has its prompts by this.
    """
    if task is None or task.state not in ("", one.submit_token):
        return False
    answer = read_answer(task)
    if not isinstance(answer, Described):
        return False
    times = RemoteTimes(task.start_time, task.finish_time)
    account = watcher.account.identity
    return await watcher.database.write(late_answers.answered_late, account, one, answer.prompts, answer.raw, times)


async def ask_once_more(watcher: Watcher, one: GivenUp) -> bool:
    """Ask for a task that came to nothing, once more, before its image is paid for again.

    :return: True if its row has its prompts by now.
    :raises ServiceDeniedError: when the key may not read.
    :raises ServiceUnavailableError: when there is no answer.
    """
    try:
        task = await watcher.client.fetch(one.task_id)
    except ServiceProtocolError:
        # What nobody can read says nothing about the task, and will not tomorrow.
        return False
    return await take_late_answer(watcher, one, task)
