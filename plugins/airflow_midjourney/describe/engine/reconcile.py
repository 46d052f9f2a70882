"""Finding out about submissions without an answer: taken, never sent, or in doubt."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.model.errors import ServiceProtocolError
from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.service.client import ListingUnsupportedError
from airflow_midjourney.describe.table import submissions
from airflow_midjourney.describe.table.doubt import in_doubt, unanswered
from airflow_midjourney.describe.table.submissions import PostFacts, Taken

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_midjourney.describe.engine.context import Watcher, Worker
    from airflow_midjourney.describe.engine.doubt.list_pace import ListPace
    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.service.tasks import RemoteTask
    from airflow_midjourney.describe.table.database import Transaction
    from airflow_midjourney.describe.table.doubt.in_doubt import Doubt

log = logging.getLogger(__name__)

#: ``Date`` leaves out the part of a second (RFC 9110, 5.6.7).
_PART_OF_A_SECOND: Final = timedelta(seconds=1)


async def reconcile(watcher: Watcher) -> int:
    """Look for submissions without an answer in the service's list of tasks.

    A task that bears one of our tokens is adopted at once, also beside a worker that still waits for the answer: what
    that worker records is no news then. Absence proves something of doubtful rows only, whose time for an answer is
    over. new-api has no list of tasks: there, and wherever the list does not reach back far enough, they stay doubtful.
    A long list is read no further than to the last submission that should be on it, and ever more rarely for one that
    is not.

    :return: how many rows have found their task, or are not doubtful any more.
    :raises ServiceError: when the service cannot be asked now; the rows are asked about again later.
    """
    database, account = watcher.database, watcher.account
    missed = await database.read(_find_missed, account)
    if not missed.is_worth_a_list(watcher):
        return 0
    search = await database.read(_what_to_look_for, account.identity, missed, watcher.list_pace)
    asked_at = datetime.now(UTC)
    try:
        search.note_clock(asked_at, await watcher.client.search_list(search.look))
    except ListingUnsupportedError:
        watcher.finds_tasks = False
        await _give_up(watcher, missed.doubts)
        return 0
    except ServiceProtocolError:
        # A list that cannot be read now may be readable later, but not for ever.
        await _give_up(watcher, [doubt for doubt in missed.doubts if doubt.doubtful_for > account.lost_after])
        return 0
    if search.expected:
        watcher.list_pace.read_at, watcher.list_pace.tasks = missed.now, search.tasks
    adopted = await database.write(adopt, search.found)
    resolved = len(adopted)
    for doubt in missed.doubts:
        if doubt.submit_token not in adopted:
            resolved += await database.write(_conclude, account, doubt, search)
    return resolved


@dataclass(frozen=True, slots=True)
class _Missed:
    """What has no answer.

    :param unanswered: submissions that should have been answered by now and may still be: when each was claimed.
    :param doubts: submissions whose time for an answer is over.
    """

    now: datetime
    unanswered: Mapping[str, datetime]
    doubts: list[Doubt]

    def is_worth_a_list(self, watcher: Watcher) -> bool:
        """Say whether the service's list is worth asking for: it may be tens of megabytes."""
        pace, confirmed_after = watcher.list_pace, watcher.account.absence_confirmed_after
        if watcher.finds_tasks and any(pace.is_due(claimed, self.now) for claimed in self.unanswered.values()):
            return True
        return any(doubt.absent_for is None or doubt.absent_for >= confirmed_after for doubt in self.doubts)


def _find_missed(tx: Transaction, account: AccountSettings) -> _Missed:
    return _Missed(tx.now, unanswered.unanswered(tx, account.identity), in_doubt.unresolved(tx, account.identity))


