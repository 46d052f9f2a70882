"""Asking the service about tasks by their ids: many a request where it can, one by one where not."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeAlias

from airflow_midjourney.describe.model.errors import ServiceProtocolError, ServiceUnavailableError
from airflow_midjourney.describe.service.client import ListingUnsupportedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_midjourney.describe.engine.context import Watcher
    from airflow_midjourney.describe.service.tasks import RemoteTask

#: Ids that a listing left out and that are asked for one by one, per poll.
SINGLE_FETCHES: Final = 20

#: What the service says about tasks, by their ids; None for one that it does not know. An id that it could not be
#: asked about is left out.
Answers: TypeAlias = "dict[str, RemoteTask | None]"


async def ask(watcher: Watcher, task_ids: Sequence[str], late_ids: Sequence[str]) -> Answers:
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
    if task_ids and not found:
        # Where not one answer can be read, it may be a server before the service that gives them all.
        await watcher.client.check_access()
    return found
