"""The simulator answers as the real servers did: every captured request is sent to it, and the answers are compared."""

from __future__ import annotations

import json
import re
import time
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from simulator_client import SimulatorClient, data_uri, picture

from airflow_midjourney.testing.simulator.catalogue import CATALOGUE

if TYPE_CHECKING:
    import httpx
    from conftest import Running

CAPTURES: Final = Path(__file__).parents[1] / "fixtures/captures"
KEY: Final = "sk-akeyoftests"

#: The build of novicezk that was captured, alone and behind the gateways.
BUILD: Final = "start_handler_first"


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.jsonl")), ids=lambda path: path.stem)
def test_the_simulator_answers_as_the_server_did(simulate: Running, path: Path) -> None:
    # Each state lasts for seconds: a busy machine still looks at a task in every state that it was captured in.
    client = simulate(path.stem, key=KEY, latency=6.0, slots=20, poll_interval=4.0)
    replay = Replay(client, always=[BUILD] if path.stem in CATALOGUE[BUILD].dialects else [])
    differences = [
        f"{exchange['label']}: {difference}"
        for exchange in map(json.loads, path.read_text(encoding="utf-8").splitlines())
        for difference in replay.differences(exchange)
    ]
    assert differences == []


class Replay:
    """Sends captured requests with the simulator's own ids, key and images in them."""

    def __init__(self, client: SimulatorClient, *, always: list[str]) -> None:
        self._client = client
        self._always = always
        self._ids: dict[str, str] = {}
        self._pictures = count()

    def differences(self, exchange: dict[str, Any]) -> list[str]:
        self._client.sim.set_scenarios([*self._always, *exchange.get("playing", [])])
        real = exchange["response"]
        answer = self._send_until_it_is(exchange["request"], _statuses_in(real["body"]))
        self._remember(_json(real["body"]), _json(answer.text))
        return [
            f"{what} {ours!r}, not {theirs!r}"
            for what, ours, theirs in (
                ("status", answer.status_code, real["status"]),
                ("type", answer.headers.get("content-type", ""), real["content_type"]),
                ("body", shape_of(answer.text), shape_of(real["body"])),
                ("code", code_of(answer.text), code_of(real["body"])),
            )
            if ours != theirs
        ]

    def _remember(self, theirs: Any, ours: Any) -> None:
        if isinstance(theirs, dict) and isinstance(ours, dict) and theirs.get("result"):
            self._ids[theirs["result"]] = str(ours.get("result"))

    def _send_until_it_is(self, request: dict[str, Any], statuses: list[str]) -> httpx.Response:
        """Send a request again until the task that it asks for has come as far as the one that was captured."""
        deadline = time.monotonic() + 60
        while True:
            answer = self._send(request)
            if _statuses_in(answer.text) == statuses or time.monotonic() > deadline:
                return answer
            time.sleep(0.02)

    def _send(self, request: dict[str, Any]) -> httpx.Response:
        return self._client.http.request(
            request["method"],
            f"{self._client.sim.root}{self._with_our_ids(request['path'])}",
            content=self._body(request["body"]),
            headers={name: value.replace("<KEY>", KEY) for name, value in request["headers"].items()},
        )

    def _body(self, body: str) -> bytes:
        fresh = data_uri(picture(next(self._pictures))).partition(",")[2]
        return self._with_our_ids(body.replace("<IMAGE>", fresh)).encode()

    def _with_our_ids(self, text: str) -> str:
        return re.sub(r"[0-9]{16}", lambda match: self._ids.get(match[0], match[0]), text)


def _statuses_in(body: str) -> list[str]:
    """Give the states of all tasks in a body."""
    data = _json(body)
    return [
        each["status"]
        for each in (data if isinstance(data, list) else [data])
        if isinstance(each, dict) and "id" in each
    ]


def code_of(body: str) -> Any:
    """Give what a client decides by: codes, types, and the description without its numbers."""
    data = _json(body)
    if not isinstance(data, dict):
        return None
    error = data.get("error")
    details = error if isinstance(error, dict) else {}
    said = re.sub(r"[0-9]+", "…", data.get("description") or "") if "code" in data else ""
    return [data.get("code"), data.get("type"), said, details.get("code"), details.get("type")]


def shape_of(body: str) -> Any:
    """Give the keys and types of JSON, and of anything else what it is."""
    if not body:
        return "empty"
    if body.startswith("<"):
        return "web page"
    return _shape(_json(body))


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _shape(each) for name, each in sorted(value.items())}
    if isinstance(value, list):
        return [_shape(each) for each in value]
    return type(value).__name__


def _json(body: str) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
