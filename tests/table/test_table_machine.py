"""Any order of listing, claiming, crashing, answering late, settling, expiring, redescribing, clearing is safe.

So it is under two policies over one prefix, with commits that are lost or unheard, and an account that is renamed.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast
from unittest.mock import patch

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from airflow_midjourney.describe.engine.answers.posts import Posted, record_posts
from airflow_midjourney.describe.engine.context import Watcher
from airflow_midjourney.describe.engine.doubt.orphans import seek_orphans
from airflow_midjourney.describe.engine.reconcile import reconcile
from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.model.status import IN_FLIGHT, BotType, Reason, Status
from airflow_midjourney.describe.service.client import ListingUnsupportedError
from airflow_midjourney.describe.service.dialects.dialect import RemoteTaskStatus
from airflow_midjourney.describe.service.submit_response import Accepted
from airflow_midjourney.describe.service.tasks import RemoteTask
from airflow_midjourney.describe.table import accounts, duplicates, leases, matching, results, submissions
from airflow_midjourney.describe.table.claims import Claim, ClaimResult
from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.describe.table.doubt import in_doubt, orphans
from airflow_midjourney.describe.table.matching import Asker
from airflow_midjourney.describe.table.migrations import ensure_tables
from airflow_midjourney.describe.table.results import RemoteTimes
from airflow_midjourney.describe.table.submissions import PostFacts
from tests.support import rows
from tests.support.remote import show

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.model.batch import Redescribe

KEYS = st.sampled_from(["a.jpg", "b.jpg", "copy of a.jpg", "c.jpg"])
BODIES = {"a.jpg": "A", "copy of a.jpg": "A", "b.jpg": "B", "c.jpg": "C"}
ACCOUNT = replace(rows.ACCOUNT, max_in_flight=2)

#: What the account is called, one after the other and back.
NAMES = (ACCOUNT, replace(ACCOUNT, identity="https://service.example:443#new-key"))

POLICIES = ("hold", "resubmit")


class LostCommitError(Exception):
    """The database was gone before it had committed."""


@dataclass
class Post:
    """A POST as the service saw it: it bills each one it accepts."""

    claim: Claim
    task_id: str


class Machine(RuleBasedStateMachine):
    """A service that lists its tasks, and workers that may die between any two steps."""

    sent = Bundle("sent")
    accepted = Bundle("accepted")

    def __init__(self) -> None:
        super().__init__()
        # Pauses end in `time_passes` and never by themselves, however slow the machine is.
        self.pauses = [patch.object(submissions, "PAUSE_AFTER_NO", 1e6), patch.object(results, "RETRY_PAUSE", 1e6)]
        self.pauses.append(patch.object(leases, "LEASE", 1e6))
        for pause in self.pauses:
            pause.start()
        self.folder = Path(tempfile.mkdtemp())
        self.database = open_database(f"sqlite:///{self.folder}/table.sqlite")
        ensure_tables(self.database)
        self.tasks: list[RemoteTask] = []
        self.strangers = [RemoteTask("0", RemoteTaskStatus.SUCCESS, state="another's", submit_time=rows.LONG_AGO)]
        self.billed: Counter[str] = Counter()
        self.reported_failed: Counter[str] = Counter()
        self.listed: set[str] = set()
        self.on_their_way: set[str] = set()
        self.too_late: set[str] = set()
        self.left_one_out = False
        self.runs = 0
        self.asked_again: set[tuple[int, str]] = set()
        self.account = ACCOUNT
        self.policy_of: dict[str, str] = {}
        self.resubmitted: Counter[str] = Counter()
        with self.database.writing() as tx:
            for name in NAMES:
                accounts.ensure_account(tx, name)

    def teardown(self) -> None:
        for pause in self.pauses:
            pause.stop()
        self.database.close()
        shutil.rmtree(self.folder)

    @initialize(
        target=accepted, keys=st.sets(KEYS, min_size=1), policy=st.sampled_from(POLICIES), recorded=st.booleans()
    )
    def begin(self, keys: set[str], policy: str, recorded: bool) -> Any:
        self.list_images(keys)
        return self.an_image_is_sent_and_taken(policy, recorded)

    @rule(keys=st.sets(KEYS, min_size=1))
    def list_images(self, keys: set[str]) -> None:
        self.listed |= keys
        with self.database.writing() as tx:
            rows.list_images(tx, [rows.listed(key) for key in sorted(keys)])

    @rule(policy=st.sampled_from(POLICIES))
    def clear(self, policy: str) -> None:
        with self.database.writing() as tx:
            rows.open_batch(tx, run_id=policy, in_doubt=policy)

    @rule(what=st.sampled_from(["failed", "all", "in_doubt"]), anew=st.booleans())
    def redescribe(self, what: Redescribe, anew: bool) -> None:
        """A run may ask to describe images again; its retries and clears ask for the same once more."""
        self.runs += anew or not self.runs
        self.asked_again |= {(self.runs, rows.content(BODIES[key]).content_sha256) for key in self.listed}
        with self.database.writing() as tx:
            batch = rows.open_batch(tx, run_id=f"again-{self.runs}")
            asker = Asker(batch.batch_id, BotType.MID_JOURNEY, rows.READER, what, batch.started_at)
            matching.write_page(
                tx, matching.compare_page(tx, [rows.listed(key) for key in sorted(self.listed)], asker), asker
            )

    @rule(target=sent, policy=st.sampled_from(POLICIES), commit=st.sampled_from(["heard", "unheard", "lost"]))
    def reserve_and_claim(self, policy: str, commit: str) -> Any:
        """A commit that raised may have happened or not: the worker makes the same claim again."""
        with self.database.writing() as tx:
            batch = rows.open_batch(tx, run_id=policy, in_doubt=policy)
            reserved = leases.reserve(tx, batch, "holder", 1)
        if not reserved:
            return multiple()
        row = reserved[0]
        request = rows.request(batch, row, BODIES[row.key])
        if commit != "heard":
            with suppress(LostCommitError), self.database.writing() as tx:
                rows.claim(tx, request, self.account)
                if commit == "lost":
                    raise LostCommitError
        with self.database.writing() as tx:
            result = rows.claim(tx, request, self.account)
            if result in (ClaimResult.NO_ROOM, ClaimResult.CAPPED):
                leases.release(tx, [row.id], "holder")
        if result is not ClaimResult.CLAIMED:
            return multiple()
        with self.database.reading() as tx:
            assert accounts.read_account(tx, self.account.identity).in_flight <= ACCOUNT.max_in_flight
        self.on_their_way.add(request.submit_token)
        self.policy_of[request.submit_token] = policy
        return request

    @rule(target=accepted, request=consumes(sent))
    def the_database_loses_the_claim_while_the_service_takes_it(self, request: Claim) -> Any:
        """A failover forgets what was committed; the worker lives and has both intent and answer."""
        if request.submit_token in self.too_late or not self._forget(request):
            return multiple()
        post = self._take(request)
        with self.database.writing() as tx:
            record_posts(tx, self.account, [Posted(request, Accepted(post.task_id, 200, 1), 1.0)])
        return post

    @rule(target=accepted, policy=st.sampled_from(POLICIES), recorded=st.booleans())
    def an_image_is_sent_and_taken(self, policy: str, recorded: bool) -> Any:
        """The usual case, in one step."""
        request = self.reserve_and_claim(policy, "heard")
        return self.the_service_takes_it(request, recorded) if isinstance(request, Claim) else multiple()

    @rule(target=accepted, request=consumes(sent), recorded=st.booleans())
    def the_service_takes_it(self, request: Claim, recorded: bool) -> Any:
        """The worker may die before it has written the answer down; then a slow answer may still come.

        No POST reaches the service after its deadline and the grace time: its worker gives it up before that.
        """
        if request.submit_token in self.too_late:
            return multiple()
        post = self._take(request)
        if recorded:
            self._record(post)
        return post

    @rule(request=consumes(sent))
    def the_service_is_full(self, request: Claim) -> None:
        with self.database.writing() as tx:
            submissions.not_taken(tx, request.submit_token, Outcome.FULL, PostFacts(200, 23))

    @rule(request=consumes(sent))
    def the_worker_dies_before_the_post(self, request: Claim) -> None:
        """Nothing happens, and that is the point."""

    @rule(post=accepted)
    def a_slow_answer_comes(self, post: Post) -> None:
        self._record(post)

    @rule(post=accepted, succeeds=st.booleans())
    def settle(self, post: Post, succeeds: bool) -> None:
        with self.database.writing() as tx:
            on_their_way = [row for name in NAMES for row in results.in_flight(tx, name.identity)]
            mine = next((row for row in on_their_way if row.submit_token == post.claim.submit_token), None)
            if mine is None:
                return
            if succeeds:
                rows.described(tx, mine, rows.four_prompts(), "raw", RemoteTimes())
            else:
                results.ended(tx, mine, Reason.SERVICE_ERROR, "the service says so", RemoteTimes(), "")
                self.reported_failed[post.claim.content.content_sha256] += 1
            duplicates.resolve_shared(tx)

    @rule()
    def time_passes(self) -> None:
        self.too_late |= self.on_their_way
        with self.database.writing() as tx:
            images = tx.tables.images
            tx.connection.execute(images.update().values(reserved_until=rows.LONG_AGO, not_before=None))
            overdue = images.c.status == Status.SUBMITTING
            tx.connection.execute(images.update().where(overdue).values(in_doubt_after=rows.LONG_AGO))
            tx.connection.execute(
                images.update().where(images.c.absent_since.is_not(None)).values(absent_since=rows.LONG_AGO)
            )
            submissions.doubt_overdue(tx)
            duplicates.resolve_shared(tx)

    @rule(left_out=st.integers(0, 3))
    def ask_about_doubts(self, left_out: int) -> None:
        """One list in a row may leave one of the newest tasks out."""
        self.time_passes()
        left_out = 0 if self.left_one_out else left_out
        self.left_one_out = left_out > 0
        self._look_for_tasks(left_out)

    @rule()
    def look_for_what_has_no_answer_yet(self) -> None:
        """A poll comes while workers still wait for the answers to their POSTs, or have died."""
        with self.database.writing() as tx:
            images = tx.tables.images
            tx.connection.execute(
                images.update().where(images.c.status == Status.SUBMITTING).values(updated_at=rows.LONG_AGO)
            )
        self._look_for_tasks(0)

    @rule()
    def the_service_forgets_everything(self) -> None:
        """A restarted service lists nothing: no task of ours, nor one that is older than a claim."""
        self.tasks.clear()
        self.strangers.clear()

    @rule()
    def the_service_has_no_list(self) -> None:
        """Nothing can be proved: doubtful rows wait for a policy, or a person."""
        self.time_passes()

        async def refused(_look: object) -> None:
            raise ListingUnsupportedError("There is no list.")

        self._reconcile(refused)

    @rule(policy=st.sampled_from(POLICIES))
    def resubmit_what_is_in_doubt(self, policy: str) -> None:
        """The policy of the batch that sent an image counts, whichever batch comes across it."""
        before = {row["image_uri"]: row for row in self._rows()}
        with self.database.writing() as tx:
            batch = rows.open_batch(tx, run_id=policy, in_doubt=policy)
            released = in_doubt.release_for_resubmission(tx, batch, self.account.identity)
        for image_uri in released:
            assert self.policy_of[before[image_uri]["submit_token"]] == "resubmit"
            self.resubmitted[before[image_uri]["content_sha256"]] += 1

    @rule(name=st.sampled_from(NAMES))
    def the_connection_gets_another_key(self, name: AccountSettings) -> None:
        """What is on its way belongs to a name that no connection has any more, until the former key is back."""
        self.account = name
        with self.database.writing() as tx:
            orphans.reclaim(tx, name.identity)

    @rule(name=st.sampled_from(NAMES), finds=st.booleans(), whole_day=st.booleans())
    def the_connection_asks_for_orphans(self, name: AccountSettings, finds: bool, whole_day: bool) -> None:
        """It may reach another service than the one that has them, for a whole day."""
        self.the_connection_gets_another_key(name)
        with self.database.writing() as tx:
            table = tx.tables.accounts
            others = table.c.account != self.account.identity
            tx.connection.execute(table.update().values(seeks_from=None))
            sought = orphans.SOUGHT_FOR if whole_day else None
            tx.connection.execute(table.update().where(others).values(next_poll_at=rows.LONG_AGO, sought_for=sought))
        tasks = self.tasks if finds else []

        async def list_by_condition(ids: Collection[str]) -> Any:
            return SimpleNamespace(tasks={task.id: task for task in tasks if task.id in ids})

        async def fetch(_task_id: str) -> None:
            return None

        async def search_list(look: Callable[[RemoteTask], bool]) -> None:
            show(tasks, look)

        asyncio.run(
            seek_orphans(self._watcher(list_by_condition=list_by_condition, fetch=fetch, search_list=search_list))
        )
        with self.database.writing() as tx:
            duplicates.resolve_shared(tx)

    def _look_for_tasks(self, left_out: int) -> None:
        async def search_list(look: Callable[[RemoteTask], bool]) -> None:
            ours = [task for place, task in enumerate(reversed(self.tasks), start=1) if place != left_out]
            show([*ours, *self.strangers], look)

        self._reconcile(search_list)

    def _reconcile(self, search_list: Callable[..., Any]) -> None:
        asyncio.run(reconcile(self._watcher(search_list=search_list)))
        with self.database.writing() as tx:
            duplicates.resolve_shared(tx)

    def _watcher(self, **client: Any) -> Watcher:
        return Watcher(
            database=self.database,
            service=cast("Any", SimpleNamespace(name="midjourney_default")),
            client=cast("Any", SimpleNamespace(**client)),
            account=self.account,
        )

    @invariant()
    def nothing_is_paid_twice(self) -> None:
        for content, billed in self.billed.items():
            asked = 1 + sum(again == content for _, again in self.asked_again)
            again = self.resubmitted[content]
            assert again <= 1, "once for the same bytes, ever"
            assert billed <= asked + self.reported_failed[content] + again
            assert billed <= 2 * asked + again, "max_attempts"

    @invariant()
    def the_slots_hold(self) -> None:
        """A name that takes over from another keeps what was on its way; it claims only where it has room."""
        assert sum(row["status"] in IN_FLIGHT for row in self._rows()) <= ACCOUNT.max_in_flight * len(NAMES)

    @invariant()
    def every_row_says_what_it_is(self) -> None:
        for row in self._rows():
            if row["redescribed_by"] is None:
                assert (row["status"] == Status.SUCCEEDED) == (row["prompt_1"] is not None)
            elif row["status"] == Status.SUCCEEDED:
                assert row["prompt_1"]
            if row["status"] in (Status.FAILED, Status.REJECTED):
                assert row["reason"]
            assert (row["ended_at"] is None) == (row["status"] in (Status.PENDING, *IN_FLIGHT))

    @invariant()
    def nothing_is_lost(self) -> None:
        assert {row["key"] for row in self._rows()} == self.listed

    @precondition(lambda self: self.tasks)
    @invariant()
    def every_post_is_in_the_books(self) -> None:
        with self.database.reading() as tx:
            known = {row["submit_token"] for row in rows.bill(tx)}
        assert {task.state for task in self.tasks} <= known

    def _take(self, request: Claim) -> Post:
        post = Post(request, str(self.billed.total()))
        self.billed[request.content.content_sha256] += 1
        self.tasks.append(RemoteTask(post.task_id, RemoteTaskStatus.SUBMITTED, state=request.submit_token))
        return post

    def _forget(self, request: Claim) -> bool:
        """Take a claim out of the table, if nothing has followed from it yet."""
        with self.database.writing() as tx:
            row = rows.image_row(tx, request.image_id)
            if row["status"] != Status.SUBMITTING or row["submit_token"] != request.submit_token:
                return False
            nothing = {"submit_token": None, "in_doubt_after": None, "status": Status.PENDING.value}
            rows.set_columns(tx, request.image_id, attempts=row["attempts"] - 1, **nothing)
            bill = tx.tables.submissions
            tx.connection.execute(bill.delete().where(bill.c.submit_token == request.submit_token))
        return True

    def _record(self, post: Post) -> None:
        with self.database.writing() as tx:
            rows.accepted(tx, post.claim.submit_token, post.task_id, PostFacts(200, 1))

    def _rows(self) -> list[dict[str, Any]]:
        with self.database.reading() as tx:
            return rows.image_rows(tx)


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=25, stateful_step_count=40, deadline=None, derandomize=True)


@pytest.fixture
def machine() -> Iterator[Machine]:
    """One that a test moves by hand: each thing that it is to play has to be within its reach."""
    machine = Machine()
    yield machine
    machine.nothing_is_paid_twice()
    machine.the_slots_hold()
    machine.every_row_says_what_it_is()
    machine.nothing_is_lost()
    machine.every_post_is_in_the_books()
    machine.teardown()


def statuses(machine: Machine) -> list[str]:
    return [row["status"] for row in machine._rows()]


def test_it_plays_an_account_that_is_renamed_and_found(machine: Machine) -> None:
    machine.begin({"a.jpg"}, "hold", recorded=True)

    machine.the_connection_asks_for_orphans(NAMES[1], finds=True, whole_day=False)

    assert [(row["status"], row["account"]) for row in machine._rows()] == [("submitted", NAMES[1].identity)]


def test_it_plays_an_account_that_is_renamed_and_not_found_until_its_key_is_back(machine: Machine) -> None:
    machine.begin({"a.jpg", "copy of a.jpg"}, "resubmit", recorded=True)
    machine.reserve_and_claim("resubmit", "heard")

    machine.the_connection_asks_for_orphans(NAMES[1], finds=False, whole_day=True)
    assert statuses(machine) == ["in_doubt", "in_doubt"]
    machine.resubmit_what_is_in_doubt("resubmit")
    assert statuses(machine) == ["in_doubt", "in_doubt"]
    machine.the_connection_gets_another_key(NAMES[0])

    assert "submitted" in statuses(machine)


def test_it_plays_both_policies(machine: Machine) -> None:
    machine.begin({"a.jpg", "b.jpg"}, "hold", recorded=False)
    machine.an_image_is_sent_and_taken("resubmit", recorded=False)
    machine.the_service_has_no_list()
    assert statuses(machine) == ["in_doubt", "in_doubt"]

    for policy in POLICIES:
        machine.resubmit_what_is_in_doubt(policy)
    machine.an_image_is_sent_and_taken("hold", recorded=True)

    assert sorted(statuses(machine)) == ["in_doubt", "submitted"]
    assert machine.resubmitted.total() == 1
    assert sorted(machine.billed.values()) == [1, 2]


@pytest.mark.parametrize("commit", ["heard", "unheard", "lost"])
def test_it_plays_commits_that_are_lost_or_go_unheard(machine: Machine, commit: str) -> None:
    machine.list_images({"a.jpg"})
    claim = machine.reserve_and_claim("hold", commit)

    machine.the_database_loses_the_claim_while_the_service_takes_it(claim)

    assert statuses(machine) == ["submitted"]
