"""What one image's way to the service writes, and which others follow: by a service and a store that are fakes."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

import pytest

from airflow_midjourney.describe.engine import send as send_module
from airflow_midjourney.describe.engine import submit as submit_module
from airflow_midjourney.describe.engine.context import Worker
from airflow_midjourney.describe.engine.refusals.denials import Denials
from airflow_midjourney.describe.engine.send import ImageSender, Posted, _record
from airflow_midjourney.describe.engine.submit import Round, find_room, has_access, submit_some
from airflow_midjourney.describe.imaging.prepare import PreparedImage, prepare
from airflow_midjourney.describe.model.clock import awake_or_asleep
from airflow_midjourney.describe.model.errors import (
    ObjectDeniedError,
    ServiceDeniedError,
    ServiceUnavailableError,
    StorageUnavailableError,
    TableConflictError,
    TableError,
)
from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.model.status import Reason, Status
from airflow_midjourney.describe.service.callback_url import digest_of
from airflow_midjourney.describe.service.submit_response import (
    Accepted,
    Ambiguous,
    Denied,
    Full,
    HeldBack,
    Refused,
    Unavailable,
)
from airflow_midjourney.describe.service.tasks import RemoteTask, RemoteTaskStatus
from airflow_midjourney.describe.storage.objects import StoredImage
from airflow_midjourney.describe.table import accounts, claims, leases, results
from tests.support import rows
from tests.support.images import jpeg

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.service.submit_response import SubmitOutcome
    from airflow_midjourney.describe.storage.objects import ListedImage
    from airflow_midjourney.describe.table.claims import Claim, ClaimResult
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


@pytest.fixture
def scene(database: Database) -> Scene:
    return Scene(database)


@pytest.mark.parametrize(
    ("answer", "others_follow", "status", "outcome"),
    [
        (YES, True, Status.SUBMITTED, Outcome.ACCEPTED),
        (FULL, False, Status.PENDING, Outcome.FULL),
        (Unavailable(None, 502, None, "bad gateway"), False, Status.PENDING, Outcome.UNAVAILABLE),
        (Ambiguous(500, None, "error"), False, Status.SUBMITTING, Outcome.AMBIGUOUS),
        (Refused(Reason.BANNED, 200, 24, "banned"), True, Status.FAILED, Outcome.REFUSED),
        (HeldBack("held back"), True, Status.PENDING, Outcome.NEVER_SENT),
        (Denied("forbidden", 403, None, "firewall"), True, Status.PENDING, Outcome.DENIED),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, bool | str) else str(value),
)
def test_each_answer_is_written_and_says_whether_others_follow(
    scene: Scene, answer: SubmitOutcome, others_follow: bool, status: Status, outcome: Outcome
) -> None:
    scene.service.answers = [answer]

    assert scene.send() is others_follow

    assert scene.statuses[0] is status
    assert scene.bill == [outcome]
    assert {row["reserved_by"] for row in scene.rows} == {None}


@pytest.mark.parametrize(
    ("answer", "opens", "fails"),
    [
        (YES, False, False),
        (FULL, True, False),
        (Unavailable(None, 502, None, "bad gateway"), True, True),
        (Ambiguous(500, None, "error"), True, True),
        (HeldBack("held back"), False, False),
    ],
    ids=["yes", "full", "unavailable", "ambiguous", "held back"],
)
def test_what_opens_the_circuit_breaker_and_what_counts_as_a_failure_of_the_service(
    scene: Scene, answer: SubmitOutcome, opens: bool, fails: bool
) -> None:
    scene.service.answers = [answer]

    scene.send()

    assert (scene.state.blocked_reason is not None) is opens
    assert (scene.state.submit_failing_since is not None) is fails


def test_no_credit_stops_the_run_when_the_answer_is_written(scene: Scene) -> None:
    scene.service.answers = [Denied("no_credit", 402, None, "no quota")]

    with pytest.raises(ServiceDeniedError):
        scene.send()

    assert (scene.statuses[0], scene.bill) == (Status.PENDING, [Outcome.DENIED])


def test_the_post_bears_the_token_of_its_intent_and_ends_before_others_may_send_the_image(scene: Scene) -> None:
    before = awake_or_asleep()

    scene.send()

    (post,) = scene.service.posts
    with scene.database.reading() as tx:
        (entry,) = rows.bill(tx)
    assert post["state"] == entry["submit_token"] == scene.rows[0]["submit_token"]
    assert post["data_uri"].startswith("data:image/jpeg;base64,")
    assert before + ACCOUNT.doubt_grace <= post["complete_before"] <= awake_or_asleep() + ACCOUNT.doubt_grace


def test_the_record_knows_how_long_ago_its_claim_was(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Posted] = []
    record = send_module._record

    def note_and_record(tx: Transaction, account: Any, posts: Sequence[Posted]) -> None:
        seen.extend(posts)
        record(tx, account, posts)

    monkeypatch.setattr(send_module, "_record", note_and_record)
    before = awake_or_asleep()

    scene.send()

    assert 0.0 <= seen[0].seconds_ago <= awake_or_asleep() - before


@pytest.mark.parametrize("callbacks", [True, False])
def test_a_callback_is_asked_for_where_the_account_has_them_and_its_row_keeps_the_digest(
    database: Database, callbacks: bool
) -> None:
    scene = Scene(database, account=replace(ACCOUNT, callbacks=callbacks))

    scene.send()

    (post,) = scene.service.posts
    assert bool(post["callback"]) is callbacks
    assert scene.rows[0]["callback_digest"] == (digest_of(post["callback"]) if callbacks else None)


def test_an_image_that_cannot_be_sent_ends_and_others_follow(scene: Scene) -> None:
    scene.bodies["0.jpg"] = b"no image"

    assert scene.send()

    row = scene.rows[0]
    assert (row["status"], row["reason"]) == (Status.REJECTED, Reason.UNSUPPORTED_FORMAT)
    assert scene.service.posts == []


def test_an_object_that_s3_denies_is_put_last_and_others_follow(scene: Scene) -> None:
    scene.bodies["0.jpg"] = ObjectDeniedError("denied")

    assert scene.send()

    row = scene.rows[0]
    assert (row["status"], row["reserved_by"]) == (Status.PENDING, None)
    assert row["not_before"] is not None
    assert scene.service.posts == []


def test_where_s3_is_away_the_row_is_free_for_the_next_try(scene: Scene) -> None:
    scene.bodies["0.jpg"] = StorageUnavailableError("away")

    with pytest.raises(StorageUnavailableError):
        scene.send()

    row = scene.rows[0]
    assert (row["status"], row["reserved_by"], row["reservations"]) == (Status.PENDING, None, 0)


@pytest.mark.parametrize("reason", ["no room", "told to stop"])
def test_without_room_or_time_the_row_is_given_back_and_no_other_follows(database: Database, reason: str) -> None:
    scene = Scene(database, account=replace(ACCOUNT, max_in_flight=0 if reason == "no room" else 9))
    scene.worker.told_to_stop = reason == "told to stop"

    assert not scene.send()

    assert scene.statuses[0] is Status.PENDING
    assert scene.rows[0]["reserved_by"] is None
    assert scene.service.posts == []


def test_a_claim_that_another_process_was_first_with_keeps_no_other_from_being_claimed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = claims.claim
    conflicts: list[int] = []

    def claim_but_the_second(tx: Transaction, requests: Sequence[Claim], account: Any) -> list[ClaimResult]:
        if any(request.image_id == 2 for request in requests):
            conflicts.append(len(requests))
            raise TableConflictError("another was first")
        return claim(tx, requests, account)

    monkeypatch.setattr(send_module, "LINGER", 3.0)
    monkeypatch.setattr(send_module, "TOGETHER", 3)
    monkeypatch.setattr(claims, "claim", claim_but_the_second)

    assert scene.send_together(scene.reserve(3)) == [True] * 3

    assert conflicts == [3, 1]
    assert scene.statuses == [Status.SUBMITTED, Status.PENDING, Status.SUBMITTED]
    assert scene.rows[1]["reserved_by"] is None


def test_an_answer_that_the_table_does_not_take_keeps_no_other_from_being_written(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = send_module._record

    def record_but_the_second(tx: Transaction, account: Any, posts: Sequence[Posted]) -> None:
        if any(post.claim.image_id == 2 for post in posts):
            raise TableError("refused")
        record(tx, account, posts)

    monkeypatch.setattr(send_module, "LINGER", 60.0)
    monkeypatch.setattr(send_module, "TOGETHER", 3)
    monkeypatch.setattr(send_module, "_record", record_but_the_second)

    results_of_sending = scene.send_together(scene.reserve(3))

    assert scene.statuses == [Status.SUBMITTED, Status.SUBMITTING, Status.SUBMITTED]
    assert all(isinstance(one, TableError) for one in results_of_sending)


def test_a_group_of_answers_closes_the_breaker_if_its_latest_image_was_claimed_after_the_no(scene: Scene) -> None:
    made = []
    for moment in ("before", "after"):
        with scene.database.writing() as tx:
            made.append(rows.claim_next(tx, scene.batch)[1])
        if moment == "before":
            scene.change(lambda tx: accounts.open_breaker(tx, ACCOUNT.identity, "full", None, failing=True))
            scene.change(lambda tx: rows.set_account(tx, blocked_until=tx.now))

    scene.change(lambda tx: _record(tx, ACCOUNT, [Posted(one, replace(YES, task_id=one.submit_token)) for one in made]))

    assert scene.state.blocked_reason is None
    assert scene.state.submit_failing_since is None


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


def test_the_task_that_a_row_had_is_asked_about_once_before_it_is_sent_again(scene: Scene) -> None:
    sent_before(scene)

    assert scene.send()

    assert scene.service.asked == ["old-0"]
    assert len(scene.service.posts) == 1
    assert scene.statuses[0] is Status.SUBMITTED


def test_an_answer_that_has_come_spares_the_second_price(scene: Scene) -> None:
    sent_before(scene)
    scene.service.tasks["old-0"] = described("old-0")

    assert scene.send()

    assert scene.service.posts == []
    assert scene.statuses[0] is Status.SUCCEEDED


@pytest.mark.parametrize(
    ("task", "age", "spared"),
    [
        (RemoteTask("old-0", RemoteTaskStatus.IN_PROGRESS), 0.0, True),
        (RemoteTask("old-0", RemoteTaskStatus.IN_PROGRESS), ACCOUNT.longest_run + 100, False),
        (RemoteTask("old-0", RemoteTaskStatus.IN_PROGRESS, state="another's"), 0.0, False),
        (RemoteTask("old-0", RemoteTaskStatus.FAILURE, fail_reason="internal error"), 0.0, False),
    ],
    ids=["at work", "for too long", "another's", "failed"],
)
def test_a_task_that_is_still_at_work_is_waited_for(scene: Scene, task: RemoteTask, age: float, spared: bool) -> None:
    sent_before(scene)
    scene.change(lambda tx: rows.let_time_pass(tx, timedelta(seconds=age)))
    scene.service.tasks["old-0"] = task

    assert scene.send()

    assert len(scene.service.posts) == (0 if spared else 1)
    assert scene.rows[0]["task_id"] == ("old-0" if spared else "new-1")
    assert scene.statuses[0] is Status.SUBMITTED


def test_while_a_former_task_cannot_be_asked_about_its_image_waits_and_is_patient_anew_once_it_was_heard(
    scene: Scene,
) -> None:
    sent_before(scene)
    scene.service.tasks["old-0"] = AWAY
    assert scene.send()
    assert scene.service.posts == []
    with scene.database.reading() as tx:
        assert rows.bill(tx)[0]["unheard_since"] is not None

    scene.change(lambda tx: rows.set_columns(tx, 1, not_before=None))
    scene.service.tasks.clear()
    scene.send()

    assert len(scene.service.posts) == 1
    with scene.database.reading() as tx:
        assert rows.bill(tx)[0]["unheard_since"] is None


def test_a_key_that_may_not_ask_gives_the_row_back(scene: Scene) -> None:
    sent_before(scene)
    scene.service.tasks["old-0"] = ServiceDeniedError("unauthorised")

    with pytest.raises(ServiceDeniedError):
        scene.send()

    assert scene.rows[0]["reserved_by"] is None


@pytest.mark.parametrize("deaths", [0, 1])
def test_a_death_counts_against_an_image_only_while_it_is_decoded(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, deaths: int
) -> None:
    sent_before(scene)
    scene.change(lambda tx: rows.set_columns(tx, 1, reservations=deaths))
    seen: list[int] = []

    def note() -> None:
        seen.append(scene.rows[0]["reservations"])

    def note_and_read(image: ListedImage, suspect: Callable[[], None]) -> StoredImage:
        note()
        return scene.read(image, suspect)

    def note_and_prepare(body: bytes, **options: Any) -> PreparedImage:
        note()
        return prepare(body, **options)

    scene.service.during = note
    scene.worker.images = cast("Any", SimpleNamespace(read=note_and_read))
    monkeypatch.setattr(send_module, "prepare", note_and_prepare)

    scene.send()
    note()

    assert scene.statuses[0] is Status.SUBMITTED
    assert seen == [deaths, deaths, deaths + 1, 0]


def test_an_image_that_was_decoded_is_acquitted_though_there_is_no_room_for_it(database: Database) -> None:
    scene = Scene(database, account=replace(ACCOUNT, max_in_flight=0))
    scene.change(lambda tx: rows.set_columns(tx, 1, reservations=1))

    scene.send()

    assert scene.rows[0]["reservations"] == 0


def test_a_store_that_takes_its_time_may_suspect_the_row_that_it_reads(scene: Scene) -> None:
    seen: list[int] = []

    def drip(image: ListedImage, suspect: Callable[[], None]) -> StoredImage:
        suspect()
        seen.append(scene.rows[0]["reservations"])
        return scene.read(image, suspect)

    scene.worker.images = cast("Any", SimpleNamespace(read=drip))
    scene.send()

    assert seen == [1]
    assert scene.rows[0]["reservations"] == 0


def paid_for_by_others(scene: Scene, *task_ids: str) -> None:
    """Have the bytes of the first image been paid for by rows that are gone, without a result."""
    sent_before(scene)
    body = scene.read(cast("Any", SimpleNamespace(key="0.jpg"))).body
    with scene.database.writing() as tx:
        digest = hashlib.sha256(body).hexdigest()
        (entry,) = rows.bill(tx)
        bills = tx.tables.submissions
        tx.connection.execute(bills.delete())
        for task_id in task_ids:
            copy = entry | {"submit_token": f"token of {task_id}", "task_id": task_id, "content_sha256": digest}
            tx.connection.execute(bills.insert().values({k: v for k, v in copy.items() if k != "id"}))
        rows.set_columns(tx, 1, task_id=None, submit_token=None)


def test_all_that_was_paid_for_the_same_bytes_is_asked_about_before_they_are_sent(scene: Scene) -> None:
    paid_for_by_others(scene, "theirs-1", "theirs-2")

    assert scene.send()

    assert sorted(scene.service.asked) == ["theirs-1", "theirs-2"]
    assert len(scene.service.posts) == 1


def test_the_first_of_them_that_has_an_answer_is_enough(scene: Scene) -> None:
    paid_for_by_others(scene, "theirs-1", "theirs-2")
    scene.service.tasks["theirs-2"] = described("theirs-2")

    scene.send()

    assert scene.service.asked == ["theirs-2"]
    assert scene.service.posts == []
    assert scene.statuses[0] is Status.SUCCEEDED


def test_a_row_without_a_task_or_a_token_had_none_before(scene: Scene) -> None:
    sent_before(scene)
    scene.change(lambda tx: tx.connection.execute(tx.tables.submissions.delete()))
    for gone in ("submit_token", "task_id"):
        scene.change(lambda tx, gone=gone: rows.set_columns(tx, 1, **{gone: None}))
        (row,) = scene.reserve()
        assert scene.run(lambda row=row: ImageSender(scene.worker, scene.batch, Denials())._find_former(row)) is None
        scene.change(lambda tx: leases.release(tx, [1], "holder"))


def room(scene: Scene, **account: Any) -> int:
    with scene.database.reading() as tx:
        return find_room(tx, replace(ACCOUNT, **account), scene.batch)


def test_room_is_what_slots_and_caps_leave(database: Database) -> None:
    scene = Scene(database, options={"max_submissions": 3})
    assert room(scene) == 3
    assert room(scene, max_in_flight=2) == 2
    scene.send()
    assert room(scene) == 2
    assert room(scene, max_in_flight=2) == 1


def test_after_a_no_there_is_room_for_one_image(scene: Scene) -> None:
    scene.change(lambda tx: rows.set_account(tx, blocked_reason="full", blocked_until=tx.now))

    assert room(scene) == 1
    assert room(scene, max_in_flight=0) == 0


def submit(scene: Scene) -> int:
    return cast("int", scene.run(lambda: submit_some(scene.worker, scene.batch)))


def test_all_that_there_is_room_for_are_sent_and_counted(scene: Scene) -> None:
    assert submit(scene) == 3
    assert scene.statuses == [Status.SUBMITTED] * 3
    assert scene.service.asked == ["access"]
    assert submit(scene) == 0


@pytest.mark.parametrize(("in_flight", "sent"), [(2, 2), (0, 0)])
def test_no_more_are_read_than_there_is_room_for(database: Database, in_flight: int, sent: int) -> None:
    scene = Scene(database, account=replace(ACCOUNT, max_in_flight=in_flight))

    assert submit(scene) == sent
    assert [row["reservations"] for row in scene.rows] == [0] * 3
    assert scene.statuses.count(Status.SUBMITTED) == sent


def test_no_more_rows_are_reserved_than_a_round_takes(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submit_module, "ROWS_A_ROUND", 2)

    assert submit(scene) == 2


def test_where_nothing_is_to_be_sent_the_service_is_not_asked(database: Database) -> None:
    scene = Scene(database, images=0)

    assert submit(scene) == 0
    assert scene.service.asked == []


def test_the_key_is_proved_once_by_each_worker(scene: Scene) -> None:
    scene.worker.access_checked = True

    assert submit(scene) == 3
    assert scene.service.asked == []


def one_lane(scene: Scene, monkeypatch: pytest.MonkeyPatch, number: int = 3) -> Round:
    monkeypatch.setattr(submit_module, "IMAGES_SIDE_BY_SIDE", 1)
    return Round(scene.worker, scene.batch, scene.reserve(number), Denials())


@pytest.mark.parametrize("why", ["no room", "stopping", "time is over"])
def test_a_round_ends_and_gives_back_what_was_not_read(
    database: Database, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    scene = Scene(database, account=replace(ACCOUNT, poll_interval=-1.0 if why == "time is over" else 1000.0))
    if why == "no room":
        scene.service.answers = [FULL]
    if why == "stopping":
        answer = scene.service.submit_describe

        async def answer_and_stop(**post: Any) -> SubmitOutcome:
            scene.worker.told_to_stop = True
            return await answer(**post)

        scene.service.submit_describe = answer_and_stop  # type: ignore[method-assign]

    assert scene.run(lambda: one_lane(scene, monkeypatch).run()) == 1

    assert len(scene.service.posts) == 1
    assert scene.statuses[1:] == [Status.PENDING] * 2
    assert [(row["reserved_by"], row["reservations"]) for row in scene.rows[1:]] == [(None, 0)] * 2


def test_what_stops_the_run_is_raised_when_all_rows_are_given_back(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.service.answers = [Denied("no_credit", 402, None, "no quota")]

    with pytest.raises(ServiceDeniedError):
        scene.run(lambda: one_lane(scene, monkeypatch).run())

    assert [row["reserved_by"] for row in scene.rows] == [None] * 3
    assert len(scene.service.posts) == 1


def test_one_image_that_is_refused_ends_no_round(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.service.answers = [Refused(Reason.BANNED, 200, 24, "banned"), YES]

    assert scene.run(lambda: one_lane(scene, monkeypatch).run()) == 3
    assert scene.statuses == [Status.FAILED, Status.SUBMITTED, Status.SUBMITTED]


def test_so_many_images_are_sent_side_by_side(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submit_module, "IMAGES_SIDE_BY_SIDE", 2)
    at_once: list[int] = []
    answer = scene.service.submit_describe
    open_posts = 0

    async def answer_later(**post: Any) -> SubmitOutcome:
        nonlocal open_posts
        open_posts += 1
        at_once.append(open_posts)
        if len(at_once) == 1:
            for _ in range(5000):
                if len(at_once) > 1:
                    break
                await asyncio.sleep(0.001)
        open_posts -= 1
        return await answer(**post)

    scene.service.submit_describe = answer_later  # type: ignore[method-assign]

    assert scene.run(lambda: Round(scene.worker, scene.batch, scene.reserve(3), Denials()).run()) == 3
    assert max(at_once) == 2


def test_after_a_no_one_worker_at_a_time_reads_and_a_yes_closes_the_breaker(scene: Scene) -> None:
    scene.worker.access_checked = True
    scene.change(lambda tx: rows.set_account(tx, blocked_reason="full", blocked_until=tx.now, blocked_since=tx.now))
    turns: list[bool] = []
    read = scene.read

    def read_beside_another(image: ListedImage, suspect: Callable[[], None]) -> StoredImage:
        with scene.database.reading() as tx:
            turns.append(accounts.read_account(tx, ACCOUNT.identity).is_blocked)
        return read(image, suspect)

    scene.worker.images = cast("Any", SimpleNamespace(read=read_beside_another))

    assert submit(scene) == 1

    assert turns == [True]
    assert scene.worker.probe_until is None
    assert scene.state.blocked_reason is None


def test_a_turn_with_nothing_to_read_goes_to_another_worker(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.worker.access_checked = True
    scene.change(lambda tx: rows.set_account(tx, blocked_reason="full", blocked_until=tx.now, blocked_since=tx.now))
    scene.change(lambda tx: leases.reserve(tx, scene.batch, "another", 3))

    assert submit(scene) == 0

    assert not scene.state.is_blocked


def test_while_another_has_the_turn_nothing_is_reserved(scene: Scene) -> None:
    scene.worker.access_checked = True
    scene.change(lambda tx: rows.set_account(tx, blocked_reason="full", blocked_until=tx.now + timedelta(hours=1)))
    reserved = submit(scene)

    assert reserved == 0
    assert scene.service.posts == []


def may_read(scene: Scene, batch: Batch | None = None) -> bool:
    return cast("bool", scene.run(lambda: has_access(scene.worker, batch or scene.batch)))


def test_a_key_that_may_read_is_remembered(scene: Scene) -> None:
    scene.change(lambda tx: rows.set_account(tx, blocked_reason="no answer", blocked_until=tx.now))

    assert may_read(scene)
    assert may_read(scene)

    assert scene.service.asked == ["access"]
    assert not scene.state.is_blocked


def test_while_the_breaker_is_open_no_read_is_made(scene: Scene) -> None:
    scene.change(lambda tx: rows.set_account(tx, blocked_reason="no answer", blocked_until=tx.now + timedelta(hours=1)))

    assert not may_read(scene)
    assert scene.service.asked == []
    assert not scene.worker.access_checked


def test_a_service_that_was_heard_in_this_try_and_is_away_now_is_waited_for(scene: Scene) -> None:
    scene.service.access = AWAY
    scene.change(lambda tx: rows.set_account(tx, answered_at=scene.batch.tried_at + timedelta(seconds=1)))

    assert not may_read(scene)

    assert not scene.worker.access_checked
    assert (scene.state.blocked_reason, scene.state.submit_failing_since is None) == ("no answer to a read", False)


def test_a_service_that_was_not_heard_in_this_try_stops_the_run(scene: Scene) -> None:
    scene.service.access = AWAY
    scene.change(lambda tx: rows.set_account(tx, answered_at=rows.LONG_AGO))

    with pytest.raises(ServiceUnavailableError):
        may_read(scene)

    assert scene.state.blocked_reason == "no answer to a read"
