"""The review page as people use it: by keyboard, two at once, with one who is gone and a server that is away."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from sqlalchemy import func, select

from airflow_midjourney.describe.table.results import RemoteTimes
from airflow_midjourney.web.pages import pictures
from airflow_midjourney.web.pictures import Pictures
from tests.support import airflow_connections as connections
from tests.support import rows
from tests.support.dag_by_dag import name_of
from tests.support.example_dags import known_to_airflow
from tests.support.gallery_scenes import PROMPTS, set_the_scene

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mypy_boto3_s3 import S3Client
    from playwright.sync_api import Page, Route

    from airflow_midjourney.describe.table.database import Database

LOOKS: Final = [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390), ("light", 1920)]
IMAGES: Final = 40

# The machine may be busy with other tests: what is to come has as long as every action of the browser has.

#: The script's state after a key: another image, or none.
_MOVED_ON: Final = (
    "before => document.querySelector('[data-review]').hidden"
    " || document.querySelector('[data-key]').textContent !== before"
)


@pytest.fixture
def photographs(table: Database, s3: S3Client, s3_url: str, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Photographs with prompts, which the API server may read."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", connections.aws(s3_url))
    monkeypatch.setenv("AIRFLOW_CONN_MIDJOURNEY_DEFAULT", connections.midjourney("https://mj.example", "a-key"))
    for dag_id in ("archive", "product_photos"):
        known_to_airflow(dag_id, "submit")
    set_the_scene(table, s3, bucket)


@pytest.fixture
def many(table: Database, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Forty described images of the DAG ``dag``, whose pictures are not shown."""
    monkeypatch.setenv("AIRFLOW__MIDJOURNEY__GALLERY_IMAGES", "False")
    known_to_airflow("dag", "task")
    with table.writing() as tx:
        batch = rows.open_batch(tx)
        rows.list_images(tx, [rows.listed(f"in/{number:02}.jpg") for number in range(IMAGES)], batch=batch)
        found = []
        for number in range(IMAGES):
            row = rows.submit_next(tx, batch, str(number))
            assert rows.described(tx, row, rows.four_prompts(), "raw", RemoteTimes())
            found.append(row.id)
    return found


def shown_key(page: Page) -> str:
    expect(page.locator("[data-review]")).to_be_visible()
    return page.locator("[data-key]").inner_text()


def press(page: Page, key: str) -> str:
    """Press a key that leads on, and give which image it was about."""
    before = shown_key(page)
    page.keyboard.press(key)
    page.wait_for_function(_MOVED_ON, arg=before)
    return before


def held_requests(page: Page) -> list[Route]:
    """Go on until the page asks for further images, and hold its request."""
    held: list[Route] = []
    page.route("**/api/review/next**", lambda route: held.append(route))
    while not held:
        press(page, "s")
    return held


def all_saved(page: Page) -> None:
    expect(page.locator("[data-progress]")).not_to_contain_text("not saved yet")
    page.wait_for_function("() => !JSON.parse(sessionStorage.getItem('midjourney-review-unsent') || '[]').length")


def decided(table: Database) -> dict[str, list[str | None]]:
    """Give the decisions of each image in their order: the text, or the decision where there is none."""
    with table.reading() as tx:
        images, reviews = tx.tables.images.c, tx.tables.reviews.c
        query = select(images.image_uri, func.coalesce(reviews.caption, reviews.decision)).join_from(
            tx.tables.images, tx.tables.reviews, reviews.image_id == images.id
        )
        found: dict[str, list[str | None]] = {}
        for uri, what in tx.connection.execute(query.order_by(reviews.id)):
            found.setdefault(uri, []).append(what)
    return found


