"""Whatever is sent, the simulator answers as the service would and goes on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simulator_client import SimulatorClient, data_uri

if TYPE_CHECKING:
    from conftest import Running

DIALECTS = ("novicezk", "trueai", "new-api")
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner))
STRINGS = st.sampled_from(
    ["", "data:,", "data:image/png;base64,YWJj", "https://\ud800", "data:image/png,\udfff", "YWJj"]
)
BODIES = st.dictionaries(
    st.sampled_from(["base64", "link", "state", "notifyHook", "botType", "language", "ids", "accountFilter"]),
    VALUES | STRINGS,
)
QUICKLY = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
JSON = {"content-type": "application/json"}


def goes_on(client: SimulatorClient) -> bool:
    return client.http.get(f"{client.sim.root}/_simulator/counters").status_code == 200


@pytest.mark.parametrize("dialect", DIALECTS)
def test_any_json_is_answered(simulate: Running, dialect: str) -> None:
    client = simulate(dialect, latency=0.0)

    @QUICKLY
    @given(body=BODIES | VALUES)
    def ask(body: Any) -> None:
        content = json.dumps(body)
        submit = client.http.post("/submit/describe", content=content, headers=JSON)
        # A data URI without a comma is the one thing that crashes a service.
        crashed = isinstance(body, dict) and str(body.get("base64")).startswith("data:")
        assert submit.status_code in ({200, 400, 500} if crashed else {200, 400})
        assert submit.json()
        listed = client.http.post("/task/list-by-condition", content=content, headers=JSON)
        assert listed.status_code in {200, 400}
        assert goes_on(client)

    ask()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_any_bytes_are_answered(simulate: Running, dialect: str) -> None:
    client = simulate(dialect, latency=0.0)

    @QUICKLY
    @given(body=st.binary(max_size=50))
    def ask(body: bytes) -> None:
        for path in ("/submit/describe", "/task/list-by-condition"):
            assert client.http.post(path, content=body, headers=JSON).status_code in {200, 400}
        assert goes_on(client)

    ask()


def test_large_images(simulate: Running) -> None:
    content = bytes(20_000_000)
    assert simulate("novicezk").submit(content).json()["code"] == 1
    assert simulate("trueai").submit(content).json()["code"] == 1
    assert simulate("trueai").submit(bytes(23_000_000)).status_code == 413


@pytest.mark.parametrize("state", ["\ud800", "\x00", "x" * 100_000, "日本 & <b>"])
def test_any_state_comes_back_as_it_was(simulate: Running, state: str) -> None:
    client = simulate("novicezk")
    content = json.dumps({"base64": data_uri(b"abc"), "state": state})
    task_id = client.http.post("/submit/describe", content=content, headers=JSON).json()["result"]
    assert client.until(task_id, "FAILURE")["state"] == state
    assert client.sim.tasks()[0]["state"] == state
