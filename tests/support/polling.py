"""Images on their way, and a service that is a dict of tasks.

The simulator moves its tasks on by itself and has one clock. These tests need a task in one chosen state, begun at one
chosen moment of the past, and answers that contradict each other; which words of a service mean which state, the
simulator shows in ``test_answers.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from airflow_midjourney.describe.engine.answers.tasks import settle_rows
from airflow_midjourney.describe.engine.context import Watcher
from airflow_midjourney.describe.model.errors import ServiceProtocolError, ServiceUnavailableError
from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.model.status import Reason, Status
from airflow_midjourney.describe.service.client import ListingUnsupportedError, TaskListing
from airflow_midjourney.describe.service.tasks import RemoteTask, RemoteTaskStatus
from airflow_midjourney.describe.table import accounts, results
from tests.support import rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.table.database import Database, Transaction

#: With times that no busy machine takes longer for.
ACCOUNT: Final = replace(
    rows.ACCOUNT,
    max_in_flight=100,
    poll_interval=300.0,
    task_timeout=1000.0,
    queue_timeout=600.0,
    lost_after=300.0,
    refunds_failures=True,
)

PROMPTS: Final = "1️⃣ one --ar 3:2\n\n2️⃣ two --ar 3:2\n\n3️⃣ three --ar 3:2\n\n4️⃣ four --ar 3:2"


def submit(tx: Transaction, number: int, **options: Any) -> list[results.InFlight]:
    """Have the service take so many images, as tasks ``0``, ``1`` and so on."""
    rows.list_images(tx, [rows.listed(f"{index:02}.jpg") for index in range(number)])
    batch = rows.open_batch(tx, **options)
    return [rows.submit_next(tx, batch, str(index), account=ACCOUNT) for index in range(number)]


def described(row: results.InFlight, **facts: Any) -> RemoteTask:
    task = RemoteTask(row.task_id, RemoteTaskStatus.SUCCESS, state=row.submit_token, texts=(PROMPTS,))
    return replace(task, **facts)


def failed(row: results.InFlight, **facts: Any) -> RemoteTask:
    task = RemoteTask(row.task_id, RemoteTaskStatus.FAILURE, state=row.submit_token, fail_reason="internal error")
    return replace(task, **facts)


def at_work(row: results.InFlight, started_at: datetime | None = None) -> RemoteTask:
    status = RemoteTaskStatus.IN_PROGRESS if started_at else RemoteTaskStatus.SUBMITTED
    return RemoteTask(row.task_id, status, state=row.submit_token, start_time=started_at)


def write_answers(
    database: Database, *tasks: RemoteTask, unknown: Sequence[str] = (), account: AccountSettings = ACCOUNT
) -> int:
    """Write what the service says; it could not be asked about any other task."""
    said = {task.id: task for task in tasks} | dict.fromkeys(unknown)
    with database.writing() as tx:
        state = accounts.read_account(tx, account.identity)
        return settle_rows(tx, account, state, results.in_flight(tx, account.identity), said)


def pass_time(database: Database, seconds: float) -> None:
    with database.writing() as tx:
        rows.let_time_pass(tx, timedelta(seconds=seconds))


def statuses(database: Database) -> list[Status]:
    with database.reading() as tx:
        return [Status(row["status"]) for row in rows.image_rows(tx)]


def reasons(database: Database) -> list[Reason | None]:
    with database.reading() as tx:
        return [None if row["reason"] is None else Reason(row["reason"]) for row in rows.image_rows(tx)]


def one_row(database: Database) -> dict[str, Any]:
    with database.reading() as tx:
        (row,) = rows.image_rows(tx)
    return row


def outcomes(database: Database) -> list[Outcome]:
    with database.reading() as tx:
        return [Outcome(entry["outcome"]) for entry in rows.bill(tx)]


@dataclass
class Service:
    """Answers what it is told to, and remembers what it was asked.

    :param tasks: that it knows.
    :param lists: whether it has lists.
    :param hidden: ids that its list leaves out.
    :param errors: what it answers in place of a task, or of a list, by id; ``list`` and ``access`` are such ids, too.
    """

    tasks: dict[str, RemoteTask] = field(default_factory=dict)
    lists: bool = True
    hidden: set[str] = field(default_factory=set)
    errors: dict[str, Exception] = field(default_factory=dict)
    asked: list[Any] = field(default_factory=list)

    def watcher(self, database: Database) -> Watcher:
        """Give a process that polls it."""
        with database.writing() as tx:
            accounts.ensure_account(tx, ACCOUNT)
        return Watcher(database=database, service=cast("Any", None), client=cast("Any", self), account=ACCOUNT)

    async def list_by_condition(self, ids: Sequence[str]) -> TaskListing:
        """Give the tasks that it knows of some."""
        self.asked.append(list(ids))
        self._fail("list")
        if not self.lists:
            raise ListingUnsupportedError("no list")
        return TaskListing({one: self.tasks[one] for one in ids if one in self.tasks and one not in self.hidden})

    async def fetch(self, task_id: str) -> RemoteTask | None:
        """Give one task."""
        self.asked.append(task_id)
        self._fail(task_id)
        return self.tasks.get(task_id)

    async def search_list(self, _look: Any) -> None:
        """Show an empty list."""
        self.asked.append("all")

    async def check_access(self) -> None:
        """Say whether the key may read."""
        self.asked.append("access")
        self._fail("access")

    def _fail(self, what: str) -> None:
        if what in self.errors:
            raise self.errors[what]


AWAY: Final = ServiceUnavailableError("away", retry_helps=True)

UNREADABLE: Final = ServiceProtocolError("a web page")


def some_tasks(*ids: str) -> dict[str, RemoteTask]:
    return {one: RemoteTask(one, RemoteTaskStatus.SUBMITTED) for one in ids}
