"""What the page of a batch says of money: what was paid, what is still to come, and when it cannot know."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.describe.model.batch import BatchOptions, Origin, Scope
from airflow_midjourney.describe.queries.batch import overview
from airflow_midjourney.describe.table import batches
from airflow_midjourney.web.wording.batch import numbers, words
from tests.support import rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient

    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.table.database import Database

PRICED = replace(rows.ACCOUNT, price=Decimal("0.05"), currency="USD")


def told_of(
    table: Database,
    *,
    sent: int = 0,
    pending: int = 0,
    paid_by: AccountSettings = PRICED,
    seen: AccountSettings | None,
    **options: Any,
) -> dict[str, Any]:
    """Give what the page of a batch says; what a program is told is under ``numbers``.

    :param seen: the connection as the API server reads it; None where it cannot.
    """
    with table.writing() as tx:
        rows.open_batch(tx)
        scope = Scope(rows.BUCKET, ("in/",))
        batch = batches.open_batch(
            tx, scope, BatchOptions(**({"max_attempts": 3} | options)), Origin("dag", "a run", "submit")
        )
        rows.list_images(tx, [rows.listed(f"in/{number}") for number in range(sent + pending)], batch=batch)
        for number in range(sent):
            rows.submit_next(tx, batch, task_id=str(number), account=paid_by)
        found = overview(tx, batch.batch_id, seen)
    return words(found) | {"numbers": numbers(found)}


def test_what_sent_nothing_has_cost_nothing_whether_or_not_a_price_is_known(table: Database) -> None:
    told = [told_of(table, pending=3, seen=seen) for seen in (PRICED, None, rows.ACCOUNT)]

    numbers_told = [(one["numbers"]["expected_cost"], one["numbers"]["highest_cost"]) for one in told]
    assert numbers_told == [("0.15", "0.6"), (None, None), (None, None)]
    assert [one["cost"] for one in told] == ["0.00 USD", "nothing billed", "nothing billed"]
    assert told[0]["expected"] == (
        "About 0.15 USD in all, and more for what is not listed yet; at most 0.60 USD if each image is tried 3 times"
        " and 3 are sent once more for want of an answer"
    )
    assert told[1]["expected"] == (
        "What 3 pending images will cost is not known: connection midjourney_default cannot be read here"
    )
    assert told[2]["expected"] == "What 3 pending images will cost is not known: no price is set on the connection"


def test_pending_images_are_not_left_out_where_the_price_cannot_be_read(table: Database) -> None:
    told = told_of(table, sent=2, pending=4, seen=None)

    assert told["cost"] == "0.10 USD"
    assert "not known" in told["expected"]
    assert "0.10" not in told["expected"]


def test_at_most_counts_what_may_be_tried_again(table: Database) -> None:
    told = told_of(table, sent=2, pending=4, seen=PRICED)

    assert "About 0.30 USD in all" in told["expected"]
    # Four that may be sent three times, two that may be sent twice more, and three of the six whose answer is lost.
    assert (
        "at most 1.05 USD if each image is tried 3 times and 3 are sent once more for want of an answer"
        in told["expected"]
    )


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"in_doubt": "hold"}, "at most 0.15 USD if each image is tried 3 times"),
        ({"max_attempts": 1}, "at most 0.10 USD if 1 is sent once more for want of an answer"),
    ],
)
def test_at_most_says_what_it_depends_on(table: Database, options: dict[str, Any], told: str) -> None:
    assert told_of(table, pending=1, seen=PRICED, **options)["expected"].endswith(told)


def test_a_cap_bounds_what_may_be_tried_again(table: Database) -> None:
    told = told_of(table, sent=2, pending=4, seen=replace(PRICED, max_submissions_per_day=5))

    assert "About 0.25 USD in all" in told["expected"]
    assert "at most" not in told["expected"]


def test_the_day_is_said_to_be_one_accounts(
    table: Database, api: TestClient, as_user: Callable[..., dict[str, str]]
) -> None:
    told = told_of(table, sent=2, seen=PRICED)

    page = api.get("/midjourney/batch", params={"id": told["numbers"]["batch"]}, headers=as_user("viewer"))
    assert told["day"] == "2 sent, 0.10 USD"
    assert "This account today, by all DAGs" in page.text
