"""From the page of a batch to its images: every number is a link."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.model.status import Reason
from airflow_midjourney.describe.table import results
from tests.support import rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient

    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.database import Database


def test_every_number_leads_to_its_images_and_the_run_to_airflow(
    table: Database, api: TestClient, as_user: Callable[..., dict[str, str]]
) -> None:
    with table.writing() as tx:
        batch = rows.open_batch(tx, run_id="a run")
        rows.list_images(tx, [rows.listed("a.jpg"), rows.listed("b.jpg")], batch=batch)
        sent = rows.submit_next(tx, batch)
        results.ended(tx, sent, Reason.BANNED, "No.", results.RemoteTimes(), "")

    page = api.get("/midjourney/batch", params={"id": batch.batch_id}, headers=as_user("viewer")).text

    links = [html.unescape(link) for link in re.findall(r'href="([^"]+)"', page)]
    asked = [(urlsplit(link).path, parse_qs(urlsplit(link).query)) for link in links]
    counted = {"batch": [batch.batch_id]}
    for wanted in (
        ("failures", {"reason": ["banned"], "within": ["any"]} | counted),
        ("gallery", {"status": ["failed"]} | counted),
        ("gallery", {"status": ["pending"]} | counted),
    ):
        assert wanted in asked
        shown = api.get(f"/midjourney/{wanted[0]}", params=wanted[1], headers=as_user("viewer")).text
        assert "b.jpg" in shown if wanted[1].get("status") == ["pending"] else "a.jpg" in shown
    for wanted in (("spend", {}), ("spend", {"dag_id": ["dag"]}), ("gallery", {"status": ["in_flight"]})):
        assert wanted in asked
    assert "../dags/dag/runs/a%20run/tasks/task" in links


@pytest.fixture
def parts(table: Database) -> tuple[Batch, Batch]:
    """Two parts of a mapped task with one failure each, and one image on its way in either of the two statuses each."""
    with table.writing() as tx:
        both = []
        for part in (0, 1):
            scope = Scope(rows.BUCKET, (f"part{part}/",))
            batch = rows.open_batch(tx, scope, run_id="a run", map_index=part)
            rows.list_images(tx, [rows.listed(f"part{part}/{name}.jpg") for name in "abcd"], batch=batch)
            failed = rows.submit_next(tx, batch, task_id=f"{part}a")
            results.ended(tx, failed, Reason.BANNED, "No.", results.RemoteTimes(), "")
            rows.submit_next(tx, batch, task_id=f"{part}b")
            rows.claim_next(tx, batch)
            both.append(batch)
    return both[0], both[1]


def keys_of(page: str) -> list[str]:
    """Give the keys of the images on a page, sorted."""
    return sorted(set(re.findall(r"part\d/[a-d]\.jpg", page)))


def follow(api: TestClient, headers: dict[str, str], batch: Batch, part: str) -> tuple[int, list[str]]:
    """Give the number of a part of the bar, and the images behind its link."""
    page = api.get("/midjourney/batch", params={"id": batch.batch_id}, headers=headers).text
    found = re.search(rf'data-part="{part}".*?href="([^"]+)"><span class="number" data-count>([^<]+)</span>', page)
    assert found is not None
    shown = api.get(f"/midjourney/{html.unescape(found[1])}", headers=headers).text
    return int(found[2]), keys_of(shown)


@pytest.mark.parametrize(("part", "names"), [("failed", "a"), ("in_flight", "bc"), ("pending", "d")])
def test_the_number_of_one_part_of_a_mapped_task_leads_to_its_images_alone(
    part: str,
    names: str,
    parts: tuple[Batch, Batch],
    api: TestClient,
    as_user: Callable[..., dict[str, str]],
) -> None:
    for index, batch in enumerate(parts):
        expected = [f"part{index}/{name}.jpg" for name in names]
        assert follow(api, as_user("viewer"), batch, part) == (len(names), expected)


def behind(api: TestClient, headers: dict[str, str], batch: Batch, name: str) -> tuple[str, list[str]]:
    """Give the words of a number that is no part of the bar, and the images behind its link."""
    page = api.get("/midjourney/batch", params={"id": batch.batch_id}, headers=headers).text
    found = re.search(rf'href="([^"]+)" data-show="{name}">([^<]+)<', page)
    assert found is not None
    shown = api.get(f"/midjourney/{html.unescape(found[1])}", headers=headers)
    assert shown.status_code == 200
    return found[2], keys_of(shown.text)


def test_all_images_of_one_part_of_a_mapped_task_and_the_billed_ones_are_behind_their_numbers(
    parts: tuple[Batch, Batch], table: Database, api: TestClient, as_user: Callable[..., dict[str, str]]
) -> None:
    with table.writing() as tx:
        # Part 1 sends what part 0 has left pending, as a later run does.
        (left_over,) = (row["id"] for row in rows.image_rows(tx) if row["key"] == "part0/d.jpg")
        one = rows.submit_next(tx, parts[1], task_id="1d")
        tx.connection.execute(
            tx.tables.submissions.update()
            .where(tx.tables.submissions.c.submit_token == one.submit_token)
            .values(image_id=left_over)
        )

    assert behind(api, as_user("viewer"), parts[0], "progress")[1] == [f"part0/{name}.jpg" for name in "abcd"]
    assert behind(api, as_user("viewer"), parts[0], "billed") == ("2 billed", ["part0/a.jpg", "part0/b.jpg"])
    assert behind(api, as_user("viewer"), parts[1], "billed") == (
        "3 billed",
        ["part0/d.jpg", "part1/a.jpg", "part1/b.jpg"],
    )


def test_a_reason_of_one_part_leads_to_its_failures_and_the_order_for_all_of_them_takes_no_others(
    parts: tuple[Batch, Batch], table: Database, api: TestClient, as_user: Callable[..., dict[str, str]]
) -> None:
    with table.writing() as tx:
        rows.let_time_pass(tx, timedelta(minutes=1))
    viewer, editor = as_user("viewer"), as_user("admin")
    page = api.get("/midjourney/batch", params={"id": parts[1].batch_id}, headers=viewer).text
    (address, *_) = re.findall(r'href="(failures\?[^"]+)"', page)

    shown = api.get(f"/midjourney/{html.unescape(address)}", headers=viewer).text
    (order,) = re.findall(r'href="(again-all\?[^"]+)"', shown)
    asked = api.get(f"/midjourney/{html.unescape(order)}", headers=editor).text

    assert keys_of(shown) == ["part1/a.jpg"]
    assert "batch" in parse_qs(urlsplit(html.unescape(order)).query)
    assert "batch dag/task/a%20run/1" in html.unescape(asked)
    assert "Describe 1 image again?" in asked
    with_all = api.get("/midjourney/failures", params={"reason": "banned", "within": "any"}, headers=viewer).text
    assert keys_of(with_all) == ["part0/a.jpg", "part1/a.jpg"]


def test_images_of_its_scope_that_another_run_sent_are_behind_its_numbers(
    table: Database, api: TestClient, as_user: Callable[..., dict[str, str]]
) -> None:
    scope = Scope(rows.BUCKET, ("part0/",))
    with table.writing() as tx:
        first = rows.open_batch(tx, scope, run_id="first")
        rows.list_images(tx, [rows.listed(f"part0/{name}.jpg") for name in "ab"], batch=first)
        early = rows.submit_next(tx, first, task_id="1")
        results.ended(tx, early, Reason.BANNED, "No.", results.RemoteTimes(), "")
    with table.writing() as tx:
        rows.set_columns(tx, early.id, ended_at=tx.now - timedelta(days=1))
        second = rows.open_batch(tx, scope, run_id="second")
        late = rows.submit_next(tx, first, task_id="2")
        results.ended(tx, late, Reason.BANNED, "No.", results.RemoteTimes(), "")

    assert follow(api, as_user("viewer"), second, "failed") == (1, ["part0/b.jpg"])


def test_the_filter_of_a_batch_stays_in_the_forms_and_an_unknown_batch_is_not_found(
    parts: tuple[Batch, Batch], api: TestClient, as_user: Callable[..., dict[str, str]]
) -> None:
    of_batch = {"batch": parts[0].batch_id, "reason": "banned", "within": "any"}
    for path in ("gallery", "failures"):
        shown = api.get(f"/midjourney/{path}", params=of_batch, headers=as_user("viewer")).text
        assert f'name="batch" value="{parts[0].batch_id}"' in shown
        gone = api.get(f"/midjourney/{path}", params=of_batch | {"batch": "no/such/batch"}, headers=as_user("viewer"))
        assert gone.status_code == 404
