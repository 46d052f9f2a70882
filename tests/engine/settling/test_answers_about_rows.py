"""What a poll writes of each row that it asked about."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.model.status import Reason, Status
from airflow_midjourney.describe.table import accounts, results
from tests.support import rows
from tests.support.polling import (
    ACCOUNT,
    PROMPTS,
    at_work,
    described,
    failed,
    one_row,
    outcomes,
    pass_time,
    reasons,
    statuses,
    submit,
    write_answers,
)

if TYPE_CHECKING:
    from airflow_midjourney.describe.table.database import Database


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
