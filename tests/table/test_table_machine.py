"""Any order of listing, claiming, crashing, answering late, settling, expiring, redescribing, clearing is safe."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast
from unittest.mock import patch

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

from airflow_midjourney.describe.engine.context import Watcher
from airflow_midjourney.describe.engine.reconcile import reconcile
from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.model.status import IN_FLIGHT, BotType, Reason, Status
from airflow_midjourney.describe.service.dialects.dialect import RemoteTaskStatus
from airflow_midjourney.describe.service.tasks import RemoteTask
from airflow_midjourney.describe.table import duplicates, leases, matching, results, submissions
from airflow_midjourney.describe.table.claims import ClaimResult
from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.describe.table.matching import Asker
from airflow_midjourney.describe.table.migrations import ensure_tables
from airflow_midjourney.describe.table.results import RemoteTimes
from airflow_midjourney.describe.table.submissions import PostFacts
from tests.support import rows
from tests.support.remote import show

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_midjourney.describe.model.batch import Redescribe
    from airflow_midjourney.describe.table.claims import Claim

KEYS = st.sampled_from(["a.jpg", "b.jpg", "copy of a.jpg", "c.jpg"])
BODIES = {"a.jpg": "A", "copy of a.jpg": "A", "b.jpg": "B", "c.jpg": "C"}
ACCOUNT = replace(rows.ACCOUNT, max_in_flight=2)


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
        with self.database.writing() as tx:
            rows.open_batch(tx)

    def teardown(self) -> None:
        for pause in self.pauses:
            pause.stop()
        self.database.close()
        shutil.rmtree(self.folder)

    @initialize(keys=st.sets(KEYS, min_size=1))
    def begin(self, keys: set[str]) -> None:
        self.list_images(keys)

    @rule(keys=st.sets(KEYS, min_size=1))
    def list_images(self, keys: set[str]) -> None:
        self.listed |= keys
        with self.database.writing() as tx:
            rows.list_images(tx, [rows.listed(key) for key in sorted(keys)])

    @rule()
    def clear(self) -> None:
        with self.database.writing() as tx:
            rows.open_batch(tx)

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

    @rule(target=sent)
    def reserve_and_claim(self) -> Any:
        with self.database.writing() as tx:
            batch = rows.open_batch(tx)
            reserved = leases.reserve(tx, batch, "holder", 1)
        if not reserved:
            return multiple()
        row = reserved[0]
        request = rows.request(batch, row, BODIES[row.key])
        with self.database.writing() as tx:
            result = rows.claim(tx, request, ACCOUNT)
            if result in (ClaimResult.NO_ROOM, ClaimResult.CAPPED):
                leases.release(tx, [row.id], "holder")
        if result is not ClaimResult.CLAIMED:
            return multiple()
        self.on_their_way.add(request.submit_token)
        return request

    @rule(target=accepted, request=consumes(sent), recorded=st.booleans())
    def the_service_takes_it(self, request: Claim, recorded: bool) -> Any:
        """The worker may die before it has written the answer down; then a slow answer may still come.

        No POST reaches the service after its deadline and the grace time: its worker gives it up before that.
        """
        if request.submit_token in self.too_late:
            return multiple()
        post = Post(request, str(self.billed.total()))
        self.billed[request.content.content_sha256] += 1
        self.tasks.append(RemoteTask(post.task_id, RemoteTaskStatus.SUBMITTED, state=request.submit_token))
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
            on_their_way = results.in_flight(tx, ACCOUNT.identity)
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

    def _look_for_tasks(self, left_out: int) -> None:
        async def search_list(look: Callable[[RemoteTask], bool]) -> None:
            ours = [task for place, task in enumerate(reversed(self.tasks), start=1) if place != left_out]
            show([*ours, *self.strangers], look)

        watcher = Watcher(
            database=self.database,
            service=cast("Any", None),
            client=cast("Any", SimpleNamespace(search_list=search_list)),
            account=ACCOUNT,
        )
        asyncio.run(reconcile(watcher))
        with self.database.writing() as tx:
            duplicates.resolve_shared(tx)

    @invariant()
    def nothing_is_paid_twice(self) -> None:
        for content, billed in self.billed.items():
            asked = 1 + sum(again == content for _, again in self.asked_again)
            assert billed <= asked + self.reported_failed[content]
            assert billed <= 2 * asked, "max_attempts"

    @invariant()
    def the_slots_hold(self) -> None:
        assert sum(row["status"] in IN_FLIGHT for row in self._rows()) <= ACCOUNT.max_in_flight

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

    def _record(self, post: Post) -> None:
        with self.database.writing() as tx:
            rows.accepted(tx, post.claim.submit_token, post.task_id, PostFacts(200, 1))

    def _rows(self) -> list[dict[str, Any]]:
        with self.database.reading() as tx:
            return rows.image_rows(tx)


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=30, stateful_step_count=40, deadline=None, derandomize=True)
