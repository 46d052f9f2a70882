"""A process that was frozen between its claim and its POST, or whose machine slept, sends nothing late."""

from __future__ import annotations

import asyncio
import json
import math
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from airflow_midjourney.describe.model.clock import awake_or_asleep
from airflow_midjourney.describe.model.status import BotType
from airflow_midjourney.describe.service import transport
from airflow_midjourney.describe.service.client import MidjourneyClient
from airflow_midjourney.describe.service.settings import ServiceSettings
from airflow_midjourney.describe.service.submit_response import Accepted, HeldBack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_midjourney.describe.service.submit_response import SubmitOutcome

ANSWER = b'{"code":1,"description":"","result":"0123456789012345"}'
DATA_URI = "data:image/png;base64," + "A" * 300_000


@dataclass
class Service:
    """A server that takes a submission once it is whole, and bills it."""

    port: int = 0
    bodies: list[bytes] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    cut: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next(
                int(line.split(":")[1]) for line in head.splitlines() if line.lower().startswith("content-le")
            )
            self.bodies.append(await reader.readexactly(length))
            self.heads.append(head.lower())
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(ANSWER), ANSWER))
            await writer.drain()
        except asyncio.IncompleteReadError:
            self.cut += 1
        finally:
            writer.close()


@asynccontextmanager
async def running() -> AsyncIterator[Service]:
    service = Service()
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0)
    service.port = server.sockets[0].getsockname()[1]
    async with server:
        yield service


def submit(complete_before: float) -> tuple[Service, SubmitOutcome]:
    async def send() -> tuple[Service, SubmitOutcome]:
        async with running() as service:
            settings = ServiceSettings(name="mj", base_url=f"http://127.0.0.1:{service.port}/mj", key="", timeout=60)
            async with MidjourneyClient(settings) as client:
                outcome = await client.submit_describe(
                    data_uri=DATA_URI, bot_type=BotType.MID_JOURNEY, state="token", complete_before=complete_before
                )
            await asyncio.sleep(0.1)
            return service, outcome

    return asyncio.run(send())


@pytest.mark.parametrize("in_time", [60.0, math.inf])
def test_in_time_the_service_gets_the_whole_request(in_time: float) -> None:
    service, outcome = submit(awake_or_asleep() + in_time)

    assert isinstance(outcome, Accepted)
    (body,), (head,) = service.bodies, service.heads
    assert json.loads(body)["base64"] == DATA_URI
    assert "transfer-encoding" not in head


def test_late_it_never_gets_the_end_and_cannot_bill_it() -> None:
    service, outcome = submit(awake_or_asleep() - 1.0)

    assert isinstance(outcome, HeldBack)
    assert (service.bodies, service.cut) == ([], 1)


def test_the_clock_is_looked_at_between_the_first_bytes_and_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    began = awake_or_asleep()
    # The machine falls asleep for an hour while the request is on its way.
    monkeypatch.setattr(transport, "awake_or_asleep", lambda: began + 3600.0)

    service, outcome = submit(began + 120.0)

    assert isinstance(outcome, HeldBack)
    assert (service.bodies, service.cut) == ([], 1)


def test_where_there_is_no_clock_that_runs_during_sleep_the_time_of_day_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(time, "CLOCK_BOOTTIME", raising=False)

    assert abs(awake_or_asleep() - time.time()) < 5.0
