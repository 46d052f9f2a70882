"""An image that is turned away while no other image is there to try, and which answers count for that."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest

from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.model.status import Reason, Status
from airflow_midjourney.describe.table import accounts, submissions
from airflow_midjourney.describe.table.claims import ClaimResult
from airflow_midjourney.describe.table.submissions import MOST_TURNED_AWAY, PostFacts
from tests.support import rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.table.database import Database, Transaction

ELSEWHERE: Final = replace(rows.ACCOUNT, identity="https://other.example:443/me")
BROKEN: Final = PostFacts(500, detail="it broke")

#: What a POST may come to, and what is kept of the answer.
NO: Final = (Outcome.UNAVAILABLE, BROKEN)
YES: Final = (Outcome.ACCEPTED, PostFacts(200, 1))

#: Which image is turned away, and which other one there is.
ALONE, OTHER = 1, 2

#: Minutes before the last POST at which the image was turned away before.
BEFORE: Final = (40, 30, 20, 10)
AT_FIRST: Final = BEFORE[0]
A_WEEK: Final = 7 * 24 * 60


def post(
    tx: Transaction,
    image_id: int,
    minutes_ago: float,
    answer: tuple[Outcome, PostFacts] | None = NO,
    account: AccountSettings = rows.ACCOUNT,
) -> str:
    """Send an image as long ago as is said, and give the token; it may have no answer yet."""
    for row in rows.image_rows(tx):
        rows.set_columns(tx, row["id"], not_before=None if row["id"] == image_id else tx.now + timedelta(hours=1))
    result, sent = rows.claim_next(tx, rows.open_batch(tx), account=account)
    assert (result, sent.image_id) == (ClaimResult.CLAIMED, image_id)
    if answer is YES:
        rows.accepted(tx, sent.submit_token, f"task {minutes_ago}", YES[1])
    elif answer is not None:
        submissions.not_taken(tx, sent.submit_token, *answer)
    bill = tx.tables.submissions
    claimed_at = tx.now - timedelta(minutes=minutes_ago)
    tx.connection.execute(bill.update().where(bill.c.submit_token == sent.submit_token).values(claimed_at=claimed_at))
    return sent.submit_token


def is_given_up(tx: Transaction) -> bool:
    """Have the image turned away once more, and say whether that was once too often."""
    assert submissions.not_taken(tx, post(tx, ALONE, 0, None), *NO)
    row = rows.image_row(tx, ALONE)
    assert (row["status"], row["reason"]) in ((Status.FAILED, Reason.SERVICE_ERROR), (Status.PENDING, None))
    return bool(row["status"] == Status.FAILED)


@pytest.fixture
def tx(database: Database) -> Iterator[Transaction]:
    """Two listed images, both of which may be sent."""
    with database.writing() as tx:
        accounts.ensure_account(tx, rows.ACCOUNT)
        accounts.ensure_account(tx, ELSEWHERE)
        rows.list_images(tx, [rows.listed("alone.jpg"), rows.listed("other.jpg")])
        yield tx


def test_an_image_that_is_there_alone_is_given_up_after_five_answers_of_the_service_itself_in_half_an_hour(
    tx: Transaction,
) -> None:
    for minutes_ago in BEFORE:
        post(tx, ALONE, minutes_ago)

    assert is_given_up(tx)


@pytest.mark.parametrize(("minutes", "given_up"), [(30, True), (29, False)])
def test_half_an_hour_is_long_enough_and_less_is_not(tx: Transaction, minutes: int, given_up: bool) -> None:
    for minutes_ago in (minutes, 3, 2, 1):
        post(tx, ALONE, minutes_ago)

    assert is_given_up(tx) is given_up


def test_four_times_are_not_often_enough(tx: Transaction) -> None:
    for minutes_ago in BEFORE[: MOST_TURNED_AWAY - 2]:
        post(tx, ALONE, minutes_ago)

    assert not is_given_up(tx)


@pytest.mark.parametrize(
    ("minutes_ago", "answer"),
    [
        (AT_FIRST, (Outcome.UNAVAILABLE, PostFacts(502))),
        (AT_FIRST, (Outcome.UNAVAILABLE, PostFacts())),
        (AT_FIRST, (Outcome.FULL, PostFacts(200, 22))),
        (AT_FIRST, (Outcome.NEVER_SENT, PostFacts(500))),
        (A_WEEK + 1, NO),
    ],
    ids=["a gateway", "no answer", "full", "never sent", "more than a week ago"],
)
def test_an_answer_that_is_not_the_services_own_no_to_the_image_does_not_count(
    tx: Transaction, minutes_ago: float, answer: tuple[Outcome, PostFacts]
) -> None:
    post(tx, ALONE, minutes_ago, answer)
    for minutes in (AT_FIRST - 1, *BEFORE[2:]):
        post(tx, ALONE, minutes)

    assert not is_given_up(tx)


def test_an_answer_of_almost_a_week_ago_counts(tx: Transaction) -> None:
    post(tx, ALONE, A_WEEK - 1)
    for minutes_ago in BEFORE[1:]:
        post(tx, ALONE, minutes_ago)

    assert is_given_up(tx)


def test_what_another_image_was_told_does_not_count_for_this_one(tx: Transaction) -> None:
    for minutes_ago in BEFORE[1:3]:
        post(tx, ALONE, minutes_ago)
        post(tx, OTHER, minutes_ago + 5, account=ELSEWHERE)

    assert not is_given_up(tx)


@pytest.mark.parametrize(
    ("minutes_ago", "account", "given_up"),
    [
        (AT_FIRST - 1, rows.ACCOUNT, False),
        (AT_FIRST, rows.ACCOUNT, False),
        (AT_FIRST + 1, rows.ACCOUNT, True),
        (AT_FIRST - 1, ELSEWHERE, True),
    ],
    ids=["since the first no", "at its moment", "before it", "by another account"],
)
def test_while_another_image_of_the_account_is_not_taken_either_the_service_is_the_reason(
    tx: Transaction, minutes_ago: int, account: AccountSettings, given_up: bool
) -> None:
    post(tx, OTHER, minutes_ago, account=account)
    for minutes in BEFORE:
        post(tx, ALONE, minutes)

    assert is_given_up(tx) is given_up


def test_another_image_that_was_taken_leaves_no_doubt_that_this_one_is_the_reason(tx: Transaction) -> None:
    hours = 60
    post(tx, OTHER, 35 * hours, YES)
    # Most of them are too long ago to be compared with what became of others on that day.
    for ago in (40, 30, 20, 10):
        post(tx, ALONE, ago * hours)

    assert is_given_up(tx)


def test_only_what_is_asked_about_is_said_to_share_its_id(tx: Transaction) -> None:
    first, second = post(tx, ALONE, 5, YES), post(tx, OTHER, 5, YES)

    assert submissions.with_a_shared_id(tx, [first]) == {first}
    assert submissions.with_a_shared_id(tx, [first, second, "unknown"]) == {first, second}
    assert submissions.with_a_shared_id(tx, ["unknown"]) == submissions.with_a_shared_id(tx, []) == set()


@pytest.mark.parametrize(("minutes_apart", "shared"), [(10, True), (11, False)])
def test_an_id_is_shared_by_what_was_claimed_within_ten_minutes(
    tx: Transaction, minutes_apart: int, shared: bool
) -> None:
    bill = tx.tables.submissions
    first = post(tx, ALONE, 20, YES)
    post(tx, OTHER, 20 - minutes_apart, YES)
    tx.connection.execute(bill.update().values(task_id="one"))

    assert submissions.with_a_shared_id(tx, [first]) == ({first} if shared else set())


def test_a_third_one_with_an_id_of_its_own_is_not_asked_for_by_the_two_that_share_theirs(tx: Transaction) -> None:
    post(tx, ALONE, 20, YES)
    second = post(tx, OTHER, 20, YES)
    tx.connection.execute(tx.tables.submissions.update().values(task_id="one"))
    bill = tx.tables.submissions
    tx.connection.execute(bill.update().where(bill.c.submit_token == second).values(account=ELSEWHERE.identity))

    assert submissions.with_a_shared_id(tx, [second]) == set()
