"""Asking about tasks that bytes had before, through the connection that paid for them, before they are paid again."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from airflow_midjourney.describe.engine.answers.late import take_late_answer
from airflow_midjourney.describe.model.errors import (
    BatchError,
    DescribeError,
    ServiceDeniedError,
    ServiceProtocolError,
    ServiceUnavailableError,
)
from airflow_midjourney.describe.service.settings import host_of
from airflow_midjourney.describe.service.tasks import Waiting, read_answer
from airflow_midjourney.describe.table import leases
from airflow_midjourney.describe.table.batches import read_batch
from airflow_midjourney.describe.table.doubt import former_tasks

if TYPE_CHECKING:
    from airflow_midjourney.describe.engine.context import Worker
    from airflow_midjourney.describe.service.tasks import RemoteTask
    from airflow_midjourney.describe.table.doubt.late_results import GivenUp

log = logging.getLogger(__name__)


async def needs_no_new_task(worker: Worker, image_id: int, former: GivenUp) -> bool:
    """Ask for a task that the bytes of a reserved row had before.

    While the service gives no answer, or one that cannot be read, nothing is paid for again as long as there is
    patience. A task that it still works on is waited for.

    :return: True if there is nothing to submit, at least for now.
    :raises ServiceDeniedError: when the key may not read.
    """
    database = worker.database
    try:
        task = await _ask(worker, former)
    except (ServiceUnavailableError, ServiceProtocolError):
        return await database.write(former_tasks.postpone, image_id, worker.holder, former)
    except DescribeError:
        await database.write(leases.release, [image_id], worker.holder)
        raise
    if former.is_unheard:
        await database.write(former_tasks.was_heard, former)
    if await take_late_answer(worker, former, task):
        return True
    if task is None or not former.is_answered_by(task) or not isinstance(read_answer(task), Waiting):
        return False
    if former.age > worker.account.longest_run:
        return False
    return await database.write(former_tasks.resume, former)


async def _ask(worker: Worker, former: GivenUp) -> RemoteTask | None:
    """Ask for one task.

    :return: None if the service does not know it, or no connection can ask for it any more.
    """
    if former.account == worker.account.identity:
        return await worker.client.fetch(former.task_id)
    return await _ask_elsewhere(worker, former)


async def _ask_elsewhere(worker: Worker, former: GivenUp) -> RemoteTask | None:
    """Ask for a task of another account, through the connection that the batch of its submission names.

    Where that is not the same account any more, the worker's own asks, if it is to the same host: a new key often sees
    what the former one has paid for.
    """
    try:
        batch = await worker.database.read(read_batch, former.batch_id)
        async with worker.open_other_account(batch.options.mj_conn_id, former.account) as client:
            if client is not None:
                return await client.fetch(former.task_id)
    except (BatchError, ServiceDeniedError) as error:
        log.debug("Task %s of another account: %s", former.task_id, error)
    if host_of(former.account) == host_of(worker.account.identity):
        with suppress(ServiceDeniedError):
            if task := await worker.client.fetch(former.task_id):
                return task
    log.warning(
        "Task %s of account %s was paid for with the same bytes, and no connection can ask for it any more: they are"
        " sent again. Restore the connection, or give it a fixed extra 'account'.",
        former.task_id,
        former.account,
    )
    return None
