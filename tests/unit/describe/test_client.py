"""The client against services of every dialect, over a mock transport and, where it matters, a real socket."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_midjourney import __version__
from airflow_midjourney.describe.client import ListingUnsupportedError, MidjourneyClient, TaskListing
from airflow_midjourney.describe.denial import denied_error
from airflow_midjourney.describe.errors import (
    ServiceDeniedError,
    ServiceProtocolError,
    ServiceUnavailableError,
    SettingsError,
)
from airflow_midjourney.describe.outcome import (
    Accepted,
    Ambiguous,
    Denied,
    Refused,
    SubmitOutcome,
    Unavailable,
)
from airflow_midjourney.describe.retrying import ReadRetries
from airflow_midjourney.describe.service import AuthMode, ServiceSettings
from airflow_midjourney.describe.status import BotType
from airflow_midjourney.describe.task import RemoteTask, RemoteTaskStatus

FIXTURES = Path(__file__).parents[2] / "fixtures/protocol"
SUBMIT_ANSWERS: dict[str, Any] = json.loads((FIXTURES / "submit_answers.json").read_text(encoding="utf-8"))
TASKS: dict[str, Any] = json.loads((FIXTURES / "tasks.json").read_text(encoding="utf-8"))
UNKNOWN: dict[str, Any] = json.loads((FIXTURES / "unknown_task_answers.json").read_text(encoding="utf-8"))

# Its backslash is doubled in a repr, so that hiding the key alone would not hide it there.
KEY = "Very\\Hidden"
TASK = TASKS["novicezk_submitted"]["body"]
TASK_ID = TASK["id"]
ACCEPTED = {"code": 1, "description": "提交成功", "result": TASK_ID, "properties": {}}
MODEL_LIMIT = {"error": {"message": "该令牌无权访问模型 ", "type": "new_api_error"}}
NO_CHANNEL = {"error": {"message": "无可用渠道", "type": "new_api_error"}}

Handler = Callable[[httpx.Request], httpx.Response] | Callable[[httpx.Request], Coroutine[None, None, httpx.Response]]


class Service:
    """Answers from a list, the last one for ever, and remembers what it was asked and how long the client waited."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self._answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.waits: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def wait(self, seconds: float) -> None:
        self.waits.append(seconds)


def settings_with(**changes: Any) -> ServiceSettings:
    return ServiceSettings(**{"name": "mj", "base_url": "https://mj.example/mj-fast/mj", "key": KEY, **changes})


def client_of(service: Service | Handler, **changes: Any) -> MidjourneyClient:
    retries = ReadRetries(sleep=service.wait) if isinstance(service, Service) else ReadRetries(attempts=1)
    transport = httpx.MockTransport(service)
    return MidjourneyClient(settings_with(**changes), transport=transport, retries=retries)


async def submit_to(client: MidjourneyClient) -> SubmitOutcome:
    async with client:
        return await client.submit_describe(
            data_uri="data:image/png;base64,AAAA", bot_type=BotType.MID_JOURNEY, state="S-1"
        )


def submit(service: Service | Handler, **changes: Any) -> SubmitOutcome:
    return asyncio.run(submit_to(client_of(service, **changes)))


def ask(service: Service | Handler, question: Callable[[MidjourneyClient], Awaitable[Any]], **changes: Any) -> Any:
    async def run() -> Any:
        async with client_of(service, **changes) as client:
            return await question(client)

    return asyncio.run(run())


def fetch(service: Service | Handler, task_id: str = TASK_ID, **changes: Any) -> RemoteTask | None:
    task: RemoteTask | None = ask(service, lambda client: client.fetch(task_id), **changes)
    return task


def listing(service: Service, *task_ids: str) -> TaskListing:
    found: TaskListing = ask(service, lambda client: client.list_by_condition(task_ids))
    return found


def check(service: Service, **changes: Any) -> None:
    ask(service, lambda client: client.check_access(), **changes)


# --- what is sent -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("auth", "headers"),
    [
        ("bearer", {"authorization": f"Bearer {KEY}", "mj-api-secret": KEY}),
        ("secret", {"mj-api-secret": KEY}),
        ("token", {"authorization": KEY}),
    ],
)
def test_the_key_is_sent_as_the_settings_say(auth: AuthMode, headers: dict[str, str]) -> None:
    service = Service(httpx.Response(200, json=ACCEPTED))
    submit(service, auth=auth)
    sent = service.requests[0].headers
    assert {name: sent[name] for name in ("authorization", "mj-api-secret") if name in sent} == headers


def test_without_a_key_no_header_claims_one() -> None:
    service = Service(httpx.Response(200, json=ACCEPTED))
    submit(service, key="")
    assert not {"authorization", "mj-api-secret"} & set(service.requests[0].headers)


