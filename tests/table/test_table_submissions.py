"""What a POST came to, and what became of its task: each write holds once, and only while it is still true."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.model.status import Reason, Status
from airflow_midjourney.describe.table import results, submissions
from airflow_midjourney.describe.table.doubt import former_tasks, late_results
from airflow_midjourney.describe.table.results import RemoteTimes
from airflow_midjourney.describe.table.submissions import PostFacts
from tests.support import rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_midjourney.describe.table.claims import Claim
    from airflow_midjourney.describe.table.database import Database, Transaction

TIMES = RemoteTimes(rows.LONG_AGO, rows.LONG_AGO + timedelta(seconds=40))
TAKEN = PostFacts(200, 1, "提交成功")


def one_image(tx: Transaction, **options: Any) -> Claim:
    """Claim the one image there is, and have its POST on the way."""
    rows.list_images(tx, [rows.listed("a.jpg")])
    return rows.claim_next(tx, rows.open_batch(tx, **options))[1]


def submitted(tx: Transaction, **options: Any) -> results.InFlight:
    sent = one_image(tx, **options)
    rows.accepted(tx, sent.submit_token, "0123", TAKEN)
    return rows.in_flight(tx, sent.submit_token)


def make_doubtful(tx: Transaction, sent: Claim) -> None:
    rows.set_columns(tx, sent.image_id, in_doubt_after=rows.LONG_AGO)
    assert submissions.doubt_overdue(tx) == 1


def the_row(tx: Transaction) -> dict[str, Any]:
    (row,) = rows.image_rows(tx)
    return row


def the_entry(tx: Transaction) -> dict[str, Any]:
    (entry,) = rows.bill(tx)
    return entry


def without_moments(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "updated_at"}


def test_taken_the_row_knows_its_task_and_the_bill_its_price(database: Database) -> None:
    with database.writing() as tx:
        sent = one_image(tx)
        assert rows.accepted(tx, sent.submit_token, "0123", TAKEN)
        assert not rows.accepted(tx, sent.submit_token, "0123", TAKEN)
        row, entry = the_row(tx), the_entry(tx)

    assert (row["status"], row["task_id"], row["in_doubt_after"]) == ("submitted", "0123", None)
    assert row["submitted_at"] is not None
    assert (entry["outcome"], entry["task_id"], entry["http_status"]) == ("accepted", "0123", 200)
    assert (entry["code"], entry["detail"], entry["settled_at"]) == ("1", "提交成功", None)
    assert entry["answered_at"] is not None


def test_surely_not_taken_the_row_waits_as_if_it_had_never_been_sent(database: Database) -> None:
    with database.writing() as tx:
        sent = one_image(tx)
        assert submissions.not_taken(tx, sent.submit_token, Outcome.FULL, PostFacts(429, None, "later"))
        assert not submissions.not_taken(tx, sent.submit_token, Outcome.FULL, PostFacts(429, None, "later"))
        row, entry = the_row(tx), the_entry(tx)

    assert (row["status"], row["attempts"], row["submit_token"]) == ("pending", 0, None)
    assert (entry["outcome"], entry["http_status"]) == ("full", 429)


def test_refused_the_row_has_failed_and_nothing_was_paid(database: Database) -> None:
    with database.writing() as tx:
        sent = one_image(tx)
        assert submissions.refused(tx, sent.submit_token, Reason.BANNED, PostFacts(200, 24, "banned words"))
        row, entry = the_row(tx), the_entry(tx)

    assert (row["status"], row["reason"], row["detail"]) == ("failed", "banned", "banned words")
    assert row["ended_at"] is not None
    assert (entry["outcome"], entry["result"], entry["reason"]) == ("refused", "failed", "banned")


def test_an_answer_that_tells_nothing_leaves_the_row_until_its_time_is_over(database: Database) -> None:
    with database.writing() as tx:
        sent = one_image(tx)
        submissions.ambiguous(tx, sent.submit_token, PostFacts(500))
        assert the_row(tx)["status"] == "submitting"
        assert submissions.doubt_overdue(tx) == 0

        make_doubtful(tx, sent)
        assert submissions.doubt_overdue(tx) == 0
        row, entry = the_row(tx), the_entry(tx)
    assert (row["status"], row["submit_token"]) == ("in_doubt", sent.submit_token)
    assert row["ended_at"] is not None
    assert (entry["outcome"], entry["http_status"]) == ("ambiguous", 500)


def test_an_answer_after_the_row_became_doubtful_is_taken(database: Database) -> None:
    with database.writing() as tx:
        sent = one_image(tx)
        make_doubtful(tx, sent)
        assert rows.accepted(tx, sent.submit_token, "1", TAKEN)
        row = the_row(tx)
        assert (row["status"], row["ended_at"], row["detail"]) == ("submitted", None, None)

        assert rows.described(tx, rows.in_flight(tx, sent.submit_token), rows.four_prompts(), "raw", TIMES)
        assert the_row(tx)["status"] == "succeeded"


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (lambda tx, sent: submissions.not_taken(tx, sent, Outcome.UNAVAILABLE, PostFacts(503)), "pending"),
        (lambda tx, sent: submissions.refused(tx, sent, Reason.BANNED, PostFacts(200)), "failed"),
    ],
)
def test_a_late_no_ends_the_doubt_too(
    database: Database, answer: Callable[[Transaction, str], bool], status: str
) -> None:
    with database.writing() as tx:
        sent = one_image(tx)
        make_doubtful(tx, sent)

        assert answer(tx, sent.submit_token)
        assert the_row(tx)["status"] == status


def test_prompts_are_written_once_with_all_that_is_known(database: Database) -> None:
    with database.writing() as tx:
        row = submitted(tx)
        assert rows.described(tx, row, rows.four_prompts(), "the raw answer", TIMES)
        assert not rows.described(tx, row, rows.four_prompts(), "another answer", TIMES)
        found, entry = the_row(tx), the_entry(tx)

    assert [found[f"prompt_{number}"] for number in range(1, 5)] == ["one", "two", "three", "four"]
    assert (found["prompt_count"], found["prompt_raw"], found["aspect_ratio"]) == (4, "the raw answer", "3:2")
    assert (found["started_at"], found["finished_at"]) == (TIMES.started_at, TIMES.finished_at)
    assert (found["status"], found["reason"], found["task_id"]) == ("succeeded", None, "0123")
    assert (entry["result"], entry["reason"]) == ("succeeded", None)
    assert found["ended_at"] == entry["settled_at"]


def test_answers_that_come_together_are_written_only_to_rows_that_wait_for_theirs(database: Database) -> None:
    with database.writing() as tx:
        batch = rows.open_batch(tx, max_attempts=2)
        rows.list_images(tx, [rows.listed(f"{name}.jpg") for name in ("waits", "moved on", "waits too")])
        first, moved_on, last = (rows.submit_next(tx, batch, f"task-{number}") for number in range(3))
        results.ended(tx, moved_on, Reason.TIMEOUT, "too long", TIMES, "")
        before = without_moments(rows.image_rows(tx)[1])
        answers = [results.TaskAnswer(row, rows.four_prompts(), "raw", TIMES) for row in (first, moved_on, last)]

        assert results.described(tx, answers) == [True, False, True]
        assert results.described(tx, answers) == [False] * 3
        found = rows.image_rows(tx)

    assert [row["status"] for row in found] == ["succeeded", "pending", "succeeded"]
    assert without_moments(found[1]) == before


def test_a_curable_failure_goes_round_again_until_its_attempts_are_used_up(database: Database) -> None:
    with database.writing() as tx:
        row = submitted(tx, max_attempts=2)
        assert results.ended(tx, row, Reason.SERVICE_ERROR, "Internal Server Error", TIMES, "") is Status.PENDING
        assert results.ended(tx, row, Reason.SERVICE_ERROR, "Internal Server Error", TIMES, "") is None
        waiting = the_row(tx)
        assert (waiting["status"], waiting["attempts"], waiting["ended_at"]) == ("pending", 1, None)
        assert waiting["not_before"] > waiting["updated_at"]

        rows.set_columns(tx, row.id, not_before=None)
        again = rows.submit_next(tx, rows.open_batch(tx, max_attempts=2), "2")
        assert results.ended(tx, again, Reason.SERVICE_ERROR, "again", TIMES, "") is Status.FAILED
        assert (the_row(tx)["reason"], the_row(tx)["detail"]) == ("service_error", "again")
        assert [(entry["outcome"], entry["result"]) for entry in rows.bill(tx)] == [("accepted", "failed")] * 2


@pytest.mark.parametrize("reason", [Reason.BANNED, Reason.REFUSED, Reason.UNPARSEABLE])
def test_what_another_attempt_would_not_cure_ends_at_once(database: Database, reason: Reason) -> None:
    with database.writing() as tx:
        row = submitted(tx, max_attempts=5)

        assert results.ended(tx, row, reason, "why", TIMES, "what it said") is Status.FAILED
        assert (the_row(tx)["reason"], the_row(tx)["prompt_raw"]) == (reason, "what it said")


def test_an_answer_to_an_earlier_attempt_does_not_touch_the_next(database: Database) -> None:
    with database.writing() as tx:
        first = submitted(tx, max_attempts=2)
        results.ended(tx, first, Reason.TIMEOUT, "too long", TIMES, "")
        rows.set_columns(tx, first.id, not_before=None)
        rows.submit_next(tx, rows.open_batch(tx, max_attempts=2), "2")
        before = without_moments(the_row(tx))

        assert not rows.described(tx, first, rows.four_prompts(), "late", TIMES)
        assert results.ended(tx, first, Reason.BANNED, "late", TIMES, "") is None
        results.started(tx, first, TIMES)
        results.missed(tx, first, 0.0)
        assert without_moments(the_row(tx)) == before


def test_a_late_answer_turns_a_failed_row_into_a_succeeded_one(database: Database) -> None:
    with database.writing() as tx:
        row = submitted(tx, max_attempts=1)
        results.ended(tx, row, Reason.TIMEOUT, "too long", TIMES, "")
        (given_up,) = late_results.given_up(tx, rows.ACCOUNT.identity)

        assert late_results.answered_late(tx, rows.ACCOUNT.identity, given_up, rows.four_prompts(), "late", TIMES)
        found = the_row(tx)
        assert (found["status"], found["reason"], found["prompt_4"]) == ("succeeded", None, "four")
        assert late_results.given_up(tx, rows.ACCOUNT.identity) == []
        assert the_entry(tx)["result"] == "succeeded"


def test_a_late_answer_that_meets_the_next_attempt_is_still_there_when_that_fails(database: Database) -> None:
    """The page of late tasks was read before the row was sent again; the second attempt then comes to nothing."""
    with database.writing() as tx:
        first = submitted(tx, max_attempts=2)
        results.ended(tx, first, Reason.TIMEOUT, "too long", TIMES, "")
        (stale,) = late_results.given_up(tx, rows.ACCOUNT.identity)
        rows.set_columns(tx, first.id, not_before=None)
        again = rows.submit_next(tx, rows.open_batch(tx, max_attempts=2), "2")

        assert not late_results.answered_late(tx, rows.ACCOUNT.identity, stale, rows.four_prompts(), "late", TIMES)
        assert results.ended(tx, again, Reason.BANNED, "", TIMES, "") is Status.FAILED
        assert [one.submit_token for one in late_results.given_up(tx, rows.ACCOUNT.identity)] == [first.submit_token]

        assert late_results.answered_late(tx, rows.ACCOUNT.identity, stale, rows.four_prompts(), "late", TIMES)
        assert (the_row(tx)["status"], the_row(tx)["prompt_4"]) == ("succeeded", "four")


@pytest.mark.parametrize("status", Status)
def test_a_late_answer_is_written_to_a_row_that_has_none_and_is_not_on_its_way(
    database: Database, status: Status
) -> None:
    waits = status in (Status.FAILED, Status.PENDING, Status.IN_DOUBT)
    with database.writing() as tx:
        row = submitted(tx, max_attempts=1)
        results.ended(tx, row, Reason.TIMEOUT, "too long", TIMES, "")
        (given_up,) = late_results.given_up(tx, rows.ACCOUNT.identity)
        soon = tx.now + timedelta(minutes=5)
        lease = {"reserved_by": "holder", "reserved_until": soon, "not_before": soon, "reservations": 1}
        doubt = {"in_doubt_after": soon, "doubt_checked_at": soon, "absent_since": soon}
        rows.set_columns(tx, row.id, status=status.value, **lease, **doubt)

        assert bool(late_results.given_up(tx, rows.ACCOUNT.identity)) == waits
        assert late_results.answered_late(tx, rows.ACCOUNT.identity, given_up, rows.four_prompts(), "", TIMES) == waits
        found = the_row(tx)

    assert found["status"] == ("succeeded" if waits else status)
    assert found["prompt_1"] == ("one" if waits else None)
    if waits:
        left = {name: found[name] for name in ("reason", "detail", *lease, *doubt)}
        assert left == dict.fromkeys(left) | {"reservations": 0}


@pytest.mark.parametrize("status", Status)
def test_a_task_that_still_runs_is_waited_for_again_by_a_row_that_was_given_up_or_is_to_be_sent_again(
    database: Database, status: Status
) -> None:
    waits = status in (Status.FAILED, Status.PENDING)
    with database.writing() as tx:
        row = submitted(tx, max_attempts=1)
        results.ended(tx, row, Reason.TIMEOUT, "too long", TIMES, "")
        former = former_tasks.latest_of(tx, row.id, row.submit_token)
        assert former is not None
        rows.set_columns(tx, row.id, status=status.value, submit_token=None, task_id=None)
        entry = the_entry(tx)

        assert former_tasks.resume(tx, former) == waits
        found = the_row(tx)
        assert found["status"] == ("submitted" if waits else status)
        assert found["task_id"] == ("0123" if waits else None)
        assert the_entry(tx) == entry | ({"result": None, "reason": None, "settled_at": None} if waits else {})


def test_a_late_answer_whose_row_has_prompts_is_not_asked_for_again(database: Database) -> None:
    with database.writing() as tx:
        first = submitted(tx, max_attempts=2)
        results.ended(tx, first, Reason.TIMEOUT, "too long", TIMES, "")
        (stale,) = late_results.given_up(tx, rows.ACCOUNT.identity)
        rows.set_columns(tx, first.id, not_before=None)
        again = rows.submit_next(tx, rows.open_batch(tx, max_attempts=2), "2")
        assert rows.described(tx, again, rows.four_prompts(), "in time", TIMES)

        assert not late_results.answered_late(tx, rows.ACCOUNT.identity, stale, rows.four_prompts(), "late", TIMES)
        assert the_row(tx)["prompt_raw"] == "in time"
        assert [entry["result"] for entry in rows.bill(tx)] == ["succeeded", "succeeded"]


def test_a_row_that_the_bill_does_not_know_shares_its_task_with_none(database: Database) -> None:
    with database.writing() as tx:
        row = submitted(tx)
        tx.connection.execute(tx.tables.submissions.delete())

        assert submissions.with_a_shared_id(tx, [row.submit_token]) == set()
        assert rows.described(tx, row, rows.four_prompts(), "raw", TIMES)
        assert the_row(tx)["status"] == "succeeded"


def test_only_what_may_still_come_is_asked_about(database: Database) -> None:
    with database.writing() as tx:
        banned = submitted(tx)
        results.ended(tx, banned, Reason.BANNED, "", TIMES, "")
        assert late_results.given_up(tx, rows.ACCOUNT.identity) == []

        rows.list_images(tx, [rows.listed("b.jpg")])
        lost = rows.submit_next(tx, rows.open_batch(tx, max_attempts=1), "2")
        results.ended(tx, lost, Reason.LOST, "", TIMES, "")
        assert len(late_results.given_up(tx, rows.ACCOUNT.identity)) == 1
        assert late_results.given_up(tx, "another account") == []

        long_ago = tx.now - timedelta(hours=late_results.HOURS + 1)
        tx.connection.execute(tx.tables.submissions.update().values(settled_at=long_ago))
        assert late_results.given_up(tx, rows.ACCOUNT.identity) == []


def test_when_a_task_goes_missing_is_kept_until_it_is_there_again(database: Database) -> None:
    with database.writing() as tx:
        row = submitted(tx)
        results.missed(tx, row, 12.5)
    with database.writing() as tx:
        results.missed(tx, row, 99.0)
        missed = rows.in_flight(tx, row.submit_token)
        assert (missed.silence_before_missing, missed.missing_since is not None) == (12.5, True)
        assert missed.missing_since is not None
        assert missed.missing_since < tx.now

        results.started(tx, missed, RemoteTimes(rows.LONG_AGO))
        found = rows.in_flight(tx, row.submit_token)
        assert (found.missing_since, found.started_at) == (None, rows.LONG_AGO)


def test_what_is_in_flight_is_given_in_the_order_of_its_ids_and_per_account(database: Database) -> None:
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed(f"{index}.jpg") for index in range(3)])
        batch = rows.open_batch(tx)
        sent = [rows.submit_next(tx, batch, str(task)) for task in (3, 1, 2)]
        rows.set_columns(tx, sent[1].id, account="another")

        assert [row.task_id for row in results.in_flight(tx, rows.ACCOUNT.identity)] == ["3", "2"]


def test_a_sure_answer_on_the_bill_gives_way_to_no_other(database: Database) -> None:
    with database.writing() as tx:
        sent = one_image(tx)
        rows.accepted(tx, sent.submit_token, "1", TAKEN)
        submissions.ambiguous(tx, sent.submit_token, PostFacts(500))
        submissions.not_taken(tx, sent.submit_token, Outcome.FULL, PostFacts(429))

        assert (the_entry(tx)["outcome"], the_entry(tx)["task_id"]) == ("accepted", "1")
        assert the_row(tx)["status"] == "submitted"


@pytest.mark.parametrize(("outcome", "status"), [("broken_off", "failed"), ("never_sent", "pending")])
def test_an_image_is_to_blame_for_posts_that_break_but_not_for_workers_that_die_before_them(
    database: Database, outcome: str, status: str
) -> None:
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed("0.jpg"), rows.listed("1.jpg")])
        batch = rows.open_batch(tx)
        _, sent = rows.claim_next(tx, batch)
        submissions.not_taken(tx, sent.submit_token, Outcome(outcome), PostFacts())
        rows.set_columns(tx, sent.image_id, not_before=tx.now + timedelta(hours=1))
    with database.writing() as tx:
        rows.submit_next(tx, batch)
        for _ in range(submissions.MOST_TURNED_AWAY - 1):
            rows.set_columns(tx, sent.image_id, not_before=None)
            _, sent = rows.claim_next(tx, batch)
            submissions.not_taken(tx, sent.submit_token, Outcome(outcome), PostFacts())

        assert rows.image_row(tx, sent.image_id)["status"] == status


@pytest.mark.parametrize(("taken", "status"), [("before", "pending"), ("after", "failed")])
def test_an_image_sent_side_by_side_tells_of_another_if_it_was_taken_after_the_other_was_not(
    database: Database, taken: str, status: str
) -> None:
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed("0.jpg"), rows.listed("1.jpg")])
        batch = rows.open_batch(tx)
        _, sent = rows.claim_next(tx, batch)
        _, beside = rows.claim_next(tx, batch)
    answers = [
        lambda tx: rows.accepted(tx, beside.submit_token, "1", TAKEN),
        lambda tx: submissions.not_taken(tx, sent.submit_token, Outcome.UNAVAILABLE, PostFacts(500)),
    ]
    for answer in answers if taken == "before" else reversed(answers):
        with database.writing() as tx:
            answer(tx)
    for _ in range(submissions.MOST_TURNED_AWAY - 1):
        with database.writing() as tx:
            rows.set_columns(tx, sent.image_id, not_before=None)
            _, sent = rows.claim_next(tx, batch)
            submissions.not_taken(tx, sent.submit_token, Outcome.UNAVAILABLE, PostFacts(500))

    with database.reading() as tx:
        assert rows.image_row(tx, sent.image_id)["status"] == status


ALONE_FOR = timedelta(minutes=35)


@pytest.mark.parametrize(
    ("answers", "gone", "others", "status"),
    [
        ([PostFacts(500)] * 5, ALONE_FOR, 0, "failed"),
        ([PostFacts(200, 9)] * 5, ALONE_FOR, 0, "failed"),
        ([PostFacts(500)] * 4, ALONE_FOR, 0, "pending"),
        ([PostFacts(500)] * 5, ALONE_FOR / 2, 0, "pending"),
        ([PostFacts()] * 5, ALONE_FOR, 0, "pending"),
        ([PostFacts(503)] * 5, ALONE_FOR, 0, "pending"),
        ([PostFacts(500)] * 5, ALONE_FOR, 1, "pending"),
    ],
    ids=["by HTTP 500", "in its own words", "seldom", "soon", "silence", "a gateway", "others, too"],
)
def test_an_image_that_is_there_alone_is_given_up_once_the_service_itself_has_long_answered_it_with_errors(
    database: Database, answers: list[PostFacts], gone: timedelta, others: int, status: str
) -> None:
    with database.writing() as tx:
        batch = rows.open_batch(tx)
        rows.list_images(tx, [rows.listed("alone.jpg")])
        for place, answer in enumerate(answers):
            _, sent = rows.claim_next(tx, batch)
            submissions.not_taken(tx, sent.submit_token, Outcome.UNAVAILABLE, answer)
            if place == 1 and others:
                rows.list_images(tx, [rows.listed("other.jpg")])
                _, other = rows.claim_next(tx, batch)
                assert other.image_id != sent.image_id
                submissions.not_taken(tx, other.submit_token, Outcome.UNAVAILABLE, answer)
                rows.set_columns(tx, other.image_id, not_before=tx.now + timedelta(days=1))
            if place < len(answers) - 1:
                rows.let_time_pass(tx, gone / (len(answers) - 1))
                rows.set_columns(tx, sent.image_id, not_before=None)

        row = rows.image_row(tx, sent.image_id)
        assert (row["status"], row["reason"]) == (status, "service_error" if status == "failed" else None)


def test_what_a_list_has_proved_never_taken_keeps_the_answer_to_its_post(database: Database) -> None:
    with database.writing() as tx:
        batch = rows.open_batch(tx)
        rows.list_images(tx, [rows.listed("alone.jpg")])
        _, sent = rows.claim_next(tx, batch)
        submissions.ambiguous(tx, sent.submit_token, PostFacts(500, detail="Internal Server Error"))
        submissions.not_taken(tx, sent.submit_token, Outcome.BROKEN_OFF, PostFacts(detail="never sent"))

        (entry,) = rows.bill(tx)
        assert (entry["outcome"], entry["http_status"]) == ("broken_off", 500)
