"""Fetching a task, and how reads are repeated."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from airflow_midjourney.describe.model.errors import ServiceDeniedError, ServiceProtocolError, ServiceUnavailableError
from airflow_midjourney.describe.service.client import MidjourneyClient
from airflow_midjourney.describe.service.dialects.dialect import RemoteTaskStatus
from airflow_midjourney.describe.service.transport import ReadRetries
from tests.support.remote import (
    MODEL_LIMIT,
    NO_CHANNEL,
    TASK,
    TASK_ID,
    UNKNOWN,
    Handler,
    Service,
    fetch,
    settings_with,
)

# --- fetch ------------------------------------------------------------------------------------------------------


def test_a_task_is_fetched() -> None:
    service = Service(httpx.Response(200, json=TASK))
    task = fetch(service)
    assert task is not None
    assert (task.id, task.status, task.state) == (TASK_ID, RemoteTaskStatus.SUBMITTED, "my-state")
    assert str(service.requests[0].url) == f"https://mj.example/mj-fast/mj/task/{TASK_ID}/fetch"


@pytest.mark.parametrize("dialect", UNKNOWN)
def test_an_unknown_task_is_none_in_every_dialect(dialect: str) -> None:
    entry = UNKNOWN[dialect]
    body = json.dumps(entry["body"]) if "body" in entry else entry["text"]
    service = Service(httpx.Response(entry["status"], headers=entry["headers"], content=body.encode()))
    assert fetch(service) is None
    assert len(service.requests) == 1


def test_an_id_cannot_leave_its_place_in_the_path() -> None:
    service = Service(httpx.Response(204))
    fetch(service, "../list?x=1#y")
    assert service.requests[0].url.raw_path == b"/mj-fast/mj/task/..%2Flist%3Fx%3D1%23y/fetch"


def test_a_byte_order_mark_and_a_numeric_id_are_read() -> None:
    body = b"\xef\xbb\xbf" + b'{"id":14001929738841621,"status":"SUBMITTED"}'
    task = fetch(Service(httpx.Response(200, content=body)), "14001929738841621")
    assert task is not None
    assert task.id == "14001929738841621"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(200, json={**TASK, "id": "1"}), ServiceProtocolError),
        (httpx.Response(200, json={"status": "SUCCESS"}), ServiceProtocolError),
        (httpx.Response(200, json=[]), ServiceProtocolError),
        (httpx.Response(200, content=b'{"id":"17542'), ServiceProtocolError),
        (httpx.Response(200, content=b"<html></html>"), ServiceProtocolError),
        (httpx.Response(200, content=b"x" * 5_000_000), ServiceProtocolError),
        (httpx.Response(301, headers={"Location": "https://b.example"}), ServiceProtocolError),
        (httpx.Response(404, json={"error": "Not Found"}), ServiceProtocolError),
        (httpx.Response(418), ServiceProtocolError),
        (httpx.Response(200, json={"success": False, "message": "操作失败"}), ServiceUnavailableError),
        (
            httpx.Response(400, json={"code": 4, "description": "db ", "type": "upstream_error"}),
            ServiceUnavailableError,
        ),
        (httpx.Response(401), ServiceDeniedError),
        (httpx.Response(402), ServiceDeniedError),
        (httpx.Response(403, json=MODEL_LIMIT), ServiceDeniedError),
    ],
)
def test_what_is_no_task_is_a_typed_error_at_once(answer: httpx.Response, error: type[Exception]) -> None:
    service = Service(answer)
    with pytest.raises(error) as caught:
        fetch(service)
    assert type(caught.value) is error
    assert "'mj'" in str(caught.value)
    paths = [request.url.path for request in service.requests]
    assert len(paths) == len(set(paths)), "no request is repeated"


def by_route(fetched: httpx.Response, listed: httpx.Response) -> Handler:
    """Give a service that answers each of its two reads in its own way."""
    return lambda request: fetched if request.url.path.endswith("/fetch") else listed


REFUSED = [
    httpx.Response(403, json={"description": "forbidden"}),
    httpx.Response(401),
    httpx.Response(500, json={"error": "Internal Server Error"}),
    httpx.Response(501, content=b"<html></html>"),
    httpx.Response(302, headers={"Location": "/login"}),
    httpx.Response(200, content=b"<html></html>"),
    httpx.Response(200, json={"success": False, "message": "no"}),
    httpx.Response(200, json={**TASK, "id": "another"}),
]


@pytest.mark.parametrize("refusal", REFUSED)
def test_where_fetches_alone_are_refused_the_list_by_ids_is_asked(refusal: httpx.Response) -> None:
    task = fetch(by_route(refusal, httpx.Response(200, json=[TASK])))
    assert task is not None
    assert task.id == TASK_ID
    assert fetch(by_route(refusal, httpx.Response(200, json=[]))) is None


def test_a_list_by_ids_that_cannot_be_read_says_nothing_about_a_task() -> None:
    with pytest.raises(ServiceDeniedError):
        fetch(by_route(httpx.Response(403), httpx.Response(200, json=["?"])))
    with pytest.raises(ServiceDeniedError):
        fetch(by_route(httpx.Response(403), httpx.Response(404)))


# --- how reads are repeated -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.Response(429),
        httpx.Response(500),
        httpx.Response(502, content=b"<html></html>"),
        httpx.Response(503, json=NO_CHANNEL),
        httpx.ReadTimeout(""),
        httpx.ConnectError(""),
        httpx.RemoteProtocolError(""),
    ],
)
def test_a_read_is_repeated_after_passing_trouble(trouble: httpx.Response | Exception) -> None:
    service = Service(trouble, trouble, httpx.Response(200, json=TASK))
    task = fetch(service)
    assert task is not None
    assert len(service.requests) == 3
    assert 0 < service.waits[0] < service.waits[1]


def test_a_read_gives_up_after_a_few_attempts() -> None:
    service = Service(httpx.Response(503, json=NO_CHANNEL))
    with pytest.raises(ServiceUnavailableError) as caught:
        fetch(service)
    assert caught.value.retry_helps
    assert caught.value.http_status == 503
    assert caught.value.task_id == TASK_ID
    assert len(service.requests) == ReadRetries().attempts
    assert len(service.waits) == ReadRetries().attempts - 1


def test_a_read_waits_as_long_as_the_service_asks() -> None:
    service = Service(httpx.Response(429, headers={"Retry-After": "17"}), httpx.Response(200, json=TASK))
    fetch(service)
    assert service.waits == [17.0]


def test_a_service_that_asks_for_a_long_rest_gets_it() -> None:
    service = Service(httpx.Response(429, headers={"Retry-After": "3600"}))
    with pytest.raises(ServiceUnavailableError):
        fetch(service)
    assert len(service.requests) == 1


def test_a_read_has_a_deadline_too() -> None:
    async def hang(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError("woken without a reason")

    with pytest.raises(ServiceUnavailableError, match=r"0\.05 s"):
        fetch(hang, timeout=0.05)


def test_a_cancelled_read_is_cancelled_and_not_repeated() -> None:
    requests: list[httpx.Request] = []

    async def hang(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        await asyncio.Event().wait()
        raise AssertionError("woken without a reason")

    async def run() -> None:
        async with MidjourneyClient(settings_with(), transport=httpx.MockTransport(hang)) as client:
            fetching = asyncio.create_task(client.fetch(TASK_ID))
            while not requests:
                await asyncio.sleep(0)
            fetching.cancel()
            await fetching

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(run())
    assert len(requests) == 1