@pytest.mark.parametrize("key", ["Bearer sk-1", "schlüssel", "a\nb"])
def test_a_key_that_no_header_can_hold_is_refused_unquoted(key: str) -> None:
    with pytest.raises(SettingsError) as caught:
        MidjourneyClient(settings_with(key=key))
    assert "'mj'" in str(caught.value)
    assert key not in str(caught.value)


def test_a_line_break_after_the_key_is_not_part_of_it() -> None:
    service = Service(httpx.Response(200, json=ACCEPTED))
    submit(service, key=KEY + "\n", auth="token")
    assert service.requests[0].headers["authorization"] == KEY


def test_the_submit_request() -> None:
    service = Service(httpx.Response(200, json=ACCEPTED))
    assert submit(service) == Accepted(TASK_ID, 1, "提交成功")
    (request,) = service.requests
    assert (request.method, str(request.url)) == ("POST", "https://mj.example/mj-fast/mj/submit/describe")
    assert request.headers["user-agent"] == f"airflow-provider-midjourney/{__version__}"
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.content) == {
        "botType": "MID_JOURNEY",
        "base64": "data:image/png;base64,AAAA",
        "state": "S-1",
    }


def test_the_hook_is_sent_only_when_there_is_one() -> None:
    service = Service(httpx.Response(200, json=ACCEPTED))
    submit(service, notify_url="https://airflow.example/hook")
    assert json.loads(service.requests[0].content)["notifyHook"] == "https://airflow.example/hook"


# --- what a submit comes to -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SUBMIT_ANSWERS)
def test_a_submit_is_one_request_whatever_comes_back(name: str) -> None:
    entry = SUBMIT_ANSWERS[name]
    body = entry["text"] if "text" in entry else json.dumps(entry["body"], ensure_ascii=False)
    service = Service(httpx.Response(entry["status"], headers=entry["headers"], content=body.encode()))
    assert type(submit(service)).__name__ == entry["outcome"]
    assert len(service.requests) == 1
    assert service.waits == []


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (httpx.ConnectError("All connection attempts failed"), Unavailable),
        (httpx.ConnectTimeout(""), Unavailable),
        (httpx.PoolTimeout(""), Unavailable),
        (httpx.ProxyError("407"), Unavailable),
        (httpx.ReadTimeout(""), Ambiguous),
        (httpx.WriteTimeout(""), Ambiguous),
        (httpx.ReadError(""), Ambiguous),
        (httpx.WriteError(""), Ambiguous),
        (httpx.RemoteProtocolError("Server disconnected"), Ambiguous),
        (httpx.DecodingError("bad gzip"), Ambiguous),
        (OSError("broken"), Ambiguous),
    ],
)
def test_a_submit_without_an_answer(error: Exception, outcome: type) -> None:
    service = Service(error)
    result = submit(service)
    assert type(result) is outcome
    assert len(service.requests) == 1
    assert type(error).__name__ in result.description


def test_the_whole_submit_has_one_deadline() -> None:
    async def drip() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.01)

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=drip())

    result = submit(answer, timeout=0.1)
    assert isinstance(result, Ambiguous)
    assert "0.1 s" in result.description


def test_a_cancelled_submit_is_cancelled() -> None:
    started = asyncio.Event()

    async def hang(request: httpx.Request) -> httpx.Response:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError("woken without a reason")

    async def run() -> None:
        submitting = asyncio.create_task(submit_to(client_of(hang)))
        await started.wait()
        submitting.cancel()
        await submitting

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(run())


def test_a_submit_answer_is_read_up_to_a_limit() -> None:
    padded = json.dumps({**ACCEPTED, "padding": "x" * 2_000_000}).encode()
    assert isinstance(submit(Service(httpx.Response(200, content=padded))), Ambiguous)
    assert isinstance(submit(Service(httpx.Response(401, content=padded))), Denied | Accepted)


def test_an_image_too_large_for_the_server() -> None:
    assert isinstance(submit(Service(httpx.Response(413))), Refused)


def test_a_redirected_submit_is_not_followed() -> None:
    service = Service(httpx.Response(307, headers={"Location": "https://elsewhere.example/"}))
    result = submit(service)
    assert isinstance(result, Unavailable)
    assert "host" in result.description
    assert len(service.requests) == 1


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
    assert len(service.requests) == 1


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


# --- lists ------------------------------------------------------------------------------------------------------


def task_json(task_id: object, **changes: object) -> dict[str, object]:
    return {**TASK, "id": task_id, **changes}