@dataclass(slots=True)
class Search:
    """What is looked for in the service's list, and what was seen of it; the list itself is not kept.

    :param expected: tokens for which it is read to its end: of submissions that should be on it, or whose absence
        proves something.
    :param hoped: tokens of other submissions without a task, that are taken where they are seen.
    :param older: for each doubtful submission, the tokens of accepted ones that are older.
    :param claimed: when accepted submissions were claimed, by their tokens.
    :param found: tasks that bear such tokens.
    :param seen: tokens of older submissions that the list shows.
    :param oldest: when the oldest task that it shows was submitted, by the service's clock.
    :param behind: by how much that clock is surely behind ours: no task of ours is older than its claim. None while
        nothing says what time it is by that clock.
    :param tasks: how many it has shown.
    """

    expected: set[str]
    hoped: set[str] = field(default_factory=set)
    older: dict[str, frozenset[str]] = field(default_factory=dict)
    claimed: dict[str, datetime] = field(default_factory=dict)
    found: list[RemoteTask] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    oldest: datetime | None = None
    behind: timedelta | None = None
    tasks: int = 0
    _witnesses: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self._witnesses = frozenset().union(*self.older.values())

    def look(self, task: RemoteTask) -> bool:
        """Take note of a task of the list.

        :return: True if all that is expected was found: then nothing has to be proved.
        """
        self.tasks += 1
        for wanted in (self.expected, self.hoped):
            if task.state in wanted:
                wanted.remove(task.state)
                self.found.append(task)
        if task.state in self._witnesses:
            self.seen.add(task.state)
        if task.submit_time is not None:
            self.oldest = min(self.oldest or task.submit_time, task.submit_time)
            if claimed_at := self.claimed.get(task.state):
                self._note_behind(claimed_at - task.submit_time)
        return not self.expected

    def note_clock(self, asked_at: datetime, moment: datetime | None) -> None:
        """Take note of what time it was by the service's own clock when it answered, some time after it was asked."""
        if moment is not None:
            self._note_behind(asked_at - moment - _PART_OF_A_SECOND)

    def _note_behind(self, difference: timedelta) -> None:
        self.behind = max(self.behind or timedelta(), difference)

    def reaches_back_to(self, moment: datetime) -> bool:
        """Say whether the list surely shows a task that is older: not by a clock of which nothing is known."""
        return self.oldest is not None and self.behind is not None and self.oldest + self.behind < moment


def _what_to_look_for(tx: Transaction, account: str, missed: _Missed, pace: ListPace) -> Search:
    claimed = unanswered.without_a_task(tx, account)
    due = {token for token, moment in claimed.items() if pace.is_due(moment, missed.now)}
    expected = due | set(missed.unanswered) | {doubt.submit_token for doubt in missed.doubts}
    older = {doubt.submit_token: in_doubt.witnesses(tx, account, doubt).submit_tokens for doubt in missed.doubts}
    accepted = in_doubt.claims_of_accepted(tx, account) if missed.doubts else {}
    return Search(expected, set(claimed) - expected, older, accepted)


def adopt(tx: Transaction, tasks: Sequence[RemoteTask]) -> set[str]:
    """Take the tasks that bear tokens of submissions without one.

    :return: the tokens whose rows have their task by this.
    """
    facts = PostFacts(detail="adopted: the service lists a task with this row's token")
    taken = [Taken(task.state, task.id, facts) for task in tasks]
    moved = submissions.accepted(tx, taken) if taken else []
    return {post.submit_token for post, has_moved in zip(taken, moved, strict=True) if has_moved}


async def _give_up(watcher: Watcher, open_doubts: Iterable[Doubt]) -> None:
    for doubt in open_doubts:
        await watcher.database.write(in_doubt.cannot_tell, doubt)


async def resubmit_doubtful(worker: Worker, batch: Batch) -> None:
    """Let some of the rows in doubt be sent again, where the batch that sent them is to do so."""
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


def _conclude(tx: Transaction, account: AccountSettings, doubt: Doubt, search: Search) -> bool:
    """Conclude from a list that lacks a doubtful submission what it allows to.

    :return: True if the row is not doubtful any more.
    """
    if not _has_witness(account, doubt, search):
        if doubt.doubtful_for >= account.absence_confirmed_after:
            in_doubt.cannot_tell(tx, doubt)
        return False
    if doubt.absent_for is None or doubt.absent_for < account.absence_confirmed_after:
        in_doubt.note_absent(tx, doubt)
        return False
    facts = PostFacts(detail="never sent: the service's lists reach back further and lack it")
    outcome = Outcome.BROKEN_OFF if doubt.was_broken_off else Outcome.NEVER_SENT
    return submissions.not_taken(tx, doubt.submit_token, outcome, facts)


def _has_witness(account: AccountSettings, doubt: Doubt, search: Search) -> bool:
    """Say whether a list surely reaches back to before a submission: only then is it a proof that it lacks it.

    A service that has been restarted may list nothing, and one that lists its newest tasks only those of others.
    """
    if older := search.older[doubt.submit_token]:
        return not older.isdisjoint(search.seen)
    # The service's clock is not ours, and may be wrong by more than is seen.
    return search.reaches_back_to(doubt.claimed_at - timedelta(seconds=account.doubt_grace))
