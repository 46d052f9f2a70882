"""Which images of other accounts a connection takes over: by a service that is a dict of tasks."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

import pytest

from airflow_midjourney.describe.engine.context import Watcher
from airflow_midjourney.describe.engine.doubt.ask import SINGLE_FETCHES
from airflow_midjourney.describe.engine.doubt.orphans import seek_orphans
from airflow_midjourney.describe.engine.settle import settle
from airflow_midjourney.describe.model.errors import ServiceDeniedError, ServiceUnavailableError
from airflow_midjourney.describe.model.status import Reason, Status
from airflow_midjourney.describe.service.client import ListingUnsupportedError, TaskListing
from airflow_midjourney.describe.service.tasks import RemoteTask, RemoteTaskStatus
from airflow_midjourney.describe.table import accounts
from airflow_midjourney.describe.table.doubt.orphans import ORPHANED_AFTER, SOUGHT_FOR
from tests.support import rows
from tests.support.remote import show

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_midjourney.describe.table.database import Database

#: The account of a connection to the same host with a new key, and of one to another host.
NEW_KEY: Final = replace(rows.ACCOUNT, identity="https://service.example:443/new")
ELSEWHERE: Final = replace(rows.ACCOUNT, identity="https://elsewhere.example:443/me")

LONG: Final = timedelta(seconds=ORPHANED_AFTER + 600)


@dataclass
class Service:
    """Shows tasks by their ids and in a list, and remembers what it was asked."""

    tasks: list[RemoteTask] = field(default_factory=list)
    lists: bool = True
    error: Exception | None = None
    asked: list[Any] = field(default_factory=list)

    async def list_by_condition(self, ids: Sequence[str]) -> TaskListing:
        """Give the tasks that it knows of some."""
        self.asked.append(sorted(ids))
        if self.error is not None:
            raise self.error
        if not self.lists:
            raise ListingUnsupportedError("no list")
        return TaskListing({task.id: task for task in self.tasks if task.id in ids})

    async def fetch(self, task_id: str) -> RemoteTask | None:
        """Give one task."""
        self.asked.append(task_id)
        return None

    async def search_list(self, look: Callable[[RemoteTask], bool]) -> None:
        """Show all tasks."""
        self.asked.append("all")
        if self.error is not None:
            raise self.error
        show(self.tasks, look)


@dataclass
class Scene:
    """Orphans of one account, and a connection of another that asks for them.

    :param answered: images that were accepted as tasks ``0``, ``1`` and so on.
    :param unanswered: images after them whose submissions had no answer.
    """

    database: Database
    answered: int = 0
    unanswered: int = 0
    account: Any = NEW_KEY

    def __post_init__(self) -> None:
        self.service = Service()
        number = self.answered + self.unanswered
        with self.database.writing() as tx:
            rows.list_images(tx, [rows.listed(f"{index:03}.jpg") for index in range(number)])
            batch = rows.open_batch(tx)
            owner = replace(rows.ACCOUNT, max_in_flight=number)
            for index in range(self.answered):
                rows.submit_next(tx, batch, str(index), account=owner)
            for _ in range(self.unanswered):
                rows.claim_next(tx, batch, account=owner)
            rows.let_time_pass(tx, LONG)
            accounts.ensure_account(tx, self.account)

    @property
    def watcher(self) -> Watcher:
        return Watcher(
            database=self.database,
            service=cast("Any", SimpleNamespace(name="with a new key")),
            client=cast("Any", self.service),
            account=self.account,
        )

    def seek(self) -> int:
        return asyncio.run(seek_orphans(self.watcher))

    @property
    def tokens(self) -> list[str]:
        with self.database.reading() as tx:
            return [row["submit_token"] for row in rows.image_rows(tx)]

    @property
    def owners(self) -> list[str]:
        with self.database.reading() as tx:
            return [row["account"] for row in rows.image_rows(tx)]

    @property
    def statuses(self) -> list[Status]:
        with self.database.reading() as tx:
            return [Status(row["status"]) for row in rows.image_rows(tx)]

    @property
    def sought(self) -> tuple[Any, Any]:
        """When services were asked for the orphans last, and for how long in all."""
        with self.database.reading() as tx:
            row = accounts.account_row(tx, rows.ACCOUNT.identity)
        return row["sought_at"], row["sought_for"]


def task(task_id: str, state: str = "") -> RemoteTask:
    return RemoteTask(task_id, RemoteTaskStatus.IN_PROGRESS, state=state)


THEIRS: Final = rows.ACCOUNT.identity


def test_without_orphans_the_service_is_not_asked(database: Database) -> None:
    scene = Scene(database)

    assert scene.seek() == 0
    assert scene.service.asked == []


@pytest.mark.parametrize("account", [NEW_KEY, ELSEWHERE], ids=["the same host", "another host"])
def test_a_task_with_its_token_is_taken_over_whichever_service_shows_it(database: Database, account: Any) -> None:
    scene = Scene(database, answered=2, account=account)
    scene.service.tasks = [task("1", scene.tokens[1])]

    assert scene.seek() == 1

    assert scene.owners == [THEIRS, account.identity]
    assert scene.service.asked[0] == ["0", "1"]
    assert "all" not in scene.service.asked


@pytest.mark.parametrize(
    ("account", "state", "is_shared", "taken"),
    [
        (NEW_KEY, "", False, True),
        (ELSEWHERE, "", False, False),
        (NEW_KEY, "", True, False),
        (NEW_KEY, "another's", False, False),
    ],
    ids=["the same host", "another host", "an id of two", "another's token"],
)
def test_a_task_without_its_token_is_taken_only_from_the_same_host_and_by_an_id_of_its_own(
    database: Database, account: Any, state: str, is_shared: bool, taken: bool
) -> None:
    scene = Scene(database, answered=2, account=account)
    if is_shared:
        with database.writing() as tx:
            tx.connection.execute(tx.tables.submissions.update().values(task_id="0"))
    scene.service.tasks = [task("0", state)]

    assert scene.seek() == (1 if taken else 0)

    assert scene.owners == [account.identity if taken else THEIRS, THEIRS]


def test_a_submission_without_an_answer_is_looked_for_in_the_list_and_by_no_id(database: Database) -> None:
    scene = Scene(database, unanswered=2)
    scene.service.tasks = [task("others"), task("found", scene.tokens[0])]

    assert scene.seek() == 1

    assert scene.service.asked == ["all"]
    assert scene.statuses[0] is Status.SUBMITTED
    assert scene.owners[0] == NEW_KEY.identity


def test_what_is_found_is_told_by_the_account_that_sent_it(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    scene = Scene(database, answered=2, unanswered=1)
    scene.service.tasks = [task(str(index), token) for index, token in enumerate(scene.tokens)]

    with caplog.at_level(logging.WARNING):
        assert scene.seek() == 3

    (line,) = caplog.messages
    assert f"'with a new key' polls 3 image(s) from now on that were sent by account {THEIRS}" in line


def test_while_the_service_is_away_no_time_of_the_search_passes(database: Database) -> None:
    scene = Scene(database, answered=1)
    scene.service.error = ServiceUnavailableError("away")

    assert scene.seek() == 0
    assert scene.sought == (None, None)


@pytest.mark.parametrize(
    ("answered", "error"),
    [(1, ServiceDeniedError("403")), (0, ServiceDeniedError("403")), (0, ListingUnsupportedError(""))],
)
def test_a_service_that_shows_them_to_their_own_key_only_has_answered_too(
    database: Database, answered: int, error: Exception
) -> None:
    scene = Scene(database, answered=answered, unanswered=1 - answered)
    scene.service.error = error

    assert scene.seek() == 0
    assert scene.sought[0] is not None


def test_what_was_sought_for_a_day_in_vain_is_in_doubt(database: Database) -> None:
    scene = Scene(database, answered=1)
    with database.writing() as tx:
        accounts.update_account(tx, THEIRS, sought_for=SOUGHT_FOR)

    scene.seek()

    assert scene.statuses == [Status.IN_DOUBT]


def test_where_each_task_takes_a_request_only_some_are_asked_about(database: Database) -> None:
    scene = Scene(database, answered=3 * SINGLE_FETCHES)
    scene.service.lists = False

    scene.seek()

    singly = [one for one in scene.service.asked if isinstance(one, str)]
    assert len(singly) == len(set(singly)) == SINGLE_FETCHES // 2 + SINGLE_FETCHES


def test_not_always_the_same_ones_are_asked_about(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    shuffled: list[list[str]] = []
    monkeypatch.setattr("random.shuffle", lambda ids: shuffled.append(list(ids)))
    scene = Scene(database, answered=2)

    scene.seek()

    assert shuffled == [["0", "1"]]


def test_a_poll_of_an_account_without_images_looks_for_the_orphans_of_others_and_polls_what_it_finds(
    database: Database,
) -> None:
    scene = Scene(database, answered=1)
    (token,) = scene.tokens
    text = "1️⃣ one\n\n2️⃣ two\n\n3️⃣ three\n\n4️⃣ four"
    scene.service.tasks = [RemoteTask("0", RemoteTaskStatus.SUCCESS, state=token, texts=(text,))]

    assert asyncio.run(settle(scene.watcher)) == 1
    assert scene.statuses == [Status.SUCCEEDED]


@pytest.mark.parametrize(
    ("account", "bears_its_token", "status"),
    [
        (ELSEWHERE, True, Status.SUCCEEDED),
        (ELSEWHERE, False, Status.FAILED),
        (NEW_KEY, False, Status.SUCCEEDED),
    ],
    ids=["another host", "another host without state", "the same host without state"],
)
def test_a_late_answer_without_its_token_is_taken_only_from_the_same_host(
    database: Database, account: Any, bears_its_token: bool, status: Status
) -> None:
    scene = Scene(database, answered=1, account=account)
    (token,) = scene.tokens
    with database.writing() as tx:
        rows.set_columns(tx, rows.image_rows(tx)[0]["id"], status=Status.FAILED.value, reason=Reason.TIMEOUT.value)
        given_up = {"settled_at": tx.now, "result": Status.FAILED.value, "reason": Reason.TIMEOUT.value}
        tx.connection.execute(tx.tables.submissions.update().values(given_up))
    state = token if bears_its_token else ""
    text = "1️⃣ one\n\n2️⃣ two\n\n3️⃣ three\n\n4️⃣ four"
    scene.service.tasks = [RemoteTask("0", RemoteTaskStatus.SUCCESS, state=state, texts=(text,))]

    asyncio.run(settle(scene.watcher))

    assert scene.statuses == [status]


def test_what_came_into_doubt_only_because_no_connection_asked_is_polled_by_its_own_account_again(
    database: Database,
) -> None:
    scene = Scene(database, answered=1, account=rows.ACCOUNT)
    (token,) = scene.tokens
    with database.writing() as tx:
        rows.set_columns(tx, 1, status="in_doubt", ended_at=tx.now, doubt_checked_at=tx.now)
    scene.service.tasks = [task("0", token)]

    asyncio.run(settle(scene.watcher))

    assert scene.statuses == [Status.SUBMITTED]
