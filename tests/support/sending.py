"""A worker with a service and a store that are played: one answer to a POST, at a moment that a test chooses.

Tests with it look into the table while an answer is on its way, have several claims meet in one transaction, or read
an object drop by drop: neither the simulator nor an S3 server can be stopped there. What each answer of a service comes
to, the simulator plays in ``tests/engine/sending/test_answers_of_services.py``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

from airflow_midjourney.describe.engine.context import Worker
from airflow_midjourney.describe.engine.refusals.denials import Denials
from airflow_midjourney.describe.engine.send import ImageSender
from airflow_midjourney.describe.model.errors import (
    ServiceUnavailableError,
)
from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.model.status import Reason, Status
from airflow_midjourney.describe.service.submit_response import (
    Accepted,
    Full,
)
from airflow_midjourney.describe.service.tasks import RemoteTask, RemoteTaskStatus
from airflow_midjourney.describe.storage.listed_images import StoredImage
from airflow_midjourney.describe.table import accounts, leases, results
from tests.support import rows
from tests.support.images import jpeg

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from airflow_midjourney.describe.service.submit_response import SubmitOutcome
    from airflow_midjourney.describe.storage.listed_images import ListedImage
    from airflow_midjourney.describe.table.database import Database, Transaction
    from airflow_midjourney.describe.table.leases import ReservedImage

#: With times that no busy machine takes longer for.
ACCOUNT: Final = replace(rows.ACCOUNT, poll_interval=1000.0, doubt_grace=500.0)

PROMPTS: Final = "1️⃣ one\n\n2️⃣ two\n\n3️⃣ three\n\n4️⃣ four"

YES: Final = Accepted("", 200, 1)

FULL: Final = Full(None, 429, 23, "queue full")

AWAY: Final = ServiceUnavailableError("away", retry_helps=True)


@dataclass
class Service:
    """Answers POSTs in turn, the last answer for ever, and questions about tasks by a dict.

    :param during: what happens elsewhere while it is asked about a task.
    """

    database: Database
    answers: list[SubmitOutcome] = field(default_factory=lambda: [YES])
    tasks: dict[str, RemoteTask | Exception] = field(default_factory=dict)
    access: Exception | None = None
    posts: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    during: Callable[[], None] = lambda: None

    async def submit_describe(self, **post: Any) -> SubmitOutcome:
        """Answer a POST."""
        self.posts.append(post)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return replace(answer, task_id=f"new-{len(self.posts)}") if isinstance(answer, Accepted) else answer

    async def fetch(self, task_id: str) -> RemoteTask | None:
        """Give one task."""
        self.asked.append(task_id)
        self.during()
        task = self.tasks.get(task_id)
        if isinstance(task, Exception):
            raise task
        return task

    async def check_access(self) -> None:
        """Say whether the key may read."""
        self.asked.append("access")
        self.during()
        if self.access is not None:
            raise self.access


@dataclass
class Scene:
    """A worker, its batch and so many listed images, each with bytes of its own.

    :param bodies: bytes of objects, or what reading them raises, by key.
    """

    database: Database
    images: int = 3
    account: Any = ACCOUNT
    bodies: dict[str, bytes | Exception] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.service = Service(self.database)
        with self.database.writing() as tx:
            rows.list_images(tx, [rows.listed(f"{number}.jpg") for number in range(self.images)])
            self.batch = rows.open_batch(tx, **self.options)
            rows.set_account(tx, answered_at=tx.now)
        self.worker = Worker(
            database=self.database,
            service=cast("Any", SimpleNamespace(name="midjourney_default", base_url="https://service.example")),
            client=cast("Any", self.service),
            account=self.account,
            images=cast("Any", self),
            holder="holder",
        )

    def read(self, image: ListedImage, _suspect: Callable[[], None] = lambda: None) -> StoredImage:
        """Give an object, as the store does, quickly enough for its bytes to be no suspects."""
        body = self.bodies.get(image.key) or jpeg(int(image.key.split(".")[0]), size=16)
        if isinstance(body, Exception):
            raise body
        return StoredImage(image, body, "version-1")

    def reserve(self, number: int = 1) -> list[ReservedImage]:
        with self.database.writing() as tx:
            return leases.reserve(tx, self.batch, self.worker.holder, number)

    def send(self, row: ReservedImage | None = None) -> bool:
        """Send one image."""
        wanted = row or self.reserve()[0]
        return self.run(lambda: ImageSender(self.worker, self.batch, Denials()).send(wanted))

    def send_together(self, reserved: Sequence[ReservedImage]) -> list[bool | BaseException]:
        """Send images side by side, without regard to what became of others."""

        async def all_of_them() -> list[bool | BaseException]:
            sender = ImageSender(self.worker, self.batch, Denials())
            return await asyncio.gather(*map(sender.send, reserved), return_exceptions=True)

        return self.run(all_of_them)

    def run(self, do: Callable[[], Awaitable[Any]]) -> Any:
        async def within_a_loop() -> Any:
            return await do()

        return asyncio.run(within_a_loop())

    @property
    def rows(self) -> list[dict[str, Any]]:
        with self.database.reading() as tx:
            return rows.image_rows(tx)

    @property
    def statuses(self) -> list[Status]:
        return [Status(row["status"]) for row in self.rows]

    @property
    def bill(self) -> list[Outcome]:
        with self.database.reading() as tx:
            return [Outcome(entry["outcome"]) for entry in rows.bill(tx)]

    @property
    def state(self) -> accounts.AccountState:
        with self.database.reading() as tx:
            return accounts.read_account(tx, ACCOUNT.identity)

    def change(self, do: Callable[[Transaction], object]) -> None:
        with self.database.writing() as tx:
            do(tx)


def described(task_id: str, state: str = "") -> RemoteTask:
    return RemoteTask(task_id, RemoteTaskStatus.SUCCESS, state=state, texts=(PROMPTS,))


def sent_before(scene: Scene, number: int = 1) -> None:
    """Have images been sent, and their tasks timed out, so that they are to be sent again."""
    with scene.database.writing() as tx:
        for index in range(number):
            row = rows.submit_next(tx, scene.batch, f"old-{index}", body=f"{index}")
            results.ended(tx, row, Reason.TIMEOUT, "too long", results.RemoteTimes(), "")
            digest = rows.content(f"{index}").content_sha256
            rows.set_columns(tx, row.id, not_before=None, content_sha256=digest)
