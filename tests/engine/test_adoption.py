"""Tasks that bear our tokens are taken as soon as the service lists them; that it does not list one proves little."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

import pytest

from airflow_midjourney.describe.engine.context import Watcher
from airflow_midjourney.describe.engine.doubt.list_pace import SHORT_LIST, ListPace
from airflow_midjourney.describe.engine.reconcile import Search, adopt, reconcile
from airflow_midjourney.describe.engine.send import Posted, _record
from airflow_midjourney.describe.model.errors import ServiceProtocolError
from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.describe.service.client import ListingUnsupportedError
from airflow_midjourney.describe.service.submit_response import Accepted, Ambiguous, Unavailable
from airflow_midjourney.describe.service.tasks import RemoteTask, RemoteTaskStatus
from airflow_midjourney.describe.table import accounts, poll_schedule, submissions
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
            _record(tx, ACCOUNT, [Posted(claim, outcome, 1.0)])

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


@pytest.fixture
def table(database: Database) -> Table:
    return Table(database, Service())


def an_older_task(table: Table) -> None:
    """Have the service take and list one of ours, long ago."""
    (claim,) = table.claim()
    table.record(claim, table.service.takes(claim))
    table.pass_time(timedelta(hours=1))


def test_what_a_killed_worker_had_sent_is_found_within_seconds(table: Table) -> None:
    sent = table.claim(3)
    for claim in sent:
        table.service.takes(claim)

    table.pass_time(MOMENTS)

    assert table.reconcile() == 3
    assert table.statuses == [Status.SUBMITTED] * 3
    assert table.tasks == ["ours-0", "ours-1", "ours-2"]
    assert table.bill == ["accepted"] * 3


def test_a_post_that_is_on_its_way_for_a_moment_is_not_asked_for(table: Table) -> None:
    (claim,) = table.claim()
    table.service.takes(claim)

    assert table.reconcile() == 0
    assert table.service.lists == 0


def test_a_hundred_and_fifty_tasks_of_others_during_the_grace_hide_nothing(table: Table) -> None:
    table.service.length = 100
    sent = table.claim(3)
    for claim in sent:
        table.service.takes(claim)
    table.pass_time(MOMENTS)
    table.service.takes_of_others(50)
    table.reconcile()
    table.service.takes_of_others(100)

    table.pass_time(OVER)
    table.reconcile()
    table.pass_time(CONFIRMED)
    table.reconcile()

    assert table.statuses == [Status.SUBMITTED] * 3
    assert len(table.service.billed) == len(set(table.service.billed)) == 3


@pytest.mark.parametrize("first", ["the list", "the answer"])
def test_beside_a_living_worker_whose_answer_comes_later_a_task_is_taken_once(table: Table, first: str) -> None:
    (claim,) = table.claim()
    answer = table.service.takes(claim)
    table.pass_time(MOMENTS)
    steps = [lambda: table.reconcile(), lambda: table.record(claim, answer)]

    for step in steps if first == "the list" else steps[::-1]:
        step()

    assert (table.statuses, table.tasks, table.bill) == ([Status.SUBMITTED], ["ours-0"], ["accepted"])
    with table.database.reading() as tx:
        assert rows.image_rows(tx)[0]["attempts"] == 1


@pytest.mark.parametrize(
    "answer", [Ambiguous(None, None, "no whole answer in time"), Unavailable(None, 502, None, "bad gateway")]
)
def test_a_worker_that_hears_no_or_nothing_does_not_undo_what_the_list_has_shown(
    table: Table, answer: SubmitOutcome
) -> None:
    (claim,) = table.claim()
    table.service.takes(claim)
    table.pass_time(MOMENTS)
    table.reconcile()

    table.record(claim, answer)

    assert (table.statuses, table.bill) == ([Status.SUBMITTED], ["accepted"])


def test_a_poll_is_due_as_soon_as_an_answer_is_late_however_far_off_the_next_one_was(table: Table) -> None:
    table.claim()
    with table.database.writing() as tx:
        rows.set_account(tx, next_poll_at=tx.now + timedelta(hours=1), calls_from=tx.now)
        rows.set_columns(tx, 1, updated_at=tx.now)
        assert poll_schedule.take_poll_turn(tx, ACCOUNT) is None
    with table.database.writing() as tx:
        rows.set_columns(tx, 1, updated_at=tx.now - MOMENTS)
        assert poll_schedule.poll_due_at(accounts.read_account(tx, ACCOUNT.identity)) <= tx.now
        assert poll_schedule.take_poll_turn(tx, ACCOUNT) is not None


def test_a_list_without_it_proves_nothing_before_its_time(table: Table) -> None:
    an_older_task(table)
    table.claim()
    for _ in range(3):
        table.pass_time(MOMENTS)
        table.reconcile()

    assert table.statuses[-1] is Status.SUBMITTING


def test_two_lists_apart_that_show_an_older_task_prove_that_it_was_never_taken(table: Table) -> None:
    an_older_task(table)
    table.claim()
    table.pass_time(OVER)

    table.reconcile()
    table.pass_time(CONFIRMED / 2)
    table.reconcile()
    assert table.statuses[-1] is Status.IN_DOUBT
    table.pass_time(CONFIRMED / 2)
    assert table.reconcile() == 1

    assert table.statuses[-1] is Status.PENDING
    assert table.bill[-1] == "never_sent"


def test_between_the_two_lists_none_is_asked_for(table: Table) -> None:
    an_older_task(table)
    table.claim()
    table.pass_time(OVER)
    table.reconcile()
    lists = table.service.lists

    table.reconcile()

    assert table.service.lists == lists


@pytest.mark.parametrize("restarted", ["empty", "with tasks of others that are younger"])
def test_a_restarted_service_proves_nothing(table: Table, restarted: str) -> None:
    an_older_task(table)
    sent = table.claim(5)
    for claim in sent:
        table.service.takes(claim)
    table.service.tasks.clear()
    if restarted != "empty":
        table.service.takes_of_others(20)

    for gone in (OVER, CONFIRMED, CONFIRMED):
        table.pass_time(gone)
        table.reconcile()

    assert table.statuses[1:] == [Status.IN_DOUBT] * 5
    with table.database.reading() as tx:
        assert all(row["doubt_checked_at"] for row in rows.image_rows(tx)[1:])


@pytest.mark.parametrize(
    ("age", "clock", "status"),
    [
        (10.0, timedelta(), Status.PENDING),
        (0.0, timedelta(), Status.IN_DOUBT),
        # It is older by a clock that may be an hour behind.
        (10.0, None, Status.IN_DOUBT),
    ],
)
def test_before_our_first_task_any_that_is_older_than_the_claim_is_a_witness_by_a_clock_that_is_known(
    table: Table, age: float, clock: timedelta | None, status: Status
) -> None:
    table.service.behind = clock
    table.claim()
    with table.database.reading() as tx:
        table.service.takes_of_others(1, tx.now - timedelta(minutes=age))
    table.pass_time(OVER)
    with table.database.reading() as tx:
        # What was submitted long before the claim stays so, by whichever clock.
        (task,) = table.service.tasks
        assert task.submit_time is not None
        moved = task.submit_time - OVER
    table.service.tasks = [replace(task, submit_time=moved)]

    table.reconcile()
    table.pass_time(CONFIRMED)
    table.reconcile()

    assert table.statuses == [status]


@pytest.mark.parametrize("part", [0.0, 0.4, 0.999])
@pytest.mark.parametrize("seconds_to_answer", [0, 30])
def test_a_right_clock_that_names_whole_seconds_is_not_taken_for_one_that_is_behind(
    part: float, seconds_to_answer: int
) -> None:
    asked_at = datetime(2026, 11, 30, 12, tzinfo=UTC) + timedelta(seconds=part)
    search = Search(expected={"ours"})
    search.look(RemoteTask("1", RemoteTaskStatus.SUCCESS, state="theirs", submit_time=asked_at - timedelta(seconds=60)))

    search.note_clock(asked_at, (asked_at + timedelta(seconds=seconds_to_answer)).replace(microsecond=0))

    assert search.reaches_back_to(asked_at - timedelta(seconds=59.9))
    assert not search.reaches_back_to(asked_at - timedelta(seconds=60))


@pytest.mark.parametrize("shown_by", ["a task of ours", "the header of the answer"])
@pytest.mark.parametrize("behind", [60.0, 0.0, -60.0])
def test_a_task_that_only_a_slow_clock_makes_older_is_no_witness(table: Table, behind: float, shown_by: str) -> None:
    """A service that has forgotten our task lists younger ones, which look older than it by its own clock."""
    clock_of_service = timedelta(minutes=behind)
    (lost,) = table.claim()
    table.service.takes(lost)
    table.pass_time(MOMENTS)
    table.service.tasks.clear()
    with table.database.reading() as tx:
        moment = tx.now - clock_of_service
    table.service.takes_of_others(3, moment)
    if shown_by == "a task of ours":
        (later,) = table.claim()
        answer = table.service.takes(later)
        table.service.tasks[-1] = replace(table.service.tasks[-1], submit_time=moment)
        table.record(later, answer)
    else:
        table.service.behind = clock_of_service
    for gone in (OVER, CONFIRMED, CONFIRMED):
        table.pass_time(gone)
        table.service.tasks = [
            replace(task, submit_time=task.submit_time and task.submit_time - gone) for task in table.service.tasks
        ]
        table.reconcile()

    assert table.statuses[0] is Status.IN_DOUBT


def test_a_service_that_takes_a_post_long_after_its_client_hung_up_is_paid_once(table: Table) -> None:
    an_older_task(table)
    sent = table.claim(3)
    for claim in sent:
        table.record(claim, Ambiguous(None, None, "no whole answer within 60 s"))
    table.pass_time(OVER)
    table.reconcile()

    table.pass_time(timedelta(seconds=ACCOUNT.submit_deadline + 200) - OVER)
    for claim in sent:
        table.service.takes(claim)
    table.pass_time(CONFIRMED)
    table.reconcile()

    assert table.statuses[1:] == [Status.SUBMITTED] * 3
    assert table.bill[1:] == ["accepted"] * 3


def test_what_seemed_never_sent_and_shows_up_after_all_keeps_its_image_from_being_sent_again(table: Table) -> None:
    an_older_task(table)
    (claim,) = table.claim()
    table.pass_time(OVER)
    table.reconcile()
    table.pass_time(CONFIRMED)
    table.reconcile()
    assert table.statuses[-1] is Status.PENDING

    table.service.takes(claim)
    with table.database.writing() as tx:
        rows.set_columns(tx, claim.image_id, not_before=tx.now + timedelta(hours=1))
    # Another POST has no answer, so that the list is asked for.
    table.claim()
    table.pass_time(MOMENTS)
    table.reconcile()

    assert table.statuses[1] is Status.SUBMITTED
    assert table.bill[1] == "accepted"


def test_a_long_list_is_read_ever_more_rarely_for_what_it_does_not_show(table: Table) -> None:
    table.service.takes_of_others(SHORT_LIST + 1)
    table.claim()
    table.pass_time(MOMENTS)

    polls = int((OVER - MOMENTS).total_seconds() // ACCOUNT.poll_interval)
    watcher = table.watcher()
    for _ in range(polls):
        table.reconcile(watcher)
        table.pass_time(timedelta(seconds=ACCOUNT.poll_interval), watcher)

    assert polls > 50
    assert 5 < table.service.lists < 20


def test_a_short_list_is_read_at_each_poll_since_it_loses_sight_of_tasks(table: Table) -> None:
    table.claim()
    table.pass_time(MOMENTS)

    watcher = table.watcher()
    for _ in range(10):
        table.reconcile(watcher)
        table.pass_time(timedelta(seconds=ACCOUNT.poll_interval), watcher)

    assert table.service.lists == 10


def test_what_was_never_sent_a_while_ago_makes_no_poll_read_a_long_list_to_its_end(table: Table) -> None:
    table.service.takes_of_others(SHORT_LIST + 1)
    an_older_task(table)
    table.claim()
    for gone in (OVER, CONFIRMED):
        table.pass_time(gone)
        table.reconcile()
    assert table.bill[-1] == "never_sent"

    watcher = table.watcher()
    shown = []
    for _ in range(10):
        (claim,) = table.claim()
        table.service.takes(claim)
        table.pass_time(MOMENTS, watcher)
        before = table.service.shown
        table.reconcile(watcher)
        shown.append(table.service.shown - before)

    assert table.statuses.count(Status.SUBMITTED) == 11
    assert shown[0] > SHORT_LIST
    assert max(shown[1:]) < 10


def test_a_post_that_was_seen_to_break_off_is_proved_so_and_not_as_one_that_was_never_sent(table: Table) -> None:
    an_older_task(table)
    (claim,) = table.claim()
    table.record(claim, Ambiguous(None, None, "no whole answer within 60 s"))
    for gone in (OVER, CONFIRMED):
        table.pass_time(gone)
        table.reconcile()

    assert table.bill[-1] == "broken_off"


def test_of_several_all_that_are_proved_and_found_are_counted(table: Table) -> None:
    an_older_task(table)
    never_taken, taken, never_taken_either = table.claim(3)
    table.pass_time(OVER)
    table.reconcile()
    table.pass_time(CONFIRMED)
    table.service.takes(taken)

    assert table.reconcile() == 3
    assert table.statuses[1:] == [Status.PENDING, Status.SUBMITTED, Status.PENDING]
    assert {never_taken.submit_token, never_taken_either.submit_token}.isdisjoint(table.service.billed)


def test_a_service_without_a_list_is_not_asked_for_it_again_and_all_its_doubts_are_left_to_people(table: Table) -> None:
    table.service.error = ListingUnsupportedError("no list")
    table.claim(2)
    table.pass_time(OVER)
    watcher = table.watcher()
    assert table.left_to_people == [False, False]

    assert table.reconcile(watcher) == 0
    assert table.left_to_people == [True, True]
    assert not watcher.finds_tasks

    table.claim()
    table.pass_time(MOMENTS, watcher)
    table.reconcile(watcher)
    assert table.service.lists == 1


def test_a_list_that_cannot_be_read_may_be_readable_later_but_not_for_ever(table: Table) -> None:
    table.service.error = ServiceProtocolError("a web page")
    table.claim()
    table.pass_time(OVER)

    table.reconcile()
    assert table.left_to_people == [False]

    table.pass_time(timedelta(seconds=ACCOUNT.lost_after + 100))
    table.claim()
    table.pass_time(OVER)
    table.reconcile()
    assert table.left_to_people == [True, False]


def test_without_a_witness_a_doubt_is_left_to_people_when_a_proof_would_have_been_possible(table: Table) -> None:
    table.claim()
    table.pass_time(OVER)
    table.reconcile()
    assert table.left_to_people == [False]

    table.pass_time(CONFIRMED)
    table.reconcile()

    assert (table.left_to_people, table.statuses) == ([True], [Status.IN_DOUBT])


def test_only_rows_that_have_their_task_by_an_adoption_are_said_to_have_been_adopted(table: Table) -> None:
    answered, unanswered = table.claim(2)
    table.record(answered, table.service.takes(answered))
    table.service.takes(unanswered)

    with table.database.writing() as tx:
        assert adopt(tx, table.service.tasks) == {unanswered.submit_token}
        assert adopt(tx, []) == set()


NOON: Final = datetime(2026, 11, 30, 12, tzinfo=UTC)


def listed(task_id: str, state: str, minutes_ago: float | None = None) -> RemoteTask:
    submit_time = None if minutes_ago is None else NOON - timedelta(minutes=minutes_ago)
    return RemoteTask(task_id, RemoteTaskStatus.SUBMITTED, state=state, submit_time=submit_time)


def test_a_search_is_over_when_all_that_is_expected_was_seen_and_takes_what_it_hopes_for_on_its_way() -> None:
    search = Search(expected={"a", "b"}, hoped={"c"}, older={"a": frozenset({"witness"}), "b": frozenset({"another"})})

    seen = [search.look(listed(str(number), state)) for number, state in enumerate(("c", "a", "witness", "x", "b"))]

    assert seen == [False, False, False, False, True]
    assert [task.state for task in search.found] == ["c", "a", "b"]
    assert search.seen == {"witness"}
    assert search.tasks == 5
    assert (search.expected, search.hoped) == (set(), set())


def test_the_oldest_task_of_any_order_says_how_far_a_list_reaches_back() -> None:
    search = Search(expected={"ours"})
    assert not search.reaches_back_to(NOON)
    for minutes_ago in (None, 10, 30, 20):
        search.look(listed("1", "theirs", minutes_ago))

    assert search.oldest == NOON - timedelta(minutes=30)
    assert not search.reaches_back_to(NOON), "nothing is known of the service's clock"
    search.note_clock(NOON, NOON)
    assert search.reaches_back_to(NOON - timedelta(minutes=29))
    assert not search.reaches_back_to(NOON - timedelta(minutes=30))


def test_a_clock_is_behind_by_the_most_that_any_task_of_ours_or_any_answer_shows() -> None:
    search = Search(expected={"ours"}, claimed={"a": NOON, "b": NOON})
    for state, minutes_ago in (("theirs", 60.0), ("a", 5.0), ("b", 2.0)):
        search.look(listed("1", state, minutes_ago))
    assert search.behind == timedelta(minutes=5)

    search.note_clock(NOON, None)
    search.note_clock(NOON, NOON - timedelta(minutes=3))
    assert search.behind == timedelta(minutes=5)

    search.note_clock(NOON, NOON - timedelta(minutes=8))
    assert search.behind == timedelta(minutes=8) - timedelta(seconds=1)
    assert search.reaches_back_to(NOON - timedelta(minutes=52))
    assert not search.reaches_back_to(NOON - timedelta(minutes=53))


def test_a_clock_that_is_ahead_counts_as_right() -> None:
    search = Search(expected={"ours"}, claimed={"a": NOON})
    search.look(listed("1", "a", -5.0))
    search.note_clock(NOON, NOON + timedelta(minutes=5))

    assert search.behind == timedelta()


@pytest.mark.parametrize(
    ("read_minutes_ago", "tasks", "claimed_minutes_ago", "due"),
    [
        (None, SHORT_LIST + 1, 40.0, True),
        (1.0, SHORT_LIST, 40.0, True),
        (1.0, SHORT_LIST + 1, 40.0, False),
        (9.0, SHORT_LIST + 1, 40.0, False),
        (10.0, SHORT_LIST + 1, 40.0, True),
        (1.0, SHORT_LIST + 1, 1.0, True),
        (1.0, SHORT_LIST + 1, 0.5, True),
    ],
    ids=["first", "short", "just read", "not yet", "a quarter of its age", "read when it was claimed", "read before"],
)
def test_a_long_list_is_due_again_after_a_quarter_of_the_age_of_what_it_does_not_show(
    read_minutes_ago: float | None, tasks: int, claimed_minutes_ago: float, due: bool
) -> None:
    read_at = None if read_minutes_ago is None else NOON - timedelta(minutes=read_minutes_ago)

    assert ListPace(read_at, tasks).is_due(NOON - timedelta(minutes=claimed_minutes_ago), NOON) is due
