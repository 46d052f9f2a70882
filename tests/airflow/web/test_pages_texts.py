"""What pages say in numbers and words, and what strangers' text looks like in them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from airflow_midjourney.describe.model.batch import Origin
from airflow_midjourney.describe.model.durations import duration
from airflow_midjourney.describe.table.counts import Counts
from airflow_midjourney.web.rendering import clock, moment, money, percent, shown, stranger
from airflow_midjourney.web.wording.batch import BAR_WIDTH, segments
from tests.support import rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_midjourney.describe.table.database import Database

NAMES = ("succeeded", "failed", "rejected", "in_doubt", "submitting", "submitted", "pending")


@given(st.lists(st.integers(0, 10**9), min_size=7, max_size=7))
def test_the_bar_is_full_and_shows_whatever_exists(amounts: list[int]) -> None:
    counts = Counts(**dict(zip(NAMES, amounts, strict=True)))  # type: ignore[arg-type]

    parts = segments(counts)

    assert sum(part["width"] for part in parts) == (BAR_WIDTH if counts.total else 0)
    assert all((part["width"] > 0) == (part["count"] > 0) for part in parts)
    assert [part["x"] for part in parts] == [sum(one["width"] for one in parts[:index]) for index in range(len(parts))]
    assert sum(part["count"] for part in parts) == counts.total


@given(st.text(), st.text())
def test_strangers_text_cannot_leave_its_element(before: str, after: str) -> None:
    html = str(stranger(f"{before}</bdi><script>\x00\u202e\ud800{after}"))

    assert html.startswith("<bdi>")
    assert html.count("<") == 2
    assert not {"\x00", "\u202e", "\ud800"} & set(html)
    html.encode()


def test_what_is_invisible_is_spelt_out_and_other_scripts_are_left_alone() -> None:
    assert shown("a\u202egpj.exe") == "a\\u202egpj.exe"
    assert shown("фото 写真 📷 été") == "фото 写真 📷 été"


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0 s"), (179.6, "3 min"), (95, "95 s"), (3600, "1 h"), (3725, "1 h 2 min"), (200000, "2 d 7 h")],
)
def test_a_length_of_time_is_said_as_a_person_would(seconds: float, told: str) -> None:
    assert duration(seconds) == told


def test_money_moments_and_shares() -> None:
    noon = datetime(2026, 11, 26, 12, tzinfo=UTC)

    assert [money(Decimal(amount), "USD") for amount in ("1.6", "0.0425", "1E+3", "0")] == [
        "1.60 USD",
        "0.0425 USD",
        "1,000.00 USD",
        "0.00 USD",
    ]
    assert money(None) == "no price is set"
    assert moment(noon) == '<time datetime="2026-11-26T12:00:00+00:00">2026-11-26 12:00:00 UTC</time>'
    assert clock(noon) == "12:00:00 UTC"
    assert [percent(*pair) for pair in ((0, 0), (1, 10**6), (999_999, 10**6), (5, 5))] == [
        "0 %",
        "<1 %",
        "99 %",
        "100 %",
    ]


@pytest.mark.parametrize("address", ["batches", "batch?id=a/b/c"])
@pytest.mark.parametrize(
    ("connection", "told"),
    [
        (None, "There is no connection"),
        ({"conn_type": "http", "host": "example.com"}, "needs postgres, or sqlite"),
        ({"conn_type": "postgres", "host": "127.0.0.1", "port": 9, "password": "hush-hush"}, "could not be reached"),
        ({"conn_type": "sqlite", "host": "{empty}"}, "has no table"),
    ],
    ids=["no connection", "another kind", "away", "no tables"],
)
def test_trouble_with_the_table_is_a_page_that_says_what_to_do(
    address: str,
    connection: dict[str, object] | None,
    told: str,
    api: TestClient,
    as_user: Callable[..., dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    if connection is not None:
        text = json.dumps(connection).replace("{empty}", str(tmp_path_factory.mktemp("empty") / "new.sqlite"))
        monkeypatch.setenv("AIRFLOW_CONN_IMAGE_PROMPTS_DB", text)

    page = api.get(f"/midjourney/{address}", headers=as_user("viewer"))
    script = api.get("/midjourney/api/batch?id=a/b/c", headers=as_user("viewer"))

    assert (page.status_code, script.status_code) == (503, 503)
    assert told in page.text.replace("&#39;", "'")
    assert told in script.json()["message"]
    assert "image_prompts_db" in page.text
    assert "hush-hush" not in page.text + script.text
    assert "Traceback" not in page.text


def test_looking_makes_no_tables(
    api: TestClient,
    as_user: Callable[..., dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    file = tmp_path_factory.mktemp("empty") / "new.sqlite"
    monkeypatch.setenv("AIRFLOW_CONN_IMAGE_PROMPTS_DB", json.dumps({"conn_type": "sqlite", "host": str(file)}))

    api.get("/midjourney/batches", headers=as_user("admin"))

    assert b"CREATE TABLE" not in file.read_bytes()


def test_what_breaks_is_said_without_its_trace(
    table: Database, as_user: Callable[..., dict[str, str]], api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_midjourney.web.pages import batches

    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret of the house")

    monkeypatch.setattr(batches, "known_dags", broken)
    calm = TestClient(api.app, base_url="http://testserver", raise_server_exceptions=False)

    answer = calm.get("/midjourney/batches", headers=as_user("viewer"))

    assert answer.status_code == 500
    assert "This page is broken" in answer.text
    assert "secret of the house" not in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(
    "address",
    [
        "batches?before=yesterday",
        "batches?before=2026-01-01T00:00:00",
        "batch",
        "batch?id=a%00b",
        "batches?dag_id=%00",
        f"batch?id={'a' * 5000}",
    ],
)
def test_an_address_that_makes_no_sense_is_said(
    address: str, table: Database, api: TestClient, as_user: Callable[..., dict[str, str]]
) -> None:
    answer = api.get(f"/midjourney/{address}", headers=as_user("viewer"))

    assert answer.status_code == 422
    assert "The address is not right" in answer.text


@pytest.mark.parametrize("map_index", ["{MAP_INDEX}", "-1", "", "²"])
def test_the_tab_of_a_task_shows_its_batch_and_the_tab_of_its_sensor_too(
    map_index: str, table: Database, api: TestClient, as_user: Callable[..., dict[str, str]]
) -> None:
    with table.writing() as tx:
        batch_id = rows.open_batch(tx, run_id="a run").batch_id
        rows.open_batch(tx, run_id="another run")
    assert batch_id == Origin("dag", "a run", "task").batch_id

    for task_id in ("task", "wait"):
        asked = {"dag_id": "dag", "run_id": "a run", "task_id": task_id, "map_index": map_index}
        answer = api.get("/midjourney/task", params=asked, headers=as_user("viewer"))
        assert f"<code><bdi>{batch_id}</bdi></code>" in answer.text
    nothing = api.get("/midjourney/task", params={"dag_id": "dag", "run_id": "none"}, headers=as_user("viewer"))
    assert "No task of this run has described images yet" in nothing.text
