"""One account's rows, and a service of which only the list of tasks is played, with other users' tasks in it.

The simulator has one clock, its machine's, and lists what it was sent. Here a list forgets tasks, is cut off by those
of others, or stems from a clock that is an hour behind, and hours pass between two looks.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

from airflow_midjourney.describe.engine.answers.posts import Posted, record_posts
from airflow_midjourney.describe.engine.context import Watcher
from airflow_midjourney.describe.engine.reconcile import reconcile
from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.describe.service.submit_response import Accepted
from airflow_midjourney.describe.service.tasks import RemoteTask, RemoteTaskStatus
from airflow_midjourney.describe.table import submissions
from airflow_midjourney.describe.table.doubt.unanswered import LOOKED_FOR_AFTER
from tests.support import rows
from tests.support.remote import show

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_midjourney.describe.service.submit_response import SubmitOutcome
    from airflow_midjourney.describe.table.claims import Claim
    from airflow_midjourney.describe.table.database import Database

#: A service that answers nothing but its list of tasks.
ACCOUNT: Final = replace(rows.ACCOUNT, submit_deadline=60.0, doubt_grace=120.0)

MOMENTS: Final = timedelta(seconds=LOOKED_FOR_AFTER + 1)

OVER: Final = timedelta(seconds=ACCOUNT.doubt_after + 1)

CONFIRMED: Final = timedelta(seconds=ACCOUNT.absence_confirmed_after + 1)


@dataclass
class Service:
    """A service with other users; it lists its newest tasks, newest first.

    :param length: of its list; None for all.
    :param behind: how much its clock is behind; None if its answers do not say what time it is.
    :param error: what it answers in place of its list.
    """

    length: int | None = None
    tasks: list[RemoteTask] = field(default_factory=list)
    lists: int = 0
    shown: int = 0
    behind: timedelta | None = None
    error: Exception | None = None

    def takes(self, claim: Claim) -> Accepted:
        """Take an image, and bill it."""
        task_id = f"ours-{len(self.tasks)}"
        self.tasks.append(RemoteTask(task_id, RemoteTaskStatus.SUBMITTED, state=claim.submit_token))
        return Accepted(task_id, 200, 1)

    def takes_of_others(self, number: int, submit_time: Any = None) -> None:
        """Take images of other users."""
        for _ in range(number):
            task_id = f"others-{len(self.tasks)}"
            task = RemoteTask(task_id, RemoteTaskStatus.SUCCESS, state="theirs", submit_time=submit_time)
            self.tasks.append(task)

    async def search_list(self, look: Callable[[RemoteTask], bool]) -> datetime | None:
        """Answer as novicezk or trueai do."""
        self.lists += 1
        if self.error is not None:
            raise self.error
        newest_first = self.tasks[::-1]

        def look_and_count(task: RemoteTask) -> bool:
            self.shown += 1
            return look(task)

        show(newest_first if self.length is None else newest_first[: self.length], look_and_count)
        return None if self.behind is None else datetime.now(UTC) - self.behind

    @property
    def billed(self) -> list[str]:
        """The tokens that were billed."""
        return sorted(task.state for task in self.tasks if task.id.startswith("ours"))


@dataclass
class Table:
    """One account's rows, and a poller beside the workers."""

    database: Database
    service: Service

    def claim(self, number: int = 1) -> list[Claim]:
        """Have a worker claim new images."""
        with self.database.writing() as tx:
            batch = rows.open_batch(tx)
            have = len(rows.image_rows(tx))
            rows.list_images(tx, [rows.listed(f"{have + place}.jpg") for place in range(number)])
            return [rows.claim_next(tx, batch)[1] for _ in range(number)]

    def pass_time(self, gone: timedelta, watcher: Watcher | None = None) -> None:
        """Let time go by in the database, and what it brings about.

        :param watcher: a process that remembers moments; None if there is none.
        """
        if watcher is not None and watcher.list_pace.read_at is not None:
            watcher.list_pace.read_at -= gone
        with self.database.writing() as tx:
            rows.let_time_pass(tx, gone)
        with self.database.writing() as tx:
            submissions.doubt_overdue(tx)

    def watcher(self) -> Watcher:
        """Give a process that polls."""
        return Watcher(
            database=self.database,
            service=cast("Any", None),
            client=cast("Any", SimpleNamespace(search_list=self.service.search_list)),
            account=ACCOUNT,
        )

    def reconcile(self, watcher: Watcher | None = None) -> int:
        """Look for what has no answer, as a poll does.

        :param watcher: None for a process that has not polled before.
        """
        return asyncio.run(reconcile(watcher or self.watcher()))

    def record(self, claim: Claim, outcome: SubmitOutcome) -> None:
        """Have the worker write down what it was told."""
        with self.database.writing() as tx:
            record_posts(tx, ACCOUNT, [Posted(claim, outcome, 1.0)])

    @property
    def statuses(self) -> list[Status]:
        with self.database.reading() as tx:
            return [Status(row["status"]) for row in rows.image_rows(tx)]

    @property
    def tasks(self) -> list[str | None]:
        with self.database.reading() as tx:
            return [row["task_id"] for row in rows.image_rows(tx)]

    @property
    def bill(self) -> list[str]:
        with self.database.reading() as tx:
            return [entry["outcome"] for entry in rows.bill(tx)]

    @property
    def left_to_people(self) -> list[bool]:
        """Whether the service was asked about each row, and nothing follows from its answer."""
        with self.database.reading() as tx:
            return [row["doubt_checked_at"] is not None for row in rows.image_rows(tx)]


def an_older_task(table: Table) -> None:
    """Have the service take and list one of ours, long ago."""
    (claim,) = table.claim()
    table.record(claim, table.service.takes(claim))
    table.pass_time(timedelta(hours=1))