@pytest.mark.parametrize(("look", "width"), LOOKS)
def test_it_looks_well_and_axe_has_nothing_to_say(
    look: str, width: int, photographs: None, open_page: Callable[..., Page], picture: Callable[..., Path]
) -> None:
    page = open_page("midjourney/review?dag_id=product_photos", dark=look == "dark", width=width)
    shown_key(page)
    page.wait_for_function("() => document.querySelector('[data-picture]').naturalWidth > 0")
    page.wait_for_load_state("networkidle")
    picture(page, f"review-{look}-{width}")

    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    page.keyboard.press("e")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_each_key_does_what_it_says(photographs: None, table: Database, open_page: Callable[..., Page]) -> None:
    page = open_page("midjourney/review?dag_id=product_photos")
    first = press(page, "2")
    second = press(page, "r")
    third = shown_key(page)
    page.keyboard.press("e")
    page.get_by_label("Your text").fill("1 my own words: r s u")
    page.get_by_role("button", name="Approve this text").click()
    page.wait_for_function(_MOVED_ON, arg=third)
    skipped = press(page, "s")
    undone = press(page, "4")
    page.keyboard.press("u")
    page.wait_for_function("key => document.querySelector('[data-key]').textContent === key", arg=undone)
    all_saved(page)
    expect(page.locator("[data-decision]")).to_have_text("Undecided.")
    page.keyboard.press("ArrowLeft")
    assert shown_key(page) == skipped
    page.keyboard.press("ArrowLeft")
    expect(page.locator("[data-decision]")).to_contain_text("approved by somebody: 1 my own words: r s u")
    expect(page.locator("[data-progress]")).to_contain_text(f"3 of {len(PROMPTS)} decided")

    found = decided(table)
    assert (found[second], found[third]) == (["rejected"], ["1 my own words: r s u"])
    assert (len(found[first]), len(found[undone])) == (1, 2)
    assert found[undone][-1] == "withdrawn"
    assert skipped not in found


def test_images_that_come_meanwhile_leave_a_text_that_is_being_written_alone(
    many: list[int], open_page: Callable[..., Page]
) -> None:
    page = open_page("midjourney/review?dag_id=dag")
    shown_key(page)
    held = held_requests(page)
    key = shown_key(page)
    page.keyboard.press("e")
    page.get_by_label("Your text").fill("half a")

    for route in held:
        with page.expect_response("**/api/review/next**"):
            route.continue_()
    page.wait_for_function("() => new Promise(done => window.setTimeout(() => done(true)))")

    assert page.get_by_label("Your text").is_visible()
    assert page.get_by_label("Your text").input_value() == "half a"
    assert shown_key(page) == key


def test_two_reviewers_and_one_who_is_gone_and_a_server_that_is_away(
    many: list[int], table: Database, open_page: Callable[..., Page], complaints: list[str]
) -> None:
    anna = open_page("midjourney/review", role=None, name=name_of(reads="dag", edits="dag"))
    ben = open_page("midjourney/review", role=None, name=name_of(reads="dag other", edits="dag"))
    wanted: dict[str, str] = {}
    texts = {"1": "one", "2": "two", "3": "three", "4": "four", "r": "rejected"}

    for turn in range(8):
        for page, key in ((anna, "1234r"[turn % 5]), (ben, "r4321"[turn % 5])):
            pressed = press(page, key)
            assert pressed not in wanted, "Both had the same image before them."
            wanted[pressed] = texts[key]
    all_saved(anna)
    anna.reload()
    assert shown_key(anna) not in wanted
    wanted[press(anna, "3")] = "three"
    all_saved(anna)
    anna.context.close()

    shown_key(ben)
    ben.context.set_offline(True)
    wanted[press(ben, "2")] = "two"
    expect(ben.locator("[data-progress]")).to_contain_text("1 not saved yet")
    ben.context.set_offline(False)
    all_saved(ben)
    ben.reload()

    with table.writing() as tx:
        tx.connection.execute(tx.tables.review_leases.update().values(held_until=tx.now - timedelta(seconds=1)))
    ben.reload()
    while len(wanted) < IMAGES:
        wanted[press(ben, "1")] = "one"
    all_saved(ben)
    expect(ben.locator("[data-empty]")).to_be_visible()
    expect(ben.locator("[data-progress]")).to_contain_text(f"{IMAGES} of {IMAGES} decided")

    assert decided(table) == {uri: [text] for uri, text in wanted.items()}
    assert all("ERR_INTERNET_DISCONNECTED" in one for one in complaints), complaints
    complaints.clear()


