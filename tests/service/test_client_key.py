"""The key stays in: in no error and no log, over a mock transport and a real socket."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import re
import traceback
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import unquote

import httpx
import pytest

from airflow_midjourney.describe.model.errors import ServiceDeniedError, ServiceUnavailableError, SettingsError
from airflow_midjourney.describe.service.client import MidjourneyClient
from airflow_midjourney.describe.service.submit_response import Accepted, Ambiguous, SubmitOutcome, Unavailable
from tests.support.remote import (
    ACCEPTED,
    KEY,
    Service,
    check,
    client_of,
    settings_with,
    submit,
    submit_to,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


def test_the_key_is_in_no_repr() -> None:
    client = client_of(Service(httpx.Response(200)))
    assert "Hidden" not in repr(client) + repr(settings_with()) + repr(vars(client))


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(401, json={"error": {"message": f"unknown key {KEY} [sk-Ver***Key]"}}),
        httpx.Response(500, text=f"Illegal header: {KEY}"),
        httpx.Response(400, json={"description": f"Bearer {KEY}", "type": "upstream_error"}),
        httpx.Response(401, json={"description": f"unknown key {KEY.upper()}"}),
        httpx.Response(403, text=f"<p>{KEY.lower()}"),
        httpx.Response(500, text=f"at /mj?key={''.join(f'%{ord(letter):02X}' for letter in KEY)}"),
        httpx.Response(401, json={"message": "Basic " + base64.b64encode(f"mj:{KEY}".encode()).decode()}),
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
    told = shown + repr(outcome) + caplog.text
    decoded = "".join(
        base64.b64decode(word[start:] + "===").decode("utf-8", "ignore")
        for word in re.findall(r"[A-Za-z0-9+/]{8,}", told)
        for start in range(4)
        if len(word[start:]) % 4 != 1
    )
    assert "hidden" not in (told + unquote(told) + decoded).lower()
    assert "sk-ver" not in told.lower()


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
