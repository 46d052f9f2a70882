"""What a submit sends, and what it comes to."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import httpx
import pytest

from airflow_midjourney import __version__
from airflow_midjourney.describe.model.errors import SettingsError
from airflow_midjourney.describe.model.status import BotType
from airflow_midjourney.describe.service.client import MidjourneyClient
from airflow_midjourney.describe.service.submit_response import Accepted, Ambiguous, Denied, Refused, Unavailable
from tests.support.remote import (
    ACCEPTED,
    KEY,
    SUBMIT_ANSWERS,
    TASK_ID,
    Service,
    ask,
    client_of,
    settings_with,
    submit,
    submit_to,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_midjourney.describe.service.settings import AuthMode

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


@pytest.mark.parametrize("text", ['"\\/\x00\x1f\x7f', "für 图", "\ud83d", "\U0001f600\u2028"])
def test_any_text_arrives_as_it_was_sent(text: str) -> None:
    service = Service(httpx.Response(200, json=ACCEPTED))
    sent = {"data_uri": f"data:image/png;base64,{text}", "bot_type": BotType.MID_JOURNEY, "state": text}
    outcome = ask(service, lambda client: client.submit_describe(**sent))
    assert isinstance(outcome, Accepted)
    received = json.loads(service.requests[0].content)
    assert received == {"base64": sent["data_uri"], "botType": "MID_JOURNEY", "state": text}


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
    assert submit(service) == Accepted(TASK_ID, 200, 1, "提交成功")
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
