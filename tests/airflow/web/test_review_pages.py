"""The review page and its routes: who may decide, what is written, and what a page that is too old is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from sqlalchemy import select

from airflow_midjourney.describe.table.results import RemoteTimes
from tests.support import rows
from tests.support.dag_by_dag import name_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient

    from airflow_midjourney.describe.table.database import Database

EDITOR: Final = name_of(reads="dag", edits="dag")
READER: Final = name_of(reads="dag")


@pytest.fixture
def images(table: Database) -> list[int]:
    """Three described images of the DAG ``dag``."""
    with table.writing() as tx:
        batch = rows.open_batch(tx)
        rows.list_images(tx, [rows.listed(f"in/{number}.jpg") for number in range(3)], batch=batch)
        found = []
        for number in range(3):
            row = rows.submit_next(tx, batch, str(number))
            assert rows.described(tx, row, rows.four_prompts(), "raw", RemoteTimes())
            found.append(row.id)
    return found


@pytest.fixture
def post(api: TestClient, as_user: Callable[..., dict[str, str]]) -> Callable[..., Any]:
    """Ask as the page's script does: ``post("next", "anna")``."""

    def answer(address: str, user: str = EDITOR, window: str = "anna", headers: Any = None, **body: Any) -> Any:
        given = {**as_user(None, user), **(headers or {})}
        return api.post(f"/midjourney/api/{address}", json={"window": f"{window:0<16}", **body}, headers=given)

    return answer


def order(image: dict[str, Any], **more: Any) -> dict[str, Any]:
    newest = image["newest"] and image["newest"]["id"]
    return {"image_id": image["id"], "answer": image["answer"], "newest": newest, **more}


def decisions(table: Database) -> list[tuple[Any, ...]]:
    with table.reading() as tx:
        reviews = tx.tables.reviews.c
        query = select(reviews.image_id, reviews.decision, reviews.caption, reviews.reviewer).order_by(reviews.id)
        return [tuple(row) for row in tx.connection.execute(query)]


def test_images_are_lent_decided_and_counted(table: Database, images: list[int], post: Callable[..., Any]) -> None:
    found = post("review/next").json()
    assert ([one["id"] for one in found["images"]], found["decided"], found["all"]) == (images, 0, 3)
    assert found["images"][0]["prompts"] == ["one", "two", "three", "four"]
    assert post("review/next", window="ben").json()["images"] == []

    first, second, third = found["images"]
    approved = post("review", **order(first, decision="approved", prompt=2)).json()
    assert (approved["written"], approved["newest"]["caption"]) == ("added", "two")
    assert post("review", **order(second, decision="approved", text="mine")).json()["written"] == "added"
    assert post("review", **order(third, decision="rejected")).json()["written"] == "added"

    assert decisions(table) == [
        (images[0], "approved", "two", EDITOR),
        (images[1], "approved", "mine", EDITOR),
        (images[2], "rejected", None, EDITOR),
    ]
    after = post("review/next", window="ben").json()
    assert (after["images"], after["decided"], after["all"]) == ([], 3, 3)


def test_looking_for_images_keeps_no_worker_from_writing(
    table: Database, images: list[int], post: Callable[..., Any]
) -> None:
    for image in post("review/next").json()["images"]:
        post("review", **order(image, decision="rejected"))

    with table.writing():
        # All are decided, so nothing is lent: a request that has to wait for this transaction fails.
        found = post("review/next", window="ben")

    assert (found.status_code, found.json()["images"], found.json()["decided"]) == (200, [], 3)


def test_an_undone_decision_leaves_the_image_with_its_reviewer(
    table: Database, images: list[int], post: Callable[..., Any]
) -> None:
    image = post("review/next").json()["images"][0]
    image["newest"] = post("review", **order(image, decision="rejected")).json()["newest"]

    assert post("review", **order(image, decision="withdrawn")).json()["written"] == "added"

    assert [one["id"] for one in post("review/next").json()["images"]] == images
    assert post("review/next", window="ben").json()["images"] == []


def test_the_second_reviewer_is_told_what_the_first_decided(
    table: Database, images: list[int], post: Callable[..., Any]
) -> None:
    image = post("review/next").json()["images"][0]
    assert post("review", **order(image, decision="approved", prompt=1)).json()["written"] == "added"

    late = post("review", "reads=dag/edits=dag other", "ben", **order(image, decision="rejected")).json()

    assert late["written"] == "decided_meanwhile"
    assert (late["newest"]["reviewer"], late["newest"]["caption"]) == (EDITOR, "one")
    assert len(decisions(table)) == 1


def test_deciding_needs_the_right_to_edit_the_dag(
    table: Database, images: list[int], post: Callable[..., Any], api: TestClient, as_user: Callable[..., Any]
) -> None:
    image = post("review/next").json()["images"][0]

    assert post("review/next", READER, "ben").json() == {"images": [], "decided": 0, "all": 0}
    assert post("review", READER, "ben", **order(image, decision="rejected")).status_code == 403
    assert decisions(table) == []
    page = api.get("/midjourney/review", headers=as_user(None, READER))
    assert "needs the right to edit the DAG" in page.text
    assert "review.js" not in page.text


def test_another_site_cannot_decide(table: Database, images: list[int], post: Callable[..., Any]) -> None:
    image = post("review/next").json()["images"][0]

    refused = post("review", headers={"Sec-Fetch-Site": "cross-site"}, **order(image, decision="rejected"))

    assert refused.status_code == 403
    assert decisions(table) == []


@pytest.mark.parametrize(
    "what",
    [
        {"decision": "approved"},
        {"decision": "rejected", "prompt": 1},
        {"decision": "no"},
        {"decision": "rejected", "image_id": 2**63},
    ],
)
def test_what_makes_no_sense_is_refused(what: dict[str, Any], images: list[int], post: Callable[..., Any]) -> None:
    image = post("review/next").json()["images"][0]

    assert post("review", **{**order(image), **what}).status_code == 422


def test_a_number_that_no_row_has_is_refused(images: list[int], post: Callable[..., Any]) -> None:
    assert post("review/next", after=2**63).status_code == 422


def test_filters_choose_what_is_lent(images: list[int], post: Callable[..., Any]) -> None:
    found = post("review/next?text=in/2").json()

    assert ([one["id"] for one in found["images"]], found["all"]) == (images[2:], 1)


def test_the_gallery_leads_to_the_review_of_the_same_images(
    images: list[int], api: TestClient, as_user: Callable[..., Any]
) -> None:
    page = api.get("/midjourney/gallery?dag_id=dag&status=failed", headers=as_user(None, EDITOR)).text

    assert 'href="review?dag_id=dag"' in page
    assert api.get("/midjourney/review?dag_id=dag", headers=as_user(None, EDITOR)).status_code == 200
