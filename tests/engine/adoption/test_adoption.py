"""Tasks that bear our tokens are taken as soon as the service lists them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from airflow_midjourney.describe.engine.reconcile import adopt
from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.describe.service.submit_response import Ambiguous, Unavailable
from airflow_midjourney.describe.table import accounts, poll_schedule
from tests.support import rows
from tests.support.task_lists import ACCOUNT, CONFIRMED, MOMENTS, OVER, Table, an_older_task

if TYPE_CHECKING:
    from airflow_midjourney.describe.service.submit_response import SubmitOutcome


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


def test_only_rows_that_have_their_task_by_an_adoption_are_said_to_have_been_adopted(table: Table) -> None:
    answered, unanswered = table.claim(2)
    table.record(answered, table.service.takes(answered))
    table.service.takes(unanswered)

    with table.database.writing() as tx:
        assert adopt(tx, table.service.tasks) == {unanswered.submit_token}
        assert adopt(tx, []) == set()