def test_tasks_are_joined_by_id_whatever_their_order() -> None:
    items = [task_json("3"), task_json("9"), task_json("1")]
    service = Service(httpx.Response(200, json=items))
    found = listing(service, "1", "2", "3", "1")
    assert set(found.tasks) == {"1", "3"}
    assert found.malformed == 0
    assert json.loads(service.requests[0].content) == {"ids": ["1", "2", "3"]}
    assert service.requests[0].url.path == "/mj-fast/mj/task/list-by-condition"


def test_a_malformed_item_does_not_spoil_the_others() -> None:
    items = [task_json("1"), {"id": None}, "?", task_json("2", status=[]), task_json("3", state=5)]
    found = listing(Service(httpx.Response(200, json=items)), "1", "2", "3")
    assert set(found.tasks) == {"1", "3"}
    assert found.malformed == 3


def test_of_two_items_with_one_id_the_ended_one_counts() -> None:
    items = [task_json("1"), task_json("1", status="SUCCESS"), task_json("1", status="SUBMITTED")]
    found = listing(Service(httpx.Response(200, json=items)), "1")
    assert found.tasks["1"].status is RemoteTaskStatus.SUCCESS


def test_a_hundred_ids_a_request() -> None:
    ids = [str(number) for number in range(250)]
    service = Service(httpx.Response(200, json=[task_json("0")]), httpx.Response(200, json=[task_json("249")]))
    found = listing(service, *ids)
    assert [len(json.loads(request.content)["ids"]) for request in service.requests] == [100, 100, 50]
    assert set(found.tasks) == {"0", "249"}


def test_no_ids_no_request() -> None:
    service = Service(httpx.Response(500))
    assert listing(service) == TaskListing({})
    assert service.requests == []


@pytest.mark.parametrize("body", [b"[]", b"null"])
def test_an_empty_list(body: bytes) -> None:
    assert listing(Service(httpx.Response(200, content=body)), "1") == TaskListing({})


@pytest.mark.parametrize("body", [b"", b"{}", b"[", b'"x"'])
def test_no_list_is_an_error_and_not_an_absence(body: bytes) -> None:
    with pytest.raises(ServiceProtocolError) as caught:
        listing(Service(httpx.Response(200, content=body)), "1")
    assert not isinstance(caught.value, ListingUnsupportedError)


MISSING_ROUTES = [
    httpx.Response(404, json={"status": 404, "error": "Not Found"}),
    httpx.Response(405),
    httpx.Response(200, content=b"<!doctype html><title>New API</title>"),
]


@pytest.mark.parametrize("answer", MISSING_ROUTES)
def test_a_service_without_lists(answer: httpx.Response) -> None:
    with pytest.raises(ListingUnsupportedError):
        listing(Service(answer), "1")
    with pytest.raises(ListingUnsupportedError):
        ask(Service(answer), lambda client: client.list_all())


def test_all_tasks_are_listed_in_their_order() -> None:
    service = Service(httpx.Response(200, json=[task_json("2"), task_json("1")]))
    tasks = ask(service, lambda client: client.list_all())
    assert [task.id for task in tasks] == ["2", "1"]
    assert service.requests[0].url.path == "/mj-fast/mj/task/list"


def test_a_list_of_all_tasks_is_whole_or_an_error() -> None:
    with pytest.raises(ServiceProtocolError, match="1 items"):
        ask(Service(httpx.Response(200, json=[task_json("2"), {}])), lambda client: client.list_all())


def test_a_list_may_be_compressed() -> None:
    body = gzip.compress(json.dumps([task_json("1")]).encode())
    service = Service(httpx.Response(200, headers={"Content-Encoding": "gzip"}, content=body))
    assert set(listing(service, "1").tasks) == {"1"}


# --- the access check -------------------------------------------------------------------------------------------


def test_access_is_proven_by_a_list_of_nothing() -> None:
    service = Service(httpx.Response(200, json=[]))
    check(service)
    (request,) = service.requests
    assert json.loads(request.content) == {"ids": []}


@pytest.mark.parametrize("missing", MISSING_ROUTES)
def test_access_is_proven_by_a_fetch_where_there_are_no_lists(missing: httpx.Response) -> None:
    service = Service(missing, httpx.Response(400, json=UNKNOWN["new-api"]["body"]))
    check(service)
    assert [request.method for request in service.requests] == ["POST", "GET"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (httpx.Response(401), ["'mj'", "midjourney-proxy itself", "'secret'", "'token'"]),
        (httpx.Response(401, text="Authorization header missing."), ["header missing", "'secret'", "'token'"]),
        (httpx.Response(403, json=MODEL_LIMIT), ["'mj'", "without model limits"]),
        (httpx.Response(403, content=b"<!DOCTYPE html><html>"), ["firewall"]),
        (httpx.Response(403, text="账号不可用"), ["账号不可用", "operator"]),
        (httpx.Response(402), ["credit"]),
        (httpx.Response(401, json={"error": {"message": "该令牌额度已用尽"}}), ["credit"]),
    ],
)
def test_a_refused_key_is_explained(answer: httpx.Response, words: list[str]) -> None:
    with pytest.raises(ServiceDeniedError) as caught:
        check(Service(answer))
    assert all(word in str(caught.value) for word in words)
    assert caught.value.http_status == answer.status_code


