"""The link of a task to its batch, and the page behind it: for users who may see the DAG, and all of it escaped."""

from __future__ import annotations

import json
from html import escape
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

import pytest
from sqlalchemy import select

from airflow_midjourney.describe.model.batch import BatchOptions, Origin, Scope
from airflow_midjourney.describe.model.status import Reason
from airflow_midjourney.describe.table import batches, results
from airflow_midjourney.links import BatchLink
from airflow_midjourney.operators.describe import DescribeImagesOperator
from airflow_midjourney.sensors.describe import DescribeImagesSensor
from tests.support import rows
from tests.support.airflow_runs import make_dag, run_dag, submit_and_wait

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient

    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace

EVIL = "<script>alert(1)</script>\"'&in/"
LINK_KEY = "_link_BatchLink"
NO_KEY: Any = None


def evil_batch(table: Database, map_index: int | None = None) -> str:
    """Make a batch under a prefix of a stranger's making: one row described, one on its way, one banned."""
    origin = Origin("dag", f"run {EVIL}", "submit", map_index)
    with table.writing() as tx:
        rows.open_batch(tx)
        batch = batches.open_batch(tx, Scope(rows.BUCKET, (EVIL,)), BatchOptions(), origin)
        rows.list_images(tx, [rows.listed(f"{EVIL}{name}") for name in "abc"])
        submitted = [rows.submit_next(tx, batch, task_id=name) for name in "abc"]
        rows.described(tx, submitted[0], rows.four_prompts(), EVIL, results.RemoteTimes())
        results.ended(tx, submitted[1], Reason.BANNED, EVIL, results.RemoteTimes(), "")
    return batch.batch_id


def page_of(batch_id: str) -> str:
    link = BatchLink().get_link(DescribeImagesSensor(task_id="t", batch=batch_id), ti_key=NO_KEY)
    return "/midjourney" + link.partition("/midjourney")[2]


