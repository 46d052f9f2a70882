"""Who may see what: every route asks for the user, and shows what belongs to the user's own DAGs only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from fastapi.routing import APIRoute

from airflow_midjourney.describe.model.batch import BatchOptions, Origin, Scope
from airflow_midjourney.describe.table import batches, results, submissions
from airflow_midjourney.web.app import app
from airflow_midjourney.web.security.signing import seal
from tests.support import rows
from tests.support.dag_by_dag import name_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient

    from airflow_midjourney.describe.table.database import Database

#: What every route is asked here, as method and address; a new route has to be named, or a test fails.
#: ``{batch}`` is a batch of the DAG ``theirs``, ``{image}`` and ``{failed}`` are images of it.
ASKED = {
    "/": ("GET", "/"),
    "/static/{name}": ("GET", "/static/style.css"),
    "/batches": ("GET", "/batches"),
    "/batch": ("GET", "/batch?id={batch}"),
    "/task": ("GET", "/task?dag_id=theirs&run_id=run&task_id=submit&map_index={{MAP_INDEX}}"),
    "/api/batch": ("GET", "/api/batch?id={batch}"),
    "/account": ("POST", "/account"),
    "/api/account": ("GET", "/api/account?connection=midjourney_default"),
    "/api/account/pause": ("POST", "/api/account/pause"),
    "/api/account/resume": ("POST", "/api/account/resume"),
    "/gallery": ("GET", "/gallery"),
    "/image": ("GET", "/image?id={image}"),
    "/picture": ("GET", "/picture?id={image}"),
    "/failures": ("GET", "/failures?reason=banned"),
    "/again": ("GET", "/again?id={failed}"),
    "/describe-again": ("POST", "/describe-again"),
    "/again-all": ("GET", "/again-all?reason=banned"),
    "/describe-all-again": ("POST", "/describe-all-again"),
    "/asked": ("GET", "/asked?request_id=asked/theirs"),
    "/review": ("GET", "/review"),
    "/api/review": ("POST", "/api/review"),
    "/api/review/next": ("POST", "/api/review/next"),
    "/spend": ("GET", "/spend"),
    "/spend.csv": ("GET", "/spend.csv?days=2"),
}

#: Routes that show nothing of any DAG.
ABOUT_NOTHING = {"/", "/static/{name}"}

#: Routes that show nothing of any DAG, and need a right to the connection.
ABOUT_ACCOUNTS = {"/account", "/api/account", "/api/account/pause", "/api/account/resume"}

#: Routes for persons who may edit a DAG, and what is sent to them.
ABOUT_REVIEWS = {
    "/review": None,
    "/api/review": {"window": "a" * 16, "image_id": 1, "answer": "", "decision": "rejected"},
    "/api/review/next": {"window": "a" * 16},
}

#: What a route answers to a person without the right to see its subject: a list without it, or that it is not there.
#: All others refuse.
IN_THE_DARK = {
    "/": 307,
    "/static/{name}": 200,
    "/batches": 200,
    "/gallery": 200,
    "/failures": 200,
    "/again": 200,
    "/again-all": 200,
    "/review": 200,
    "/api/review/next": 200,
    "/spend": 200,
    "/spend.csv": 200,
    "/image": 404,
    "/picture": 404,
    "/asked": 404,
}

#: Nothing of their DAG may be in an answer: its name, its keys, the words of its failure.
THEIRS = ("theirs", "hidden-key", "their-detail", "a-stranger")


def about_one(name: str) -> str:
    """Give the question about the image that failed, as it is put to a user."""
    return seal("describe again", {"user": name, "request": "asked/now", "seen": [[2, "failed", None]], "price": None})


def about_all(name: str) -> str:
    """Give the question about all that failed for its reason."""
    order = {
        "filters": {"reason": "banned", "within": "any"},
        "dag_ids": ["theirs"],
        "shown_at": "2999-01-01T00:00:00+00:00",
        "last_id": 2,
        "images": 1,
    }
    question = {"user": name, "request": "asked/all", "order": order, "price": None}
    return seal("describe all of a filter again", question)


QUESTIONS = {"/describe-again": about_one, "/describe-all-again": about_all}


def routes() -> list[str]:
    """Give the paths of all routes of the app."""
    return sorted({route.path for route in app.routes if isinstance(route, APIRoute)})


@pytest.fixture
def their_batch(table: Database) -> str:
    """A batch of a DAG, with an answer and a failure."""
    with table.writing() as tx:
        rows.open_batch(tx)
        origin = Origin("theirs", "run", "submit", None)
        batch = batches.open_batch(tx, Scope(rows.BUCKET, ("hidden-key",)), BatchOptions(), origin)
        rows.list_images(tx, [rows.listed(f"hidden-key-{name}") for name in "ab"])
        answered, failed = (rows.submit_next(tx, batch, task_id=name) for name in "ab")
        rows.described(tx, answered, rows.four_prompts(), "raw", results.RemoteTimes())
        results.ended(tx, failed, submissions.Reason.BANNED, "their-detail", results.RemoteTimes(), "")
        asked = tx.tables.requests.insert().values(
            request_id="asked/theirs", asked_by="a-stranger", asked_at=tx.now, image_ids=[failed.id]
        )
        tx.connection.execute(asked)
    return batch.batch_id


@pytest.fixture
def ask(api: TestClient, their_batch: str) -> Callable[..., Any]:
    """Ask a route about their batch: ``ask("/batch", headers)``."""

    def answer(route: str, headers: dict[str, str] | None = None, name: str = "somebody") -> Any:
        method, address = ASKED[route]
        address = address.format(batch=their_batch, image=1, failed=2)
        body: dict[str, Any] = {}
        if route in QUESTIONS:
            body = {"data": {"question": QUESTIONS[route](name)}}
        elif method == "POST" and route in ABOUT_REVIEWS:
            body = {"json": ABOUT_REVIEWS[route]}
        elif method == "POST" and route in ABOUT_ACCOUNTS:
            kind = "json" if route.startswith("/api/") else "data"
            body = {kind: {"connection": "midjourney_default", "batch_id": their_batch, "order": "pause"}}
        return api.request(method, f"/midjourney{address}", headers=headers or {}, follow_redirects=False, **body)

    return answer


def test_every_route_is_asked_here() -> None:
    assert sorted((route.path, *route.methods) for route in app.routes if isinstance(route, APIRoute)) == sorted(
        (path, method) for path, (method, _) in ASKED.items()
    )
    assert [route for route in app.routes if not isinstance(route, APIRoute)] == []


@pytest.mark.parametrize("route", routes())
def test_nobody_gets_anything_without_a_login(route: str, ask: Callable[..., Any]) -> None:
    answer = ask(route)

    assert answer.status_code == 401
    assert [word for word in THEIRS[1:] if word in answer.text] == []


@pytest.mark.parametrize("route", routes())
@pytest.mark.parametrize("name", ["somebody", name_of(), name_of(reads="mine", edits="mine")])
def test_who_may_not_see_the_dag_sees_nothing_of_it(
    route: str, name: str, ask: Callable[..., Any], as_user: Callable[..., dict[str, str]]
) -> None:
    answer = ask(route, as_user(None, name), name)

    assert answer.status_code == IN_THE_DARK.get(route, 403)
    if route not in ABOUT_NOTHING:
        assert [word for word in THEIRS if word in answer.text] == []


@pytest.mark.parametrize("address", ["/gallery?", "/failures?reason=banned&", "/again-all?reason=banned&"])
def test_who_may_not_see_a_batch_does_not_learn_which_images_it_counts(
    address: str, their_batch: str, api: TestClient, as_user: Callable[..., dict[str, str]]
) -> None:
    where = f"/midjourney{address}batch={quote(their_batch, safe='')}"

    answers = [api.get(where, headers=as_user(None, name_of(reads=reads))) for reads in ("mine", "mine theirs")]

    assert [answer.status_code for answer in answers] == [403, 200]
    assert [word for word in THEIRS if word in answers[0].text] == []
    assert api.get(where).status_code == 401


@pytest.mark.parametrize(
    "route", sorted(set(routes()) - ABOUT_NOTHING - ABOUT_ACCOUNTS - {"/picture", *QUESTIONS, *ABOUT_REVIEWS})
)
def test_who_may_see_the_dag_sees_it(
    route: str, ask: Callable[..., Any], as_user: Callable[..., dict[str, str]]
) -> None:
    answer = ask(route, as_user(None, name_of(reads="mine theirs")))

    assert answer.status_code == 200
    assert "theirs" in answer.text


def test_every_answer_bears_the_headers(ask: Callable[..., Any], api: TestClient) -> None:
    for answer in (ask("/batch"), api.get("/midjourney/no/such/page")):
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("name", ["../app.py", "..%2fapp.py", "%2e%2e/headers.py", "nothing.css"])
def test_static_files_are_those_of_the_folder_alone(
    name: str, api: TestClient, as_user: Callable[..., dict[str, str]]
) -> None:
    assert api.get(f"/midjourney/static/{name}", headers=as_user("viewer")).status_code == 404
