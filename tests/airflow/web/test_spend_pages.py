"""The page Spend and its file: what they say, to whom, and that they ask no more of the database than they have to."""

from __future__ import annotations

import asyncio
import csv
import io
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.describe.queries.spend import days_until
from airflow_midjourney.hooks.midjourney import MidjourneyHook
from airflow_midjourney.web import day_book
from airflow_midjourney.web.charts import HEIGHT, Limit, Series, draw
from airflow_midjourney.web.wording.spend import MOST_ROWS
from tests.support import airflow_connections as connections
from tests.support import batch_scenes as scenes
from tests.support.dag_by_dag import name_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient

    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.table.database import Database

DAYS = days_until(date(2026, 3, 10), 5)
#: What an account without a price is.
UNPRICED: dict[str, Any] = {"price": None, "currency": None, "max_cost_per_day": None}
DANGEROUS = "=cmd|'/C calc'!A0"


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> AccountSettings:
    """An account with a price and both caps, as its connection says."""
    told = connections.midjourney(
        "https://mj.example",
        "a-key",
        account="team",
        price=0.04,
        currency="USD",
        max_cost_per_day=0.3,
        max_submissions_per_day=2000,
    )
    monkeypatch.setenv("AIRFLOW_CONN_MIDJOURNEY_DEFAULT", told)
    return replace(MidjourneyHook().account(), max_in_flight=100)


@pytest.fixture
def spent(table: Database, account: AccountSettings) -> Database:
    """Two DAGs have sent images, the day before yesterday and today."""
    with table.writing() as tx:
        mine = scenes.start_batch(tx, "mine", "mine/", 20, account)
        scenes.describe_some(tx, mine, 7, account)
    scenes.let_all_be_older(table, timedelta(days=2))
    with table.writing() as tx:
        scenes.describe_some(tx, mine, 2, account)
        yours = scenes.start_batch(tx, "yours", "yours/", 5, account)
        scenes.describe_some(tx, yours, 5, account)
    return table


def lines_of(answer: Any) -> list[dict[str, str]]:
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


def test_a_reader_sees_the_readers_own_dags_and_the_caps_of_the_account(
    spent: Database, api: TestClient, as_user: Callable[..., dict[str, str]]
) -> None:
    page = api.get("/midjourney/spend", headers=as_user(None, name_of(reads="mine")))

    assert page.status_code == 200
    assert "<strong>0.36 USD, 9 submissions paid for</strong>" in page.text
    assert "yours" not in page.text
    # What the account has sent today is the same for each of its readers, and so is its cap.
    assert "This account today, by all DAGs: 7 sent, 0.28 USD. The cap is 2,000 images and 0.30 USD a day." in page.text
    assert "The line is today&#39;s cap of 0.30 USD a day for all DAGs" in page.text
    assert "No line: today&#39;s cap of 2,000 submissions a day for all DAGs is far above this picture" in page.text


def test_one_dag_is_asked_for_and_one_that_may_not_be_seen_is_nothing(
    spent: Database, api: TestClient, as_user: Callable[..., dict[str, str]]
) -> None:
    both, one = as_user(None, name_of(reads="mine yours")), as_user(None, name_of(reads="mine"))

    asked = [api.get("/midjourney/spend?dag_id=yours", headers=who).text for who in (both, one)]
    files = [lines_of(api.get("/midjourney/spend.csv?dag_id=yours", headers=who)) for who in (both, one)]

    assert "0.20 USD, 5 submissions paid for" in asked[0]
    assert "Nothing was paid for" in asked[1]
    assert [[line["dag_id"] for line in file] for file in files] == [["yours"], []]


def test_the_file_has_the_lines_of_the_page(
    spent: Database, api: TestClient, as_user: Callable[..., dict[str, str]]
) -> None:
    answer = api.get("/midjourney/spend.csv?days=7", headers=as_user("viewer"))

    lines = lines_of(answer)
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"].startswith('attachment; filename="spend-')
    assert answer.content.startswith(b"\xef\xbb\xbf")
    told = [(line["dag_id"], line["paid"], line["cost"], line["currency"], line["described"]) for line in lines]
    assert told == [
        ("mine", "7", "0.28", "USD", "7"),
        ("mine", "2", "0.08", "USD", "2"),
        ("yours", "5", "0.2", "USD", "5"),
    ]
    first, last = (date.fromisoformat(lines[place]["day_utc"]) for place in (0, -1))
    assert last - first == timedelta(days=2)


def test_a_period_leaves_out_what_was_before_it(
    spent: Database, api: TestClient, as_user: Callable[..., dict[str, str]]
) -> None:
    lines = lines_of(api.get("/midjourney/spend.csv?days=1", headers=as_user("viewer")))

    assert [(line["dag_id"], line["paid"]) for line in lines] == [("mine", "2"), ("yours", "5")]
    for days in ("0", "-1", "99999", "many"):
        assert api.get(f"/midjourney/spend?days={days}", headers=as_user("viewer")).status_code == 422


def test_no_cell_of_the_file_is_a_formula(
    table: Database, account: AccountSettings, api: TestClient, as_user: Callable[..., dict[str, str]]
) -> None:
    with table.writing() as tx:
        scenes.describe_some(tx, scenes.start_batch(tx, DANGEROUS, "in/", 1, account), 1, account)

    (line,) = lines_of(api.get("/midjourney/spend.csv", headers=as_user("admin")))

    assert line["dag_id"] == f"'{DANGEROUS}"
    assert [value for value in line.values() if value.startswith(("=", "+", "-", "@"))] == []


