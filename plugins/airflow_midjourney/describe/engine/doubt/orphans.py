"""Asking for orphans: images on their way of accounts that no connection polls any more."""

from __future__ import annotations

import logging
import random
from collections import Counter
from typing import TYPE_CHECKING

from airflow_midjourney.describe.engine.doubt.ask import SINGLE_FETCHES, ask
from airflow_midjourney.describe.engine.reconcile import Search, adopt
from airflow_midjourney.describe.model.errors import (
    ServiceDeniedError,
    ServiceProtocolError,
    ServiceUnavailableError,
)
from airflow_midjourney.describe.service.client import ListingUnsupportedError
from airflow_midjourney.describe.service.settings import host_of
from airflow_midjourney.describe.table import submissions
from airflow_midjourney.describe.table.doubt import orphans

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_midjourney.describe.engine.context import Watcher
    from airflow_midjourney.describe.engine.doubt.ask import Answers
    from airflow_midjourney.describe.service.tasks import RemoteTask
    from airflow_midjourney.describe.table.database import Transaction
    from airflow_midjourney.describe.table.doubt.orphans import Orphan

log = logging.getLogger(__name__)


async def seek_orphans(watcher: Watcher) -> int:
    """Ask this connection's service for the orphans of other accounts, if it is this process's turn.

    A task that bears an orphan's token is its own, whichever service shows it. The same host's tasks are known by their
    ids, too, where it gives no state back. What is found is polled through this connection from then on; what services
    could be asked about for a day in vain is in doubt.

    :return: how many images were found.
    """
    database, account = watcher.database, watcher.account.identity
    wanted = await database.write(orphans.take_turn, account)
    if not wanted:
        return 0
    try:
        tasks = await _ask_about(watcher, [one for one in wanted if one.task_id is not None])
        listed = await _look_for(watcher, [one for one in wanted if one.task_id is None])
    except (ServiceUnavailableError, ServiceProtocolError):
        return 0
    found = await database.write(_take_what_is_ours, account, wanted, tasks, listed)
    await database.write(_conclude, account, {one.account for one in wanted})
    for owner, number in sorted(found.items()):
        log.warning(
            "Connection %r polls %d image(s) from now on that were sent by account %s, which no connection polls any"
            " more: the service shows it their tasks.",
            watcher.service.name,
            number,
            owner,
        )
    return found.total()


async def _ask_about(watcher: Watcher, wanted: Sequence[Orphan]) -> Answers:
    """Ask about tasks by their ids. A service that shows them to their own key only has answered, too."""
    ids = [one.task_id for one in wanted if one.task_id is not None]
    if not ids:
        return {}
    random.shuffle(ids)
    singly = SINGLE_FETCHES // 2
    try:
        return await ask(watcher, ids[:singly], ids[singly:])
    except ServiceDeniedError:
        return {}


async def _look_for(watcher: Watcher, wanted: Sequence[Orphan]) -> list[RemoteTask]:
    """Look for submissions without an answer in the service's list."""
    if not wanted:
        return []
    search = Search(expected={one.submit_token for one in wanted})
    try:
        await watcher.client.search_list(search.look)
    except (ListingUnsupportedError, ServiceDeniedError):
        return []
    return search.found


def _take_what_is_ours(
    tx: Transaction, account: str, wanted: Sequence[Orphan], tasks: Answers, listed: Sequence[RemoteTask]
) -> Counter[str]:
    """Let this account's connections poll what was found.

    :return: how many images, by the account that had sent them.
    """
    found = adopt(tx, listed) | _shown(tx, account, wanted, tasks)
    taken = orphans.take_over(tx, account, found) if found else set()
    return Counter(one.account for one in wanted if one.submit_token in taken)


def _shown(tx: Transaction, account: str, wanted: Sequence[Orphan], tasks: Answers) -> set[str]:
    """Give the tokens of the orphans whose tasks the service has shown."""
    found, without_state = set(), []
    for one in wanted:
        task = tasks.get(one.task_id) if one.task_id is not None else None
        if task is not None and task.state == one.submit_token:
            found.add(one.submit_token)
        elif task is not None and not task.state and host_of(one.account) == host_of(account):
            without_state.append(one.submit_token)
    return found | set(without_state) - submissions.with_a_shared_id(tx, without_state)


def _conclude(tx: Transaction, account: str, sought: set[str]) -> None:
    orphans.note_sought(tx, sought)
    orphans.doubt_unfound(tx, account)