def test_a_count_that_is_older_than_the_last_decision_is_asked_for_again(
    many: list[int], open_page: Callable[..., Page]
) -> None:
    page = open_page("midjourney/review?dag_id=dag&prefix=s3://photos/in/00.jpg")
    shown_key(page)
    page.wait_for_load_state("networkidle")
    decisions: list[Route] = []
    asked: list[Route] = []
    page.route("**/api/review", lambda route: decisions.append(route))
    page.route("**/api/review/next**", lambda route: asked.append(route))
    page.keyboard.press("1")
    while not (decisions and asked):
        page.wait_for_timeout(20)

    counted = asked[0].fetch()
    decisions[0].continue_()
    expect(page.locator("[data-progress]")).to_contain_text("1 of 1 decided")
    page.unroute("**/api/review/next**")
    with page.expect_response("**/api/review/next**"):
        asked[0].fulfill(response=counted)

    assert counted.json()["decided"] == 0
    expect(page.locator("[data-progress]")).to_contain_text("1 of 1 decided")


def test_a_decision_that_was_counted_before_its_answer_came_is_counted_once(
    many: list[int], open_page: Callable[..., Page]
) -> None:
    page = open_page("midjourney/review?dag_id=dag&prefix=s3://photos/in/00.jpg")
    shown_key(page)
    page.wait_for_load_state("networkidle")
    decisions: list[Route] = []
    asked: list[Route] = []
    page.route("**/api/review", lambda route: decisions.append(route))
    page.route("**/api/review/next**", lambda route: asked.append(route))
    page.keyboard.press("1")
    while not (decisions and asked):
        page.wait_for_timeout(20)

    written = decisions[0].fetch()
    counted = asked[0].fetch()
    page.unroute("**/api/review/next**")
    with page.expect_response("**/api/review/next**"):
        asked[0].fulfill(response=counted)
    expect(page.locator("[data-progress]")).to_contain_text("1 of 1 decided")
    with page.expect_response("**/api/review/next**"):
        decisions[0].fulfill(response=written)

    assert counted.json()["decided"] == 1
    expect(page.locator("[data-progress]")).to_contain_text("1 of 1 decided")
    expect(page.locator("[data-progress]")).not_to_contain_text("not saved")


def test_a_refusal_is_said_and_not_taken_for_a_server_that_is_away(
    many: list[int], open_page: Callable[..., Page], complaints: list[str]
) -> None:
    page = open_page("midjourney/review?dag_id=dag")
    shown_key(page)

    for route in held_requests(page):
        route.fulfill(status=403)

    expect(page.locator("[data-note]")).to_contain_text("No further images are given to you (403)")
    assert all("403" in one for one in complaints), complaints
    complaints.clear()


def test_where_s3_is_away_it_says_so_and_goes_on(
    photographs: None,
    table: Database,
    open_page: Callable[..., Page],
    complaints: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", connections.aws("http://127.0.0.1:9"))
    monkeypatch.setattr(pictures, "_pictures", Pictures())

    page = open_page("midjourney/review")

    expect(page.get_by_text("S3 cannot be read from here")).to_be_visible()
    uri = press(page, "1")
    all_saved(page)
    page.wait_for_load_state("networkidle")
    assert list(decided(table)) == [uri]
    assert all("503" in one for one in complaints), complaints
    complaints.clear()


def test_who_comes_second_is_told_and_can_decide_anew_knowingly(
    many: list[int], table: Database, open_page: Callable[..., Page]
) -> None:
    anna, ben = (open_page("midjourney/review", name=name) for name in ("anna", "somebody"))
    uri = shown_key(anna)
    with table.writing() as tx:
        tx.connection.execute(tx.tables.review_leases.delete())
    ben.reload()
    assert shown_key(ben) == uri

    press(anna, "1")
    all_saved(anna)
    press(ben, "2")
    expect(ben.locator("[data-note]")).to_contain_text("another decision came first: approved by anna: one")
    assert decided(table) == {uri: ["one"]}
    ben.keyboard.press("ArrowLeft")
    press(ben, "2")
    all_saved(ben)

    assert decided(table) == {uri: ["one", "two"]}