class Tags(HTMLParser):
    """Collects which elements a page has."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.scripts: list[str | None] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.scripts += [dict(attrs).get("src")] if tag == "script" else []
        self.links += [value or "" for name, value in attrs if name == "href"]


@pytest.mark.parametrize("path", ["/midjourney/batch?id=dag/submit/run", "/midjourney/api/batch?id=dag/submit/run"])
def test_nobody_sees_anything_without_logging_in(api: TestClient, table: Database, path: str) -> None:
    answer = api.get(path)

    assert answer.status_code == 401
    assert "submit" not in answer.text.replace(quote_plus("id=dag/submit/run"), "")


@pytest.mark.parametrize(
    "path", ["/midjourney/docs", "/midjourney/openapi.json", "/midjourney/nothing", "/midjourney/batches/"]
)
def test_the_app_has_no_other_pages(api: TestClient, path: str) -> None:
    assert api.get(f"/midjourney/{path}").status_code == 404


def test_a_user_who_may_not_see_the_dag_does_not_see_its_batch(
    api: TestClient, table: Database, as_user: Callable[..., dict[str, str]]
) -> None:
    batch_id = evil_batch(table)

    assert api.get(page_of(batch_id), headers=as_user(None)).status_code == 403
    assert api.get(page_of(batch_id), headers=as_user("viewer")).status_code == 200
    assert api.get(page_of("no/such/batch"), headers=as_user("viewer")).status_code == 404


def test_strangers_text_is_shown_as_text(
    api: TestClient, table: Database, as_user: Callable[..., dict[str, str]]
) -> None:
    answer = api.get(page_of(evil_batch(table)), headers=as_user("viewer"))

    assert set(Tags(answer.text).scripts) == {"static/theme.js", "static/live.js"}
    assert "&lt;script&gt;" in answer.text
    assert EVIL not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_numbers_are_those_of_the_table(
    api: TestClient, table: Database, as_user: Callable[..., dict[str, str]]
) -> None:
    batch_id = evil_batch(table)

    answer = api.get(page_of(batch_id).replace("/batch?", "/api/batch?"), headers=as_user("viewer")).json()

    assert answer["batch"] == batch_id
    assert answer["by_status"] == {
        "pending": 0,
        "submitting": 0,
        "submitted": 1,
        "succeeded": 1,
        "failed": 1,
        "rejected": 0,
        "in_doubt": 0,
    }
    assert (answer["by_reason"], answer["billed"], answer["total"], answer["ended"]) == ({"banned": 1}, 3, 3, 2)
    assert answer["oldest_waiting_since"] is not None
    assert answer["oldest_waiting_seconds"] >= 0


def test_parts_of_a_mapped_task_lead_to_each_other(
    api: TestClient, table: Database, as_user: Callable[..., dict[str, str]]
) -> None:
    first, second = evil_batch(table, 0), evil_batch_beside(table, 1)
    here = page_of(first)

    links = [link for link in Tags(api.get(here, headers=as_user("viewer")).text).links if link.startswith("batch?")]

    (to_the_other,) = links
    other = api.get(str(api.base_url.join(here).join(to_the_other)), headers=as_user("viewer"))
    assert other.status_code == 200
    assert f"<code><bdi>{escape(second)}</bdi></code>" in other.text


def evil_batch_beside(table: Database, map_index: int) -> str:
    with table.writing() as tx:
        origin = Origin("dag", f"run {EVIL}", "submit", map_index)
        return batches.open_batch(tx, Scope(rows.BUCKET, ("elsewhere/",)), BatchOptions(), origin).batch_id


def test_a_table_that_is_away_is_said_in_words(
    api: TestClient, as_user: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = {"conn_type": "postgres", "host": "127.0.0.1", "port": 9, "login": "a", "password": "hush-hush"}
    monkeypatch.setenv("AIRFLOW_CONN_IMAGE_PROMPTS_DB", json.dumps(nowhere))

    answer = api.get("/midjourney/batch?id=a/b/c", headers=as_user("viewer"))

    assert answer.status_code == 503
    assert "image_prompts_db" in answer.text
    assert "hush-hush" not in answer.text


def test_it_finds_the_connection_in_airflows_own_database(
    api: TestClient,
    table: Database,
    sqlite_place: MetadataPlace,
    as_user: Callable[..., dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session

    monkeypatch.delenv("AIRFLOW_CONN_IMAGE_PROMPTS_DB")
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    batch_id = evil_batch(table)
    stored = Connection(
        conn_id="image_prompts_db", conn_type="sqlite", host=sqlite_place.url.removeprefix("sqlite:///")
    )
    with create_session() as session:
        session.add(stored)
    try:
        assert api.get(page_of(batch_id), headers=as_user("viewer")).status_code == 200
    finally:
        with create_session() as session:
            session.delete(session.scalars(select(Connection).where(Connection.conn_id == "image_prompts_db")).one())


@pytest.mark.parametrize("deferrable", [False, True], ids=["on its worker", "deferred"])
def test_both_tasks_store_the_link_and_airflow_gives_it_out(
    deferrable: bool,
    api: TestClient,
    as_user: Callable[..., dict[str, str]],
    deferrals: list[dict[str, Any]],
    bucket: str,
    simulator: RunningSimulator,
    sqlite_place: MetadataPlace,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
) -> None:
    connect(simulator, sqlite_place)
    put_photos("in/", 2)

    run = run_dag(submit_and_wait({"bucket": bucket, "prefix": "in/"}, {"deferrable": deferrable}))

    for task_id in ("submit", "wait"):
        url = run.xcom(task_id, LINK_KEY)
        assert url == run.xcom("submit", LINK_KEY)
        answer = api.get(url, headers=as_user("viewer"))
        assert answer.status_code == 200
        assert "2 of 2" in answer.text
        path = f"/api/v2/dags/{run.dag.dag_id}/dagRuns/{run.run_id}/taskInstances/{task_id}/links"
        links = api.get(path, headers=as_user("viewer")).json()["extra_links"]
        assert links == {"Batch": url}


def test_a_sensor_with_a_batch_of_its_own_links_to_that(
    bucket: str,
    simulator: RunningSimulator,
    sqlite_place: MetadataPlace,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
) -> None:
    connect(simulator, sqlite_place)
    put_photos("in/", 1)
    with make_dag() as dag:
        DescribeImagesSensor(task_id="both", bucket=bucket, prefix="in/", poke_interval=0.2)

    run = run_dag(dag)

    assert quote_plus(f"{dag.dag_id}/both/") in run.xcom("both", LINK_KEY)


@pytest.mark.parametrize("base_url", ["https://example.com/airflow", "https://example.com/airflow/"])
def test_the_link_goes_below_airflows_own_address(base_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base_url)
    sensor = DescribeImagesSensor(task_id="t", batch=["a/b/run 1+2", "a/b/other"])

    link = BatchLink().get_link(sensor, ti_key=NO_KEY)

    assert link == "https://example.com/airflow/midjourney/batch?id=a%2Fb%2Frun+1%2B2"


def test_there_is_no_link_where_templating_came_to_nothing() -> None:
    with make_dag():
        submit = DescribeImagesOperator(task_id="submit", bucket="photos", prefix="in/")
        unrendered = DescribeImagesSensor(task_id="wait", batch=submit.output)

    assert BatchLink().get_link(unrendered, ti_key=NO_KEY) == ""
    assert BatchLink().get_link(DescribeImagesSensor(task_id="t", batch=[]), ti_key=NO_KEY) == ""
