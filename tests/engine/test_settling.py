"""What a poll writes of each row that it asked about, and when it asks at all: by a service that is a dict of tasks."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

import pytest

from airflow_midjourney.describe.engine import settle as settle_module
from airflow_midjourney.describe.engine.context import Watcher
from airflow_midjourney.describe.engine.doubt.ask import SINGLE_FETCHES, ask
from airflow_midjourney.describe.engine.settle import _settle_rows, settle, take_late_answer
from airflow_midjourney.describe.model.errors import ServiceProtocolError, ServiceUnavailableError, TableError
from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.model.status import Reason, Status
from airflow_midjourney.describe.service.client import ListingUnsupportedError, TaskListing
from airflow_midjourney.describe.service.tasks import RemoteTask, RemoteTaskStatus
from airflow_midjourney.describe.table import accounts, poll_schedule, results
from airflow_midjourney.describe.table.doubt import late_results
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
        return _settle_rows(tx, account, state, results.in_flight(tx, account.identity), said)


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


def test_each_image_that_ends_or_goes_round_again_is_counted_and_none_that_waits(database: Database) -> None:
    with database.writing() as tx:
        sent = submit(tx, 8, max_attempts=2)
        missed, overdue, in_queue, running, goes_round, fails, *waits = sent
        results.missed(tx, missed, 0.0)
        rows.set_columns(tx, fails.id, attempts=2)
        rows.set_columns(tx, overdue.id, started_at=tx.now)
    pass_time(database, ACCOUNT.longest_run + 1)
    with database.writing() as tx:
        rows.set_account(tx, answered_at=tx.now)
        for row in waits:
            rows.set_columns(tx, row.id, submitted_at=tx.now)
        began = results.in_flight(tx, ACCOUNT.identity)[1].started_at

    ended = write_answers(
        database,
        at_work(in_queue),
        at_work(running, began),
        failed(goes_round),
        failed(fails),
        at_work(waits[0]),
        unknown=[missed.task_id, waits[1].task_id],
    )

    assert ended == 6
    assert statuses(database) == [Status.PENDING] * 5 + [Status.FAILED] + [Status.SUBMITTED] * 2
    assert reasons(database)[5:] == [Reason.SERVICE_ERROR, None, None]


def test_prompts_are_counted_beside_others_that_ended(database: Database) -> None:
    with database.writing() as tx:
        sent = submit(tx, 3, max_attempts=1)

    assert write_answers(database, described(sent[0]), failed(sent[1]), described(sent[2])) == 3
    assert statuses(database) == [Status.SUCCEEDED, Status.FAILED, Status.SUCCEEDED]
    assert write_answers(database) == 0


def test_only_what_the_service_itself_reports_failed_is_refunded(database: Database) -> None:
    with database.writing() as tx:
        sent = submit(tx, 5, max_attempts=1)

    write_answers(
        database,
        failed(sent[0]),
        # A false failure: its prompts are there.
        failed(sent[1], texts=(PROMPTS,)),
        described(sent[2]),
        # A false success: an error in place of prompts.
        described(sent[3], texts=("internal error",)),
        at_work(sent[4]),
    )

    assert outcomes(database) == [Outcome.REFUNDED] + [Outcome.ACCEPTED] * 4


def test_a_service_that_keeps_the_money_refunds_nothing(database: Database) -> None:
    with database.writing() as tx:
        (row,) = submit(tx, 1, max_attempts=1)

    write_answers(database, failed(row), account=replace(ACCOUNT, refunds_failures=False))

    assert outcomes(database) == [Outcome.ACCEPTED]


def test_a_failed_task_of_another_submission_refunds_nothing(database: Database) -> None:
    with database.writing() as tx:
        (row,) = submit(tx, 1, max_attempts=1)

    assert write_answers(database, failed(row, state="another's")) == 0
    assert outcomes(database) == [Outcome.ACCEPTED]
    assert one_row(database)["missing_since"] is not None


@pytest.mark.parametrize(("state", "is_shared", "takes"), [("", False, 1), ("", True, 0), ("another's", False, 0)])
def test_whose_a_task_is_its_state_says_or_an_id_that_no_other_submission_has(
    database: Database, state: str, is_shared: bool, takes: int
) -> None:
    with database.writing() as tx:
        first, _ = submit(tx, 2)
        if is_shared:
            tx.connection.execute(tx.tables.submissions.update().values(task_id=first.task_id))

    assert write_answers(database, described(first, state=state)) == takes
    assert statuses(database)[0] is (Status.SUCCEEDED if takes else Status.SUBMITTED)


def test_in_the_queue_a_task_may_wait_as_long_as_is_said_from_when_it_was_submitted(database: Database) -> None:
    with database.writing() as tx:
        (row,) = submit(tx, 1, max_attempts=1)

    for seconds, status in ((ACCOUNT.queue_timeout - 200, Status.SUBMITTED), (400, Status.FAILED)):
        pass_time(database, seconds)
        assert write_answers(database, at_work(row)) == (status is Status.FAILED)
        assert statuses(database) == [status]
    assert one_row(database)["detail"] == "No answer in 600 s in the queue while the service worked."
    assert reasons(database) == [Reason.TIMEOUT]


def test_from_its_start_a_task_may_take_as_long_as_is_said_and_longer_while_the_service_shows_it(
    database: Database,
) -> None:
    with database.writing() as tx:
        rows_sent = submit(tx, 2, max_attempts=1)
    pass_time(database, 500.0)
    with database.reading() as tx:
        started_at = tx.now
    write_answers(database, *(at_work(row, started_at) for row in rows_sent))
    pass_time(database, ACCOUNT.task_timeout - 200)
    assert write_answers(database, at_work(rows_sent[1], started_at - timedelta(seconds=800))) == 0

    pass_time(database, 400)

    assert write_answers(database, at_work(rows_sent[1], started_at - timedelta(seconds=1200))) == 1
    assert statuses(database) == [Status.FAILED, Status.SUBMITTED]
    with database.reading() as tx:
        assert rows.image_rows(tx)[0]["detail"] == "No answer in 1000 s from its start while the service worked."


def test_a_clock_of_the_service_that_is_behind_shortens_no_timeout(database: Database) -> None:
    with database.writing() as tx:
        (row,) = submit(tx, 1, max_attempts=1)
        long_ago = tx.now - timedelta(days=1)

    assert write_answers(database, at_work(row, long_ago)) == 0
    assert statuses(database) == [Status.SUBMITTED]


def test_of_two_starts_that_the_service_names_the_earlier_counts_and_none_that_is_still_to_come(
    database: Database,
) -> None:
    with database.writing() as tx:
        (row,) = submit(tx, 1, max_attempts=1)
    pass_time(database, 100.0)
    with database.reading() as tx:
        now = tx.now
    seen: list[datetime] = []
    for moment in (now + timedelta(hours=1), now - timedelta(seconds=50), now - timedelta(seconds=20)):
        write_answers(database, at_work(row, moment))
        seen.append(one_row(database)["started_at"])

    assert now <= seen[0] < now + timedelta(hours=1)
    assert seen[1:] == [now - timedelta(seconds=50)] * 2


def test_a_task_that_the_service_knows_again_is_not_missing_any_more(database: Database) -> None:
    with database.writing() as tx:
        (row,) = submit(tx, 1, max_attempts=1)
    write_answers(database, unknown=[row.task_id])
    assert one_row(database)["missing_since"] is not None

    write_answers(database, at_work(row))

    assert one_row(database)["missing_since"] is None


def test_a_row_of_which_there_is_no_news_is_not_written(database: Database) -> None:
    with database.writing() as tx:
        (row,) = submit(tx, 1)
    before = one_row(database)

    write_answers(database, at_work(row))

    assert one_row(database) == before


def test_a_task_is_lost_when_the_service_has_not_known_it_for_so_long(database: Database) -> None:
    with database.writing() as tx:
        (row,) = submit(tx, 1, max_attempts=1)
    counted = []
    # Its first two hundred seconds are those before the service denies to know it.
    for seconds in (200.0, ACCOUNT.lost_after - 150, 300.0):
        pass_time(database, seconds)
        counted.append(write_answers(database, unknown=[row.task_id]))

    assert counted == [0, 0, 1]
    assert reasons(database) == [Reason.LOST]
    assert one_row(database)["detail"] == "The service has not known task 0 for 300 s."


@pytest.mark.parametrize(("silence", "ended"), [(400.0, 0), (200.0, 1)])
@pytest.mark.parametrize("says", ["in its queue", "unknown"])
def test_seconds_in_which_the_service_was_silent_count_for_no_timeout(
    database: Database, says: str, silence: float, ended: int
) -> None:
    limit = ACCOUNT.queue_timeout if says == "in its queue" else ACCOUNT.lost_after
    with database.writing() as tx:
        accounts.ensure_account(tx, ACCOUNT)
        rows.set_account(tx, silence=50.0)
        (row,) = submit(tx, 1, max_attempts=1)
    unknown = [] if says == "in its queue" else [row.task_id]
    tasks = [at_work(row)] if says == "in its queue" else []
    write_answers(database, *tasks, unknown=unknown)
    pass_time(database, limit + 300.0)
    with database.writing() as tx:
        rows.set_account(tx, silence=50.0 + silence)

    assert write_answers(database, *tasks, unknown=unknown) == ended


def test_the_raw_words_of_a_failure_are_kept(database: Database) -> None:
    with database.writing() as tx:
        (row,) = submit(tx, 1, max_attempts=1)

    write_answers(database, failed(row, texts=("said first", "said second")))

    assert one_row(database)["prompt_raw"] == "said first"


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


def ask_about(service: Service, ids: Sequence[str], late: Sequence[str] = ()) -> dict[str, RemoteTask | None]:
    watcher = cast("Any", SimpleNamespace(client=service))
    return asyncio.run(ask(watcher, ids, late))


def some_tasks(*ids: str) -> dict[str, RemoteTask]:
    return {one: RemoteTask(one, RemoteTaskStatus.SUBMITTED) for one in ids}


def test_all_are_asked_about_at_once_and_what_the_list_leaves_out_one_by_one_but_nothing_late() -> None:
    service = Service(some_tasks("1", "2", "late"), hidden={"2", "late"})

    assert ask_about(service, ["1", "2", "3"], ["late"]) == {**some_tasks("1", "2"), "3": None}
    assert service.asked == [["1", "2", "3", "late"], "2", "3"]


def test_of_many_that_a_list_leaves_out_some_are_asked_about_and_nothing_is_known_of_the_rest() -> None:
    ids = [str(number) for number in range(SINGLE_FETCHES + 5)]

    assert ask_about(Service(), ids) == dict.fromkeys(ids[:SINGLE_FETCHES])


def test_without_lists_all_on_their_way_are_asked_about_one_by_one_and_some_of_the_late_ones() -> None:
    ids = [str(number) for number in range(SINGLE_FETCHES + 5)]
    late = [f"late-{number}" for number in range(SINGLE_FETCHES + 5)]

    found = ask_about(Service(lists=False), ids, late)

    assert found.keys() >= set(ids)
    assert len(found) == len(ids) + SINGLE_FETCHES
    assert ask_about(Service(lists=False), [], ["late"]) == {"late": None}


def test_a_service_that_goes_away_between_two_answers_has_given_the_first() -> None:
    service = Service(some_tasks("1", "3"), lists=False, errors={"2": AWAY})

    assert ask_about(service, ["1", "2", "3"]) == some_tasks("1")
    with pytest.raises(ServiceUnavailableError):
        ask_about(service, ["2", "3"])


def test_a_list_is_worth_something_though_single_tasks_cannot_be_asked_about() -> None:
    service = Service(some_tasks("1"), errors={"2": AWAY})

    assert ask_about(service, ["1", "2"]) == some_tasks("1")


def test_an_answer_that_cannot_be_read_says_nothing_of_the_others() -> None:
    service = Service(some_tasks("2"), lists=False, errors={"1": UNREADABLE})

    assert ask_about(service, ["1", "2"]) == some_tasks("2")
    assert "access" not in service.asked


def test_where_no_answer_can_be_read_a_read_says_whether_the_service_is_there() -> None:
    service = Service(lists=False, errors={"1": UNREADABLE, "access": AWAY})

    with pytest.raises(ServiceUnavailableError):
        ask_about(service, ["1"])

    del service.errors["access"]
    assert ask_about(service, ["1"]) == {}
    assert service.asked[-1] == "access"


def test_nothing_to_ask_one_by_one_is_no_reason_for_a_read() -> None:
    service = Service(some_tasks("1"), errors={"access": AWAY})

    assert ask_about(service, ["1"]) == some_tasks("1")


def settle_with(service: Service, database: Database) -> int:
    """Poll, and leave nothing behind in the loop."""

    async def poll() -> int:
        ended = await settle(service.watcher(database))
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return ended

    return asyncio.run(poll())


def make_due(database: Database) -> None:
    with database.writing() as tx:
        rows.set_account(tx, next_poll_at=tx.now)


def test_a_poll_asks_about_what_is_on_its_way_and_what_is_late_and_sets_the_next(database: Database) -> None:
    with database.writing() as tx:
        late, on_its_way = submit(tx, 2, max_attempts=1)
        results.ended(tx, late, Reason.TIMEOUT, "too long", results.RemoteTimes(), "")
    make_due(database)
    service = Service({"0": described(late), "1": described(on_its_way)})

    assert settle_with(service, database) == 2

    assert service.asked == [["1", "0"]]
    assert statuses(database) == [Status.SUCCEEDED] * 2


def test_before_its_turn_no_process_asks(database: Database) -> None:
    with database.writing() as tx:
        (row,) = submit(tx, 1)
        rows.set_account(tx, next_poll_at=tx.now + timedelta(hours=1))
    service = Service({"0": described(row)})

    assert settle_with(service, database) == 0
    assert service.asked == []


def test_a_poll_after_which_nothing_is_due_is_not_repeated_at_once(database: Database) -> None:
    with database.writing() as tx:
        (row,) = submit(tx, 1)
    make_due(database)
    service = Service({"0": at_work(row)})
    settle_with(service, database)
    with database.reading() as tx:
        state = accounts.read_account(tx, ACCOUNT.identity)

    # A turn is taken for a shorter time.
    assert state.next_poll_at > state.now + timedelta(minutes=1)
    assert state.poll_failing_since is None


@pytest.mark.parametrize("has_ended", [True, False])
def test_the_next_poll_is_set_by_whether_this_one_brought_news(
    database: Database, monkeypatch: pytest.MonkeyPatch, has_ended: bool
) -> None:
    seen: list[bool] = []
    set_next_poll = poll_schedule.set_next_poll

    def note_and_set(tx: Transaction, settings: AccountSettings, turn: Any, *, news: bool) -> None:
        seen.append(news)
        set_next_poll(tx, settings, turn, news=news)

    monkeypatch.setattr(poll_schedule, "set_next_poll", note_and_set)
    with database.writing() as tx:
        (row,) = submit(tx, 1)
    make_due(database)

    settle_with(Service({"0": described(row) if has_ended else at_work(row)}), database)

    assert seen == [has_ended]


def test_of_an_account_with_nothing_on_its_way_no_service_is_asked_and_no_turn_is_taken(database: Database) -> None:
    service = Service()
    watcher = service.watcher(database)
    make_due(database)
    with database.reading() as tx:
        before = accounts.account_row(tx, ACCOUNT.identity)

    assert asyncio.run(settle(watcher)) == 0

    assert service.asked == []
    with database.reading() as tx:
        assert accounts.account_row(tx, ACCOUNT.identity) == before


def late_only(tx: Transaction) -> None:
    (row,) = submit(tx, 1, max_attempts=1)
    results.ended(tx, row, Reason.TIMEOUT, "too long", results.RemoteTimes(), "")


def doubtful_only(tx: Transaction) -> None:
    rows.list_images(tx, [rows.listed("a.jpg")])
    rows.claim_next(tx, rows.open_batch(tx), account=ACCOUNT)
    rows.set_columns(tx, 1, status="in_doubt", ended_at=tx.now)


@pytest.mark.parametrize(("what", "asked"), [(late_only, [["0"]]), (doubtful_only, ["all"])])
def test_what_is_late_or_in_doubt_alone_is_reason_enough_for_a_poll(
    database: Database, what: Any, asked: list[Any]
) -> None:
    with database.writing() as tx:
        what(tx)
    make_due(database)
    service = Service()

    settle_with(service, database)

    assert service.asked == asked


@pytest.mark.parametrize("error", [AWAY, UNREADABLE])
def test_a_poll_that_fails_is_noted_and_the_next_is_later(database: Database, error: Exception) -> None:
    with database.writing() as tx:
        submit(tx, 1)
    make_due(database)

    assert settle_with(Service(errors={"list": error}), database) == 0

    with database.reading() as tx:
        state = accounts.read_account(tx, ACCOUNT.identity)
    assert state.poll_failing_since is not None
    assert state.calls_from == state.next_poll_at


def test_a_poll_that_is_answered_ends_a_time_of_failures(database: Database) -> None:
    with database.writing() as tx:
        (row,) = submit(tx, 1)
        rows.set_account(tx, poll_failing_since=tx.now, next_poll_at=tx.now)

    settle_with(Service({"0": at_work(row)}), database)

    with database.reading() as tx:
        assert accounts.read_account(tx, ACCOUNT.identity).poll_failing_since is None


def test_every_process_turns_overdue_claims_of_any_account_into_doubts(database: Database) -> None:
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed("a.jpg")])
        other = replace(ACCOUNT, identity="https://other.example:443/me")
        accounts.ensure_account(tx, other)
        rows.claim_next(tx, rows.open_batch(tx), account=other)
        rows.set_columns(tx, 1, in_doubt_after=rows.LONG_AGO)

    settle_with(Service(), database)

    assert statuses(database) == [Status.IN_DOUBT]


def test_while_the_service_takes_its_time_the_turn_is_held(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with database.writing() as tx:
        (row,) = submit(tx, 1)
    make_due(database)
    held: list[datetime] = []
    hold = poll_schedule.hold_poll_turn

    def hold_and_note(tx: Transaction, settings: AccountSettings, until: datetime) -> datetime | None:
        later = hold(tx, settings, until)
        assert later is not None
        held.append(later)
        return later

    monkeypatch.setattr(poll_schedule, "hold_poll_turn", hold_and_note)
    monkeypatch.setattr(poll_schedule, "turn_seconds", lambda _settings: 0.02)

    class SlowService(Service):
        async def list_by_condition(self, ids: Sequence[str]) -> TaskListing:
            for _ in range(1000):
                if len(held) >= 3:
                    break
                await asyncio.sleep(0.01)
            return await super().list_by_condition(ids)

    assert settle_with(SlowService({"0": described(row)}), database) == 1
    assert len(held) >= 3
    assert held == sorted(set(held))


def test_many_answers_are_written_some_at_a_time_and_counted_together(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settle_module, "ROWS_TOGETHER", 2)
    together: list[int] = []
    write = settle_module._settle_rows

    def note_and_write(tx: Transaction, account: AccountSettings, state: Any, some: Sequence[Any], tasks: Any) -> int:
        together.append(len(some))
        return write(tx, account, state, some, tasks)

    monkeypatch.setattr(settle_module, "_settle_rows", note_and_write)
    with database.writing() as tx:
        sent = submit(tx, 5)
    make_due(database)

    assert settle_with(Service({row.task_id: described(row) for row in sent}), database) == 5
    assert together == [2, 2, 1]


@pytest.mark.parametrize("retry_helps", [False, True])
def test_an_answer_that_the_database_refuses_keeps_no_other_from_being_written(
    database: Database, monkeypatch: pytest.MonkeyPatch, retry_helps: bool
) -> None:
    write = settle_module._settle_rows

    def write_none_of_the_last(tx: Transaction, account: AccountSettings, state: Any, some: Any, tasks: Any) -> int:
        ended = write(tx, account, state, some, tasks)
        if some[-1].task_id == "2":
            raise TableError("the database refuses it", retry_helps=retry_helps)
        return ended

    monkeypatch.setattr(settle_module, "_settle_rows", write_none_of_the_last)
    with database.writing() as tx:
        sent = submit(tx, 3)
    make_due(database)

    with pytest.raises(TableError):
        settle_with(Service({row.task_id: described(row) for row in sent}), database)

    others = Status.SUBMITTED if retry_helps else Status.SUCCEEDED
    assert statuses(database) == [others, others, Status.SUBMITTED]


def take_late(database: Database, late: results.InFlight, task: RemoteTask | None) -> bool:
    with database.reading() as tx:
        (one,) = (one for one in late_results.given_up(tx, ACCOUNT.identity) if one.submit_token == late.submit_token)
    return asyncio.run(take_late_answer(Service().watcher(database), one, task))


def test_a_late_answer_is_taken_if_it_is_one_and_its_own(database: Database) -> None:
    with database.writing() as tx:
        late, other = submit(tx, 2, max_attempts=1)
        for row in (late, other):
            results.ended(tx, row, Reason.TIMEOUT, "too long", results.RemoteTimes(), "")

    for none in (None, at_work(late), failed(late, state="another's"), described(late, state="another's")):
        assert not take_late(database, late, none)
    assert statuses(database) == [Status.FAILED] * 2

    started_at, finished_at = rows.LONG_AGO, rows.LONG_AGO + timedelta(minutes=1)
    assert take_late(database, late, described(late, start_time=started_at, finish_time=finished_at))
    assert take_late(database, other, described(other, state=""))
    assert statuses(database) == [Status.SUCCEEDED] * 2
    with database.reading() as tx:
        first = rows.image_rows(tx)[0]
    assert (first["prompt_1"], first["started_at"], first["finished_at"]) == ("one", started_at, finished_at)


def test_a_late_answer_without_a_state_is_not_taken_for_an_id_that_two_submissions_have(database: Database) -> None:
    with database.writing() as tx:
        late, _ = submit(tx, 2, max_attempts=1)
        results.ended(tx, late, Reason.TIMEOUT, "too long", results.RemoteTimes(), "")
        tx.connection.execute(tx.tables.submissions.update().values(task_id=late.task_id))

    assert not take_late(database, late, described(late, state=""))
    assert statuses(database)[0] is Status.FAILED


@pytest.mark.parametrize(
    ("refunds", "state", "outcome"),
    [
        (True, None, Outcome.REFUNDED),
        (False, None, Outcome.ACCEPTED),
        (True, "another's", Outcome.ACCEPTED),
    ],
)
def test_a_task_that_fails_after_it_was_given_up_costs_nothing_where_the_money_comes_back(
    database: Database, refunds: bool, state: str | None, outcome: Outcome
) -> None:
    with database.writing() as tx:
        (late,) = submit(tx, 1, max_attempts=1)
        results.ended(tx, late, Reason.TIMEOUT, "too long", results.RemoteTimes(), "")
        (one,) = late_results.given_up(tx, ACCOUNT.identity)
    watcher = Service().watcher(database)
    watcher.account = replace(ACCOUNT, refunds_failures=refunds)
    task = failed(late) if state is None else failed(late, state=state)

    assert not asyncio.run(take_late_answer(watcher, one, task))

    assert statuses(database) == [Status.FAILED]
    with database.reading() as tx:
        assert [Outcome(post["outcome"]) for post in rows.bill(tx)] == [outcome]
