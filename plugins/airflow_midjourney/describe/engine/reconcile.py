"""Finding out about submissions without an answer: taken, never sent, or in doubt."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow_midjourney.describe.model.errors import ServiceProtocolError
from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.service.client import ListingUnsupportedError
from airflow_midjourney.describe.service.dialects import shortest_full_list
from airflow_midjourney.describe.table import in_doubt, submissions
from airflow_midjourney.describe.table.submissions import PostFacts, Taken

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_midjourney.describe.engine.context import Watcher, Worker
    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.service.tasks import RemoteTask
    from airflow_midjourney.describe.table.database import Transaction
    from airflow_midjourney.describe.table.in_doubt import Doubt

log = logging.getLogger(__name__)


async def resolve_doubts(watcher: Watcher) -> int:
    """Ask the service about every doubtful row of the account, once each.

    A row whose token the service knows is adopted, and nothing is paid. One that was surely never sent is pending
    again. new-api has no list of tasks: there, and wherever the list does not reach back far enough, the row stays
    doubtful.

    :return: how many rows are not doubtful any more.
    :raises ServiceError: when the service cannot be asked now; the rows are asked about again later.
    """
    database, account = watcher.database, watcher.account.identity
    open_doubts = await database.read(in_doubt.unresolved, account)
    if not open_doubts:
        return 0
    try:
        tasks = await watcher.client.list_all()
    except ListingUnsupportedError:
        await _give_up(watcher, open_doubts)
        return 0
    except ServiceProtocolError:
        # A list that cannot be read now may be readable later, but not for ever.
        await _give_up(watcher, [doubt for doubt in open_doubts if doubt.doubtful_for > watcher.account.lost_after])
        return 0
    resolved = 0
    for doubt in open_doubts:
        resolved += await database.write(_resolve, account, doubt, tasks)
    return resolved


async def _give_up(watcher: Watcher, open_doubts: Iterable[Doubt]) -> None:
    for doubt in open_doubts:
        await watcher.database.write(in_doubt.cannot_tell, doubt)


async def resubmit_doubtful(worker: Worker, batch: Batch) -> None:
    """Let some of the rows in doubt be sent again, if the batch is to do so."""
    if batch.options.in_doubt != "resubmit":
        return
    images = await worker.database.write(in_doubt.release_for_resubmission, batch, worker.account.identity)
    for image_uri in images:
        log.warning(
            "%s had no answer to its submission and the service cannot be asked about it: sending it again, which may"
            " cost a second %s.",
            image_uri,
            _price(worker),
        )


def _price(worker: Worker) -> str:
    account = worker.account
    return "price" if account.price is None else f"{account.price.normalize():f} {account.currency or ''}".rstrip()


def _resolve(tx: Transaction, account: str, doubt: Doubt, tasks: Iterable[RemoteTask]) -> bool:
    by_state = {task.state: task for task in tasks if task.state}
    taken = by_state.get(doubt.submit_token)
    if taken is not None:
        facts = PostFacts(detail="adopted: the service lists a task with this row's token")
        return submissions.accepted(tx, [Taken(doubt.submit_token, taken.id, facts)])[0]
    if _was_never_sent(tx, account, doubt, by_state, len(list(tasks))):
        if not in_doubt.is_absent_again(tx, doubt):
            return False
        facts = PostFacts(detail="never sent: the service's lists reach back further and lack it")
        outcome = Outcome.BROKEN_OFF if doubt.was_broken_off else Outcome.NEVER_SENT
        return submissions.not_taken(tx, doubt.submit_token, outcome, facts)
    in_doubt.cannot_tell(tx, doubt)
    return False


def _was_never_sent(tx: Transaction, account: str, doubt: Doubt, by_state: dict[str, RemoteTask], listed: int) -> bool:
    """Say whether absence from the list is proof: only if the list surely reaches back to before the submission."""
    older = in_doubt.witnesses(tx, account, doubt).submit_tokens
    if older:
        return not older.isdisjoint(by_state)
    return listed < shortest_full_list()
