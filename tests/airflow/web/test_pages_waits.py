"""What the page of a batch says of images that wait for a proof, or for an account that no connection polls."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.queries.batch import overview
from airflow_midjourney.describe.table.doubt.orphans import ORPHANED_AFTER
from airflow_midjourney.describe.table.precedence import Wait, write_waits
from airflow_midjourney.web.wording.batch import words
from tests.support import rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient

    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.database import Database


def a_batch(table: Database, *, answered: bool) -> Batch:
    """Give a batch with an image that was sent."""
    with table.writing() as tx:
        batch = rows.open_batch(tx)
        rows.list_images(tx, [rows.listed("a.jpg")], batch=batch)
        rows.claim_next(tx, batch) if not answered else rows.submit_next(tx, batch)
    return batch


def told_after(table: Database, batch: Batch, seconds: float, seen: AccountSettings | None) -> str:
    """Give what the page says of it some time later."""
    with table.writing() as tx:
        rows.let_time_pass(tx, timedelta(seconds=seconds))
        waits: str = words(overview(tx, batch.batch_id, seen))["waits"]
    return waits


def test_images_without_an_answer_to_their_submission_are_counted_with_the_time_left(table: Database) -> None:
    batch = a_batch(table, answered=False)

    assert told_after(table, batch, 0, rows.ACCOUNT) == ""
    told = told_after(table, batch, 60, rows.ACCOUNT)

    assert told.startswith("1 had no answer to their submission: the service's list is searched for them, for 4 min")


def test_an_account_that_no_connection_polls_is_named_with_what_to_do(table: Database) -> None:
    batch = a_batch(table, answered=True)

    assert told_after(table, batch, 0, None) == ""
    told = told_after(table, batch, ORPHANED_AFTER + 60, None)

    assert f"1 were sent by account {rows.ACCOUNT.identity}, which no connection polls any more" in told
    assert "for 24 h more, then they are in doubt" in told
    assert "'midjourney_default' got a new key, set its extra 'account' to" in told


@pytest.mark.parametrize(("slots", "is_told"), [(rows.ACCOUNT.max_in_flight, True), (1, False)])
def test_a_batch_that_leaves_all_slots_to_those_of_a_higher_priority_says_so(
    table: Database, slots: int, is_told: bool
) -> None:
    batch = a_batch(table, answered=True)
    with table.writing() as tx:
        rows.list_images(tx, [rows.listed("b.jpg")], batch=batch)
        higher = rows.open_batch(tx, Scope(rows.BUCKET, ("urgent/",)), run_id="higher", priority=1)
        write_waits(tx, [Wait(higher.batch_id, rows.ACCOUNT.identity, 1, slots)])
        told = words(overview(tx, batch.batch_id, rows.ACCOUNT))["hindrance"]

    assert ("Batches of a higher priority send their images first" in told) is is_told


def test_the_page_shows_it(table: Database, api: TestClient, as_user: Callable[..., dict[str, str]]) -> None:
    batch = a_batch(table, answered=True)
    told_after(table, batch, ORPHANED_AFTER + 60, None)

    page = api.get("/midjourney/batch", params={"id": batch.batch_id}, headers=as_user("admin")).text

    assert "which no connection polls any more" in page