def test_an_account_without_a_price_shows_counts(
    table: Database, account: AccountSettings, api: TestClient, as_user: Callable[..., dict[str, str]]
) -> None:
    unpriced = replace(account, identity="https://cheap.example:443/me", **UNPRICED)
    with table.writing() as tx:
        scenes.describe_some(tx, scenes.start_batch(tx, "mine", "in/", 3, unpriced), 3, unpriced)

    page = api.get("/midjourney/spend", headers=as_user("viewer")).text
    (line,) = lines_of(api.get("/midjourney/spend.csv", headers=as_user("viewer")))

    assert "3 submissions paid for, 3 of them without a price" in page
    assert "no price is set" in page
    assert "Cost a day" not in page
    assert "Submissions paid for a day" in page
    # The connection names another account by now.
    assert "connection <bdi>midjourney_default</bdi> cannot be read, or names another account by now" in page
    assert (line["paid"], line["without_price"], line["cost"], line["currency"]) == ("3", "3", "", "")


def test_refunds_are_named_apart(
    table: Database, account: AccountSettings, api: TestClient, as_user: Callable[..., dict[str, str]]
) -> None:
    with table.writing() as tx:
        scenes.send_some(tx, scenes.start_batch(tx, "mine", "in/", 3, account), 3, account)
        bill = tx.tables.submissions
        tx.connection.execute(bill.update().where(bill.c.id < 3).values(outcome="refunded", result="failed"))

    page = api.get("/midjourney/spend", headers=as_user("viewer")).text
    (line,) = lines_of(api.get("/midjourney/spend.csv", headers=as_user("viewer")))

    assert "0.04 USD, 1 submissions paid for, 2 given back beside them" in page
    assert "2, 0.08 USD" in page
    assert 'class="given-back"' in page
    assert (line["cost"], line["refunded"], line["refunds"], line["failed"]) == ("0.04", "2", "0.08", "2")


def test_a_long_table_is_cut_where_the_file_goes_on(
    spent: Database, api: TestClient, as_user: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MOST_ROWS > 2
    monkeypatch.setattr("airflow_midjourney.web.wording.spend.MOST_ROWS", 2)

    page = api.get("/midjourney/spend", headers=as_user("viewer")).text

    assert "1 older lines are in the CSV." in page


def test_what_strangers_write_is_text(
    table: Database, account: AccountSettings, api: TestClient, as_user: Callable[..., dict[str, str]]
) -> None:
    with table.writing() as tx:
        scenes.describe_some(tx, scenes.start_batch(tx, scenes.HOSTILE, "in/", 1, account), 1, account)

    page = api.get("/midjourney/spend", headers=as_user("admin")).text

    assert "<script>alert" not in page
    assert "\\u202egpj" in page


def test_a_large_day_is_read_once_for_all_who_look_at_it(spent: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    clock = [1000.0]

    def slow(_tx: Any, day: date, dag_ids: frozenset[str]) -> list[Any]:
        asked.append((day, dag_ids))
        clock[0] += 2.0
        return []

    monkeypatch.setattr(day_book, "spend_of_day", slow)
    monkeypatch.setattr(day_book.time, "monotonic", lambda: clock[0])
    mine, yours = frozenset({"mine"}), frozenset({"yours"})

    def read(dag_ids: frozenset[str]) -> None:
        asyncio.run(day_book.read_day(spent, DAYS[0], dag_ids))

    for dag_ids in (mine, mine, yours, mine):
        read(dag_ids)
    assert asked == [(DAYS[0], mine), (DAYS[0], yours)]

    clock[0] += 40.0
    read(mine)
    assert len(asked) == 3


def bars_of(*values: int, limit: int | None = None) -> Any:
    cap = None if limit is None else Limit(limit, f"a cap of {limit}")
    return draw("Images", DAYS[: len(values)], [Series("paid", "paid", values)], str, cap)


def test_a_bar_is_as_high_as_its_value_and_the_line_stands_at_the_cap() -> None:
    chart = bars_of(0, 10, 20, limit=40)

    assert [(bar.x, bar.height, bar.y) for bar in chart.bars] == [("366.67", "25", "75"), ("700", "50", "50")]
    assert (chart.line, chart.top) == ("0", "40")
    assert chart.told == (
        "Images, 2026-03-06 to 2026-03-08 (UTC): most on 2026-03-08, 20; something on 2 days."
        " They reached a cap of 40 on 0 of these days."
    )


@pytest.mark.parametrize(("limit", "line"), [(20, "0"), (10, "50"), (80, "0"), (81, None)])
def test_a_cap_far_above_all_bars_is_left_to_words(limit: int, line: str | None) -> None:
    chart = bars_of(5, 20, limit=limit)

    assert chart.line == line
    assert (line is None) == ("far above this picture" in chart.line_words)


def test_what_is_small_is_seen_and_no_bar_leaves_the_picture() -> None:
    stack = [Series("paid", "paid", (1, 10_000)), Series("given-back", "given back", (1, 1))]
    chart = draw("Images", DAYS[:2], stack, str)

    assert min(float(bar.height) for bar in chart.bars) > 1
    assert all(0 <= float(bar.y) <= HEIGHT for bar in chart.bars)


def test_nothing_is_a_picture_of_nothing() -> None:
    chart = draw("Cost", DAYS, [Series("paid", "paid", [Decimal(0)] * len(DAYS))], str, Limit(5, "a cap of 5"))

    assert chart.bars == ()
    assert chart.told.endswith(": nothing.")
