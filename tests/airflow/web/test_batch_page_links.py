"""From the page of a batch to its images: every number is a link."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from airflow_midjourney.describe.model.status import Reason
from airflow_midjourney.describe.table import results
from tests.support import rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient

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
    of_run = {"dag_id": ["dag"], "run_id": ["a run"]}
    for wanted in (
        ("failures", {"reason": ["banned"], "within": ["any"]} | of_run),
        ("gallery", {"status": ["failed"]} | of_run),
        ("gallery", {"status": ["pending"]} | of_run),
    ):
        assert wanted in asked
        shown = api.get(f"/midjourney/{wanted[0]}", params=wanted[1], headers=as_user("viewer")).text
        assert "b.jpg" in shown if wanted[1].get("status") == ["pending"] else "a.jpg" in shown
    for wanted in (("spend", {}), ("spend", {"dag_id": ["dag"]}), ("gallery", {"status": ["submitted"]})):
        assert wanted in asked
    assert "../dags/dag/runs/a%20run/tasks/task" in links
