"""Answers that arrive after another worker took over: the bill has them all, and no prompts are lost or overwritten."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.describe.admin import resolve
from airflow_midjourney.describe.engine.advance import advance
from airflow_midjourney.describe.engine.doubt import former_tasks
from airflow_midjourney.describe.model.batch import BatchOptions, Origin
from airflow_midjourney.describe.model.errors import ServiceUnavailableError
from airflow_midjourney.describe.model.status import Reason, Status
from airflow_midjourney.describe.service.client import MidjourneyClient
from airflow_midjourney.describe.service.submit_response import Ambiguous, HeldBack
from airflow_midjourney.describe.table import claims, submissions
from airflow_midjourney.describe.table.batches import open_batch
from airflow_midjourney.testing.simulator.serving import UNTIL_HURRIED
from tests.support.crash_runs import ACCOUNT, PATIENT, PATIENTLY
from tests.support.rows import let_time_pass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_midjourney.describe.service.submit_response import SubmitOutcome
    from tests.support.crash import CrashingEngine
    from tests.support.crash_runs import CrashSite, Errand


@dataclass
class HeldAnswers:
    """The answers to the POSTs of a run, on their way until they are let through.

    :param instead: what they turn out to be, if not what the service said.
    """

    let_through: threading.Event = field(default_factory=threading.Event)
    instead: SubmitOutcome | None = None


@contextmanager
def answers_held(site: CrashSite, errand: Errand) -> Iterator[HeldAnswers]:
    """Submit all images of an errand; their answers arrive at the end of the block."""
    held = HeldAnswers()
    submitting = threading.Thread(target=lambda: asyncio.run(_submit_and_wait(errand, held)))
    submitting.start()
    try:
        _wait_until(lambda: site.accepted() == len(site.rows(errand)) > 0)
        yield held
    finally:
        held.let_through.set()
        submitting.join()


async def _submit_and_wait(errand: Errand, held: HeldAnswers) -> None:
    engine = errand.engine()
    batch = await engine.database.write(open_batch, errand.scope, errand.options, Origin("dag", errand.run_id, "slow"))
    async with engine.worker() as worker, MidjourneyClient(engine.service) as client:

        async def submit_describe(**image: Any) -> SubmitOutcome:
            outcome = await client.submit_describe(**image)
            # What was never sent has no answer that could be late: it is tried again.
            while not isinstance(outcome, HeldBack) and not held.let_through.is_set():
                await asyncio.sleep(0.01)
            return held.instead or outcome

        worker.client.submit_describe = submit_describe  # type: ignore[method-assign]
        while (await advance(worker, batch.batch_id)).open.pending:
            await asyncio.sleep(0.05)
    engine.database.close()


def _wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 180
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _let_it_be_doubtful(site: CrashSite, errand: Errand) -> None:
    asyncio.run(site.database.write(let_time_pass, timedelta(seconds=PATIENTLY)))
    asyncio.run(site.database.write(submissions.doubt_overdue))
    assert set(site.statuses(errand)) == {Status.IN_DOUBT}


def _decide(site: CrashSite, errand: Errand, decide: Callable[..., bool]) -> None:
    (row,) = asyncio.run(site.database.read(resolve.doubtful_rows, errand.scope))
    assert asyncio.run(site.database.write(decide, row, "a person"))


def test_an_answer_after_the_task_was_adopted_changes_nothing(
    make_site: Callable[..., CrashSite], photos: Callable[[int], list[bytes]]
) -> None:
    site = make_site("novicezk")
    errand = site.prepare(photos(3), account=PATIENT)

    with answers_held(site, errand):
        errand.run()
        bill = site.sent(errand)

    assert site.statuses(errand) == [Status.SUCCEEDED] * 3
    assert site.sent(errand) == bill
    assert {(post.outcome, post.result) for post in bill} == {("accepted", "succeeded")}
    assert site.billed() == [1] * 3


def test_a_time_out_after_the_task_was_adopted_does_not_unsettle_the_bill(
    make_site: Callable[..., CrashSite], photos: Callable[[int], list[bytes]]
) -> None:
    site = make_site("novicezk")
    errand = site.prepare(photos(3), account=PATIENT)

    with answers_held(site, errand) as held:
        held.instead = Ambiguous(None, None, "no whole answer in time")
        errand.run()

    assert {(post.outcome, post.result) for post in site.sent(errand)} == {("accepted", "succeeded")}
    assert all(post.task_id for post in site.sent(errand))


def test_if_both_submissions_were_billed_the_books_say_so(
    make_site: Callable[..., CrashSite], photos: Callable[[int], list[bytes]]
) -> None:
    site = make_site("new-api")
    errand = site.prepare(photos(1), account=PATIENT)

    with answers_held(site, errand):
        _let_it_be_doubtful(site, errand)
        errand.run()
        (before,) = site.rows(errand)

    (after,) = site.rows(errand)
    assert after == before
    assert after.status == Status.SUCCEEDED
    first, second = site.sent(errand)
    assert (first.outcome, second.outcome) == ("accepted", "accepted")
    assert first.task_id != second.task_id == after.task_id
    assert site.billed() == [2]


def test_an_answer_just_before_an_image_is_sent_again_saves_the_second_price(
    make_site: Callable[..., CrashSite], photos: Callable[[int], list[bytes]]
) -> None:
    site = make_site("new-api")
    errand = site.prepare(photos(1), account=PATIENT)

    with answers_held(site, errand):
        _let_it_be_doubtful(site, errand)
        _decide(site, errand, resolve.release)
        assert site.statuses(errand) == [Status.PENDING]

    assert site.statuses(errand) == [Status.SUBMITTED]
    errand.run()
    assert site.statuses(errand) == [Status.SUCCEEDED]
    assert site.billed() == [1]


def test_an_answer_for_an_image_that_a_person_gave_up_is_still_fetched(
    make_site: Callable[..., CrashSite], photos: Callable[[int], list[bytes]]
) -> None:
    site = make_site("new-api")
    errand = site.prepare(photos(1), account=PATIENT)

    with answers_held(site, errand):
        _let_it_be_doubtful(site, errand)
        _decide(site, errand, resolve.fail)
        assert site.statuses(errand) == [Status.FAILED]

    _wait_until(lambda: site.simulator.tasks()[0]["status"] == "SUCCESS")
    _wait_until(lambda: errand.run_here() is not None and site.statuses(errand) == [Status.SUCCEEDED])
    assert site.billed() == [1]


@pytest.mark.parametrize("dialect", ["novicezk", "trueai", "new-api"])
def test_an_answer_that_comes_after_its_image_timed_out_is_taken_by_the_next_run(
    make_site: Callable[..., CrashSite], photos: Callable[[int], list[bytes]], dialect: str
) -> None:
    site = make_site(dialect, ("slow_work:first=1",), pause=UNTIL_HURRIED)
    errand = site.prepare(
        photos(1), account=PATIENT | {"task_timeout": 0.3}, options=replace(BatchOptions(), max_attempts=1)
    )
    errand.run_here()
    (failed,) = site.rows(errand)
    assert (failed.status, failed.reason) == (Status.FAILED, Reason.TIMEOUT)

    _end_the_slow_task(site)
    _wait_until(lambda: replace(errand, run_id="next").run_here() is not None and not site.rows(errand)[0].reason)

    (row,) = site.rows(errand)
    assert (row.status, row.prompt_count) == (Status.SUCCEEDED, 4)
    assert [post.result for post in site.sent(errand)] == ["succeeded"]
    assert site.billed() == [1]


@pytest.mark.parametrize("answers", ["at once", "not at once"])
def test_the_old_task_is_asked_once_more_before_a_second_is_paid(
    make_site: Callable[..., CrashSite],
    photos: Callable[[int], list[bytes]],
    monkeypatch: pytest.MonkeyPatch,
    answers: str,
) -> None:
    # Without a list of many tasks, and without requests for single ones, polls ask about no task that was given up.
    monkeypatch.setattr("airflow_midjourney.describe.engine.doubt.ask.SINGLE_FETCHES", 0)
    site = make_site("novicezk", ("slow_work:first=1", "no_list_by_condition"), pause=UNTIL_HURRIED)
    errand = site.prepare(photos(1), account=PATIENT | {"task_timeout": 0.3})
    monkeypatch.setattr("airflow_midjourney.describe.table.results.RETRY_PAUSE", PATIENTLY)
    monkeypatch.setattr("airflow_midjourney.describe.table.doubt.former_tasks.POSTPONEMENT", 0.2)
    engine = errand.engine()
    if answers == "not at once":
        _fail_once_when_asked_for_the_old_task(monkeypatch)

    with _running(errand, engine):
        _wait_until(lambda: [(row.status, row.attempts) for row in site.rows(errand)] == [(Status.PENDING, 1)])
        _end_the_slow_task(site)
        asyncio.run(site.database.write(let_time_pass, timedelta(seconds=PATIENTLY)))

    assert site.statuses(errand) == [Status.SUCCEEDED]
    assert engine.points.passed["after answered_late"] == 1
    assert engine.points.passed["after postpone"] == (answers == "not at once")
    assert site.billed() == [1]


def _end_the_slow_task(site: CrashSite) -> None:
    site.simulator.hurry()
    _wait_until(lambda: [task["status"] for task in site.simulator.tasks()][-1] == "SUCCESS")


@contextmanager
def _running(errand: Errand, engine: CrashingEngine) -> Iterator[None]:
    """Make the whole run in a thread; it has ended after the block."""
    with ThreadPoolExecutor(1) as thread:
        run = thread.submit(errand.finish, engine)
        yield
        run.result()


def _fail_once_when_asked_for_the_old_task(monkeypatch: pytest.MonkeyPatch) -> None:
    failures = [ServiceUnavailableError("the service is away", retry_helps=True)]

    ask = former_tasks._ask

    async def ask_once_more(worker: Any, former: Any) -> Any:
        if failures:
            raise failures.pop()
        return await ask(worker, former)

    monkeypatch.setattr(former_tasks, "_ask", ask_once_more)


def test_a_worker_that_was_held_up_after_its_claim_does_not_send_what_others_may_have_sent(
    make_site: Callable[..., CrashSite], photos: Callable[[int], list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site("novicezk")
    errand = site.prepare(photos(1))
    engine = errand.engine()
    write, held_up = engine.database.write, [ACCOUNT["doubt_grace"] + 0.1]

    async def slow_write(query: Any, *args: Any, **options: Any) -> Any:
        result = await write(query, *args, **options)
        if query is claims.claim and held_up:
            await asyncio.sleep(held_up.pop())
        return result

    monkeypatch.setattr(engine.database, "write", slow_write)
    errand.finish(engine)

    assert site.statuses(errand) == [Status.SUCCEEDED]
    assert site.submissions(errand)[0].outcome == "never_sent"
    assert [post.outcome for post in site.sent(errand)] == ["accepted"]
    assert site.billed() == [1]
