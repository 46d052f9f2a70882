"""Lists of tasks, and the free read that proves access."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx
import pytest

from airflow_midjourney.describe.model.errors import ServiceDeniedError, ServiceProtocolError, ServiceUnavailableError
from airflow_midjourney.describe.service.client import ListingUnsupportedError, TaskListing
from airflow_midjourney.describe.service.dialects.dialect import RemoteTaskStatus
from airflow_midjourney.describe.service.read_response import denied_error
from airflow_midjourney.describe.service.submit_response import Denied
from tests.support.remote import (
    MODEL_LIMIT,
    NO_CHANNEL,
    TASK,
    UNKNOWN,
    Service,
    ask,
    check,
    list_all,
    listing,
    settings_with,
    submit,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_midjourney.describe.service.settings import AuthMode
    from airflow_midjourney.describe.service.tasks import RemoteTask

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
    assert "Check the host" in str(caught.value)


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
        ask(
            lambda request: httpx.Response(204) if request.method == "GET" and "fetch" in request.url.path else answer,
            list_all,
        )


@pytest.mark.parametrize("answer", MISSING_ROUTES)
def test_a_server_that_knows_no_path_at_all_says_nothing_about_a_list(answer: httpx.Response) -> None:
    with pytest.raises(ServiceProtocolError) as caught:
        ask(Service(answer), list_all)
    assert not isinstance(caught.value, ListingUnsupportedError)


REFUSED_LISTS = [
    httpx.Response(403, json={"description": "forbidden"}),
    httpx.Response(401),
    httpx.Response(500, json={"error": "Internal Server Error"}),
    httpx.Response(501, content=b"<html></html>"),
    httpx.Response(302, headers={"Location": "/login"}),
    httpx.Response(410),
    httpx.Response(200, json={"code": 1, "data": [TASK]}),
    httpx.Response(200, json={"success": False, "message": "no"}),
]


@pytest.mark.parametrize("refusal", REFUSED_LISTS)
@pytest.mark.parametrize("dialect", UNKNOWN)
def test_a_list_by_ids_that_alone_is_refused_or_fails_is_none_and_the_key_may_read(
    refusal: httpx.Response, dialect: str
) -> None:
    entry = UNKNOWN[dialect]
    body = json.dumps(entry["body"]) if "body" in entry else entry["text"]
    unknown = httpx.Response(entry["status"], headers=entry["headers"], content=body.encode())

    def service(request: httpx.Request) -> httpx.Response:
        return unknown if request.url.path.endswith("/fetch") else refusal

    with pytest.raises(ListingUnsupportedError):
        ask(service, lambda client: client.list_by_condition(["1"]))
    ask(service, lambda client: client.check_access())


@pytest.mark.parametrize("status", [200, 204])
def test_a_server_that_answers_everything_with_nothing_is_no_service(status: int) -> None:
    with pytest.raises(ServiceProtocolError) as caught:
        check(Service(httpx.Response(status)))
    assert not isinstance(caught.value, ListingUnsupportedError)


def test_all_tasks_are_listed_in_their_order() -> None:
    service = Service(httpx.Response(200, json=[task_json("2"), task_json("1")]))
    tasks = ask(service, list_all)
    assert [task.id for task in tasks] == ["2", "1"]
    assert service.requests[0].url.path == "/mj-fast/mj/task/list"


@pytest.mark.parametrize(
    ("said", "moment"),
    [
        ("Mon, 30 Nov 2026 12:00:00 GMT", datetime(2026, 11, 30, 12, tzinfo=UTC)),
        ("Mon, 30 Nov 2026 14:00:00 +0200", datetime(2026, 11, 30, 12, tzinfo=UTC)),
        ("Mon, 30 Nov 2026 12:00:00", datetime(2026, 11, 30, 12, tzinfo=UTC)),
        ("Mon, 30 Nov 2026 12:00:00 -0000", datetime(2026, 11, 30, 12, tzinfo=UTC)),
        ("Monday, 30-Nov-26 12:00:00 GMT", datetime(2026, 11, 30, 12, tzinfo=UTC)),
        ("Mon Nov 30 12:00:00 2026", datetime(2026, 11, 30, 12, tzinfo=UTC)),
        ("Sun Nov  6 08:49:37 1994", datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)),
        ("", None),
        ("tomorrow", None),
        (None, None),
    ],
)
def test_a_list_says_what_time_it_is_by_the_services_clock(said: str | None, moment: datetime | None) -> None:
    answer = httpx.Response(200, json=[task_json("1")], headers={} if said is None else {"Date": said})
    assert ask(Service(answer), lambda client: client.search_list(lambda _: False)) == moment


def test_a_list_of_all_tasks_is_whole_or_an_error() -> None:
    with pytest.raises(ServiceProtocolError, match="1 items"):
        ask(Service(httpx.Response(200, json=[task_json("2"), {}])), list_all)


@pytest.mark.parametrize("status", [401, 403])
def test_a_list_that_is_refused_while_other_reads_work_is_no_list(status: int) -> None:
    service = Service(httpx.Response(status, json=MODEL_LIMIT), httpx.Response(200, json=[]))
    with pytest.raises(ListingUnsupportedError, match=f"HTTP {status}"):
        ask(service, list_all)
    assert [request.url.path.rpartition("/")[2] for request in service.requests] == ["list", "list-by-condition"]


@pytest.mark.parametrize("answer", [httpx.Response(502), httpx.ReadTimeout("slow"), httpx.ReadError("cut")])
def test_a_list_that_fails_while_other_reads_work_cannot_be_read(answer: httpx.Response | Exception) -> None:
    service = Service(answer, httpx.Response(200, json=[]))
    with pytest.raises(ServiceProtocolError, match="at its list of tasks alone") as caught:
        ask(service, list_all)
    assert not isinstance(caught.value, ListingUnsupportedError)
    assert len(service.requests) == 2


def test_a_key_that_may_read_nothing_is_refused_for_the_run() -> None:
    with pytest.raises(ServiceDeniedError):
        ask(Service(httpx.Response(401)), list_all)


def test_a_service_that_answers_nothing_is_unavailable() -> None:
    with pytest.raises(ServiceUnavailableError):
        ask(Service(httpx.Response(502)), list_all)


class Slowly(httpx.AsyncByteStream):
    """A body that counts how much of it was wanted."""

    def __init__(self, body: bytes, size: int) -> None:
        self.parts = [body[at : at + size] for at in range(0, len(body), size)]
        self.sent = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self.parts:
            self.sent += 1
            yield part


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_list_is_read_in_whatever_parts_it_comes(size: int) -> None:
    written = json.dumps([task_json(str(number), state="日本") for number in range(5)], ensure_ascii=False, indent=1)
    service = Service(httpx.Response(200, stream=Slowly(b"\xef\xbb\xbf " + written.encode() + b"\n", size)))

    tasks = ask(service, list_all)

    assert [(task.id, task.state) for task in tasks] == [(str(number), "日本") for number in range(5)]


def test_the_rest_of_a_list_is_left_when_enough_was_seen() -> None:
    body = Slowly(json.dumps([task_json(str(number)) for number in range(1000)]).encode(), 4096)

    ask(Service(httpx.Response(200, stream=body)), lambda client: client.search_list(lambda task: task.id == "7"))

    assert body.sent < 10 < len(body.parts)


def test_a_long_list_is_never_held_as_a_whole() -> None:
    one = json.dumps(task_json("1", prompt="x" * 10_000)).encode()
    body = Slowly(b"[" + b",".join([one] * 3000) + b"]", 65_536)
    seen = []

    def look(task: RemoteTask) -> bool:
        seen.append(task.id)
        return False

    tracemalloc.start()
    ask(Service(httpx.Response(200, stream=body)), lambda client: client.search_list(look))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(seen) == 3000
    # The list is 30 MB long. 9 MB were measured; Pythons and parsers differ.
    assert peak < 15_000_000


@pytest.mark.parametrize("body", [b"[", b'[{"id":', b"[1,", b"[nonsense]"])
def test_a_list_that_breaks_off_is_an_error_and_not_an_absence(body: bytes) -> None:
    with pytest.raises(ServiceProtocolError, match=r"to its end|no tasks"):
        ask(Service(httpx.Response(200, content=body)), list_all)


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
