"""What the bill says of each POST: the run that sent it, what the service answered, and nothing of any other."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.describe.model.events import EventKind
from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.model.status import Reason, Status
from airflow_midjourney.describe.table import claims, leases, submissions
from airflow_midjourney.describe.table.claims import ClaimResult
from airflow_midjourney.describe.table.submissions import PostFacts, Taken
from tests.support import rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_midjourney.describe.table.claims import Claim
    from airflow_midjourney.describe.table.database import Database, Transaction

PRICED = replace(rows.ACCOUNT, price=Decimal("0.05"), currency="USD")
NO = PostFacts(200, 24, "banned words")
YES = PostFacts(200, 1, "提交成功")

#: What may become known of a submission, with the columns of the bill that say it; moments that are set are True.
ANSWERS: dict[str, tuple[Callable[[Transaction, str], object], dict[str, Any]]] = {
    "refused": (
        lambda tx, token: submissions.refused(tx, token, Reason.BANNED, NO),
        {"outcome": "refused", "code": "24", "http_status": 200, "detail": "banned words", "task_id": None}
        | {"result": "failed", "reason": "banned", "answered_at": True, "settled_at": True},
    ),
    "not taken": (
        lambda tx, token: submissions.not_taken(tx, token, Outcome.FULL, PostFacts(429)),
        {"outcome": "full", "code": None, "http_status": 429, "detail": None, "task_id": None}
        | {"result": None, "reason": None, "answered_at": True, "settled_at": False},
    ),
    "ambiguous": (
        lambda tx, token: submissions.ambiguous(tx, token, PostFacts(500, None, "Internal Server Error")),
        {"outcome": "ambiguous", "code": None, "http_status": 500, "detail": "Internal Server Error", "task_id": None}
        | {"result": None, "reason": None, "answered_at": True, "settled_at": False},
    ),
    "taken": (
        lambda tx, token: rows.accepted(tx, token, "7", YES),
        {"outcome": "accepted", "code": "1", "http_status": 200, "detail": "提交成功", "task_id": "7"}
        | {"result": None, "reason": None, "answered_at": True, "settled_at": False},
    ),
    "taken without a code": (
        lambda tx, token: rows.accepted(tx, token, "7", PostFacts(200)),
        {"outcome": "accepted", "code": None, "http_status": 200, "detail": None, "task_id": "7"}
        | {"result": None, "reason": None, "answered_at": True, "settled_at": False},
    ),
    "taken, as is known later": (
        lambda tx, token: (submissions.ambiguous(tx, token, PostFacts(500)), rows.accepted(tx, token, "7", YES)),
        {"outcome": "accepted", "code": "1", "http_status": 200, "detail": "提交成功", "task_id": "7"}
        | {"result": None, "reason": None, "answered_at": True, "settled_at": False},
    ),
    "ambiguous once more": (
        lambda tx, token: [submissions.ambiguous(tx, token, PostFacts(status)) for status in (500, 502)],
        {"outcome": "ambiguous", "http_status": 500},
    ),
    "refused, as is known later": (
        lambda tx, token: (
            submissions.ambiguous(tx, token, PostFacts(500)),
            submissions.refused(tx, token, Reason.BANNED, NO),
        ),
        {"outcome": "refused", "http_status": 200, "result": "failed", "settled_at": True},
    ),
    "taken, though it was given up": (
        lambda tx, token: (
            submissions.note_result(tx, token, Status.FAILED, Reason.LOST),
            rows.accepted(tx, token, "7", YES),
        ),
        {"outcome": "accepted", "task_id": "7", "result": None, "reason": None, "settled_at": False},
    ),
    "failed": (
        lambda tx, token: submissions.note_result(tx, token, Status.FAILED, Reason.LOST),
        {"outcome": "sent", "result": "failed", "reason": "lost", "settled_at": True},
    ),
    "given back": (
        lambda tx, token: (rows.accepted(tx, token, "7", YES), submissions.refund(tx, [token])),
        {"outcome": "refunded", "task_id": "7", "result": None},
    ),
    "given back, though nothing was paid": (
        lambda tx, token: (submissions.refused(tx, token, Reason.BANNED, NO), submissions.refund(tx, [token])),
        {"outcome": "refused"},
    ),
}


def sent(tx: Transaction, number: int, **options: Any) -> list[Claim]:
    """Claim some images, and have their POSTs on the way."""
    rows.list_images(tx, [rows.listed(f"{index}.jpg") for index in range(number)])
    batch = rows.open_batch(tx, **options)
    second_try = replace(batch.origin, try_number=2)
    reserved = leases.reserve(tx, batch, "holder", number)
    wanted = [replace(rows.request(batch, row), origin=second_try) for row in reserved]
    assert claims.claim(tx, wanted, PRICED) == [ClaimResult.CLAIMED] * number
    return wanted


def test_a_claim_tells_the_bill_which_bytes_are_sent_for_which_run_and_price(database: Database) -> None:
    with database.writing() as tx:
        (wanted,) = sent(tx, 1, map_index=3)
        (entry,) = rows.bill(tx)
        now = tx.now

    assert {name: found for name, found in entry.items() if found is not None} == {
        "id": entry["id"],
        "image_id": wanted.image_id,
        "submit_token": wanted.submit_token,
        "content_sha256": wanted.content.content_sha256,
        "bot_type": "MID_JOURNEY",
        "batch_id": wanted.batch.batch_id,
        "cap_scope": wanted.batch.origin.cap_scope,
        "account": PRICED.identity,
        "outcome": "sent",
        "price": Decimal("0.05"),
        "currency": "USD",
        "dag_id": "dag",
        "run_id": "run",
        "dag_task_id": "task",
        "map_index": 3,
        "try_number": 2,
        "claimed_at": now,
    }


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_is_kept_as_it_came_for_its_own_submission_alone(database: Database, answer: str) -> None:
    note, expected = ANSWERS[answer]
    with database.writing() as tx:
        before, mine, after = sent(tx, 3)
        others = [rows.bill(tx)[index] for index in (0, 2)]
        other_rows = [rows.image_row(tx, one.image_id) for one in (before, after)]

        note(tx, mine.submit_token)

        entry = rows.bill(tx)[1]
        moments = {name: entry[name] is not None for name in ("answered_at", "settled_at")}
        found = entry | moments
        assert {name: found[name] for name in expected} == expected
        assert [rows.bill(tx)[index] for index in (0, 2)] == others
        assert [rows.image_row(tx, one.image_id) for one in (before, after)] == other_rows


def test_images_that_are_taken_together_each_get_their_own_task_and_price(database: Database) -> None:
    with database.writing() as tx:
        wanted = sent(tx, 3)
        for entry, price in zip(rows.bill(tx), ("0.01", "0.02", "0.03"), strict=True):
            bill = tx.tables.submissions
            tx.connection.execute(bill.update().where(bill.c.id == entry["id"]).values(price=Decimal(price)))

        assert submissions.accepted(tx, [Taken(one.submit_token, one.submit_token[:5], YES) for one in wanted[:2]])

        found = [(row["status"], row["task_id"], row["price"], row["currency"]) for row in rows.image_rows(tx)]
    first, second, _ = wanted
    assert found == [
        ("submitted", first.submit_token[:5], Decimal("0.01"), "USD"),
        ("submitted", second.submit_token[:5], Decimal("0.02"), "USD"),
        ("submitting", None, None, None),
    ]


def test_an_image_is_reported_as_billed_once_however_often_its_answer_comes(database: Database) -> None:
    with database.writing() as tx:
        (wanted,) = sent(tx, 1)
        for _ in range(3):
            rows.accepted(tx, wanted.submit_token, "7", YES)

        assert [(one.cost, one.currency) for one in tx.events if one.kind is EventKind.BILLED] == [
            (Decimal("0.05"), "USD")
        ]


def test_what_became_of_a_submission_is_written_once(database: Database) -> None:
    with database.writing() as tx:
        (wanted,) = sent(tx, 1)
        submissions.note_result(tx, wanted.submit_token, Status.FAILED, Reason.LOST)
        (before,) = rows.bill(tx)
    with database.writing() as tx:
        submissions.note_result(tx, wanted.submit_token, Status.SUCCEEDED, None)

        assert rows.bill(tx) == [before]


def test_an_answer_that_comes_after_all_takes_back_the_row_that_had_let_go_and_no_other(database: Database) -> None:
    with database.writing() as tx:
        mine, other = sent(tx, 2)
        for one in (mine, other):
            submissions.not_taken(tx, one.submit_token, Outcome.NEVER_SENT, PostFacts())
        beside = rows.image_row(tx, other.image_id)

        assert rows.accepted(tx, mine.submit_token, "7", YES)

        row = rows.image_row(tx, mine.image_id)
        assert (row["status"], row["task_id"], row["attempts"]) == ("submitted", "7", 1)
        assert (row["submit_token"], row["account"], row["price"]) == (
            mine.submit_token,
            PRICED.identity,
            Decimal("0.05"),
        )
        assert rows.image_row(tx, other.image_id) == beside


def test_an_answer_that_comes_after_all_leaves_a_row_that_waits_with_a_later_submission(database: Database) -> None:
    with database.writing() as tx:
        (first,) = sent(tx, 1)
        submissions.not_taken(tx, first.submit_token, Outcome.NEVER_SENT, PostFacts())
        _, second = rows.claim_next(tx, first.batch, account=PRICED)
        rows.set_columns(tx, first.image_id, status="pending")
        (before,) = rows.image_rows(tx)

        assert not rows.accepted(tx, first.submit_token, "7", YES)

        assert rows.image_rows(tx) == [before]
        assert before["submit_token"] == second.submit_token
        assert [entry["outcome"] for entry in rows.bill(tx)] == ["accepted", "sent"]


def changed(tx: Transaction, entries: list[dict[str, Any]], **values: Any) -> None:
    bill = tx.tables.submissions
    ids = [entry["id"] for entry in entries]
    tx.connection.execute(bill.update().where(bill.c.id.in_(ids)).values(**values))


@pytest.mark.parametrize(
    ("story", "status"),
    [
        ("as it was", "failed"),
        ("the other account takes images", "pending"),
        ("no other was taken", "pending"),
        ("the image itself was taken once", "pending"),
        ("it was turned away days ago", "pending"),
        ("others were turned away", "pending"),
        ("the service was full", "pending"),
        ("the other was sent before it", "pending"),
    ],
)
def test_an_image_is_given_up_only_if_it_was_turned_away_again_and_again_while_others_were_taken(
    database: Database, story: str, status: str
) -> None:
    with database.writing() as tx:
        wanted, other = sent(tx, 2)
        rows.accepted(tx, other.submit_token, "7", YES)
        for _ in range(submissions.MOST_TURNED_AWAY - 1):
            submissions.not_taken(tx, wanted.submit_token, Outcome.UNAVAILABLE, PostFacts(503))
            rows.set_columns(tx, wanted.image_id, not_before=None)
            _, wanted = rows.claim_next(tx, wanted.batch, account=PRICED)
        bill = rows.bill(tx)
        taken = [entry for entry in bill if entry["outcome"] == "accepted"]
        turned_away = [entry for entry in bill if entry["outcome"] == "unavailable"]
        a_day = timedelta(days=1, minutes=1)
        if story == "the other account takes images":
            changed(tx, taken, account="another")
        elif story == "no other was taken":
            changed(tx, taken, outcome="full")
        elif story == "the image itself was taken once":
            changed(tx, taken, image_id=wanted.image_id)
        elif story == "it was turned away days ago":
            changed(tx, turned_away, claimed_at=tx.now - a_day)
        elif story == "others were turned away":
            changed(tx, turned_away, image_id=other.image_id + 1000)
        elif story == "the service was full":
            changed(tx, turned_away, outcome="full")
        elif story == "the other was sent before it":
            changed(tx, taken, claimed_at=tx.now - timedelta(minutes=1))

        submissions.not_taken(tx, wanted.submit_token, Outcome.UNAVAILABLE, PostFacts(503))

        assert rows.image_row(tx, wanted.image_id)["status"] == status


@pytest.mark.parametrize(
    ("outcome", "reason"), [(Outcome.UNAVAILABLE, Reason.SERVICE_ERROR), (Outcome.DENIED, Reason.REFUSED)]
)
def test_an_image_that_is_given_up_says_how_it_was_turned_away(
    database: Database, outcome: Outcome, reason: Reason
) -> None:
    with database.writing() as tx:
        wanted, other = sent(tx, 2)
        rows.accepted(tx, other.submit_token, "7", YES)
        for _ in range(submissions.MOST_TURNED_AWAY):
            rows.set_columns(tx, wanted.image_id, not_before=None)
            if rows.image_row(tx, wanted.image_id)["status"] == "pending":
                _, wanted = rows.claim_next(tx, wanted.batch, account=PRICED)
            assert submissions.not_taken(tx, wanted.submit_token, outcome, PostFacts(403, None, "<html>"))

        row = rows.image_row(tx, wanted.image_id)
        last = rows.bill(tx)[-1]
    assert (row["status"], row["reason"]) == ("failed", reason)
    assert row["detail"].endswith("<html>")
    assert (last["outcome"], last["result"], last["reason"]) == (outcome, "failed", reason)


@pytest.mark.parametrize(
    ("story", "both"),
    [("at one time", True), ("by two accounts", False), ("long apart", False), ("with two ids", False)],
)
def test_one_task_id_belongs_to_neither_of_two_submissions_of_an_account_at_one_time(
    database: Database, story: str, both: bool
) -> None:
    with database.writing() as tx:
        first, second, third = (one.submit_token for one in sent(tx, 3))
        for token, task in ((first, "7"), (second, "8" if story == "with two ids" else "7"), (third, "9")):
            rows.accepted(tx, token, task, YES)
        entry = rows.bill(tx)[1:2]
        if story == "by two accounts":
            changed(tx, entry, account="another")
        elif story == "long apart":
            changed(tx, entry, claimed_at=tx.now - timedelta(minutes=11))

        assert submissions.with_a_shared_id(tx, [first, second, third]) == ({first, second} if both else set())
        assert submissions.with_a_shared_id(tx, [first]) == ({first} if both else set())


def test_an_account_has_taken_an_image_since_a_moment_if_one_was_claimed_then_and_taken(database: Database) -> None:
    with database.writing() as tx:
        taken, _ = sent(tx, 2)
        identity, second = PRICED.identity, timedelta(seconds=1)
        assert not submissions.has_accepted_since(tx, identity, tx.now - second)

        rows.accepted(tx, taken.submit_token, "7", YES)
        assert submissions.has_accepted_since(tx, identity, tx.now)
        assert not submissions.has_accepted_since(tx, identity, tx.now + second)
        assert not submissions.has_accepted_since(tx, "another", tx.now - second)