@pytest.mark.parametrize("auth", ["bearer", "secret", "token"])
def test_a_401_names_the_other_ways_to_send_the_key(auth: AuthMode) -> None:
    with pytest.raises(ServiceDeniedError) as caught:
        check(Service(httpx.Response(401, text="no")), auth=auth)
    offered = str(caught.value).partition("'auth' may be")[2]
    assert [mode for mode in ("bearer", "secret", "token") if f"'{mode}'" in offered] == [
        mode for mode in ("bearer", "secret", "token") if mode != auth
    ]


def test_a_submit_refused_for_all_images_is_explained() -> None:
    outcome = submit(Service(httpx.Response(200, json={"code": 4, "description": "禁止上传"})))
    assert isinstance(outcome, Denied)
    assert "uploads" in str(denied_error(outcome, settings_with()))


def test_no_channel_is_not_a_refused_key() -> None:
    with pytest.raises(ServiceUnavailableError, match="无可用渠道"):
        check(Service(httpx.Response(503, json=NO_CHANNEL)))


@pytest.mark.parametrize("answer", [httpx.Response(404), httpx.Response(200, content=b"<html>")])
def test_a_host_that_is_no_such_service(answer: httpx.Response) -> None:
    with pytest.raises(ServiceProtocolError, match="host"):
        check(Service(answer))


def test_a_redirect_says_which_field_to_mend() -> None:
    with pytest.raises(ServiceProtocolError, match="host of the connection"):
        check(Service(httpx.Response(301, headers={"Location": "https://b.example"})))


# --- the key stays in --------------------------------------------------------------------------------------------


def test_the_key_is_in_no_repr() -> None:
    client = client_of(Service(httpx.Response(200)))
    assert "Hidden" not in repr(client) + repr(settings_with()) + repr(vars(client))


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(401, json={"error": {"message": f"unknown key {KEY} [sk-Ver***Key]"}}),
        httpx.Response(500, text=f"Illegal header: {KEY}"),
        httpx.Response(400, json={"description": f"Bearer {KEY}", "type": "upstream_error"}),
        httpx.LocalProtocolError(f"Illegal header value {KEY.encode()!r}"),
        httpx.ConnectError(f"cannot reach {KEY}"),
    ],
)
def test_no_error_repeats_the_key(answer: httpx.Response | Exception, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    outcome = submit(Service(answer))
    with pytest.raises((ServiceDeniedError, ServiceUnavailableError)) as caught:
        check(Service(answer))
    shown = "".join(traceback.format_exception(caught.value))
    assert "Hidden" not in shown + repr(outcome) + caplog.text
    assert "sk-Ver" not in shown + repr(outcome)


@asynccontextmanager
async def raw_server(answer: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Serve one raw answer on a real socket; without one, reset the connection after the request has come."""
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        received.append(head)
        if answer:
            writer.write(answer)
            await writer.drain()
        else:
            writer.transport.abort()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/mj", received
    finally:
        server.close()


def submit_over_a_socket(answer: bytes) -> tuple[SubmitOutcome, list[bytes]]:
    async def run() -> tuple[SubmitOutcome, list[bytes]]:
        async with raw_server(answer) as (base_url, received):
            return await submit_to(MidjourneyClient(settings_with(base_url=base_url))), received

    return asyncio.run(run())


def test_over_a_socket_the_key_is_sent_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    body = json.dumps(ACCEPTED).encode()
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body)
    outcome, received = submit_over_a_socket(answer)
    assert isinstance(outcome, Accepted)
    assert KEY.encode() in received[0]
    assert "send_request_headers" in caplog.text
    assert "Hidden" not in caplog.text


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\nConnection: close\r\n\r\n{",
        b"gibberish\r\n\r\n",
    ],
)
def test_a_connection_that_breaks_after_the_request_is_ambiguous(answer: bytes) -> None:
    outcome, received = submit_over_a_socket(answer)
    assert isinstance(outcome, Ambiguous)
    assert len(received) == 1


def test_nobody_listening_is_surely_not_billed() -> None:
    async def run() -> SubmitOutcome:
        async with raw_server(b"") as (base_url, _):
            pass
        return await submit_to(MidjourneyClient(settings_with(base_url=base_url)))

    assert isinstance(asyncio.run(run()), Unavailable)


def test_a_missing_ca_bundle_is_a_settings_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="verify"):
        MidjourneyClient(settings_with(verify=str(tmp_path / "none.pem")))
