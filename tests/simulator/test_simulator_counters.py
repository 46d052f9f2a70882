from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import httpx
import pytest
from simulator_client import picture

if TYPE_CHECKING:
    from conftest import Running


@pytest.mark.parametrize("dialect", ["novicezk", "trueai", "new-api"])
def test_each_image_and_each_state_has_its_bill(simulate: Running, dialect: str) -> None:
    client = simulate(dialect)
    for state in ("a", "b"):
        client.described(picture(1), state=state)
    client.described(picture(2), state="c")
    counters = client.sim.counters()
    bill = {"accepted": 2, "billed": 2, "refunded": 0}
    first = hashlib.sha256(picture(1)).hexdigest()
    assert counters["images"][first] == {**bill, "states": {"a": 1, "b": 1}}
    assert set(counters["images"]) == {first, hashlib.sha256(picture(2)).hexdigest()}
    assert counters["states"]["c"] == {"accepted": 1, "billed": 1, "refunded": 0}
    assert (counters["accepted"], counters["billed"], counters["cost"]) == (3, 3, pytest.approx(0.15))
    assert counters["ended"] == {"SUCCESS": 3}
    assert counters["requests"]["submit"] == 3


def test_novicezk_bills_failures_and_the_gateway_gives_the_money_back(simulate: Running) -> None:
    client = simulate("novicezk", "banned_image")
    client.described()
    assert (client.count("billed"), client.count("refunded")) == (1, 0)
    client = simulate("new-api", "banned_image")
    client.described()
    assert (client.count("billed"), client.count("refunded"), client.count("cost")) == (1, 1, 0)


def test_single_images_can_be_left_out(simulate: Running) -> None:
    client = simulate("novicezk")
    client.described()
    short = client.http.get(f"{client.sim.root}/_simulator/counters?images=0").json()
    assert "images" not in short
    assert short["accepted"] == 1


def test_what_is_asked_while_the_queue_is_full_is_counted(simulate: Running) -> None:
    client = simulate("novicezk", "hanging_upload", slots=1, queue=0)
    client.submit(picture(1))
    assert client.count("while_closed")["periods"] == 0
    for number in (2, 3, 4):
        client.submit(picture(number))
    client.fetch("1")
    closed = client.count("while_closed")
    assert (closed["submits"], closed["requests"], closed["periods"]) == (2, 3, 1)
    assert closed["closed_now"] is True
    client.sim.change(slots=2)
    assert client.count("while_closed")["closed_now"] is False
    assert client.submit(picture(5)).json()["code"] == 1


def test_a_limit_in_front_keeps_the_service_closed_until_it_accepts_again(simulate: Running) -> None:
    client = simulate("novicezk", "http_429_empty:first=2")
    for _ in range(2):
        client.submit()
    assert client.count("while_closed")["closed_now"] is True
    client.submit()
    closed = client.count("while_closed")
    assert (closed["closed_now"], closed["submits"], closed["periods"]) == (False, 2, 1)


def test_a_bad_image_does_not_close_the_service(simulate: Running) -> None:
    client = simulate("novicezk")
    client.submit(base64="nonsense")
    assert client.count("refused") == {"bad_image": 1}
    assert client.count("while_closed")["periods"] == 0


def test_a_reset_forgets_everything(simulate: Running) -> None:
    client = simulate("new-api", "banned_image")
    task_id = client.described()["id"]
    client.sim.reset()
    counters = client.sim.counters()
    assert (counters["accepted"], counters["requests"], counters["scenarios"]) == (0, {}, [])
    assert (counters["high_water"], counters["images"]) == (0, {})
    assert client.fetch(task_id).status_code == 400


def test_tasks_are_shown_as_they_are(simulate: Running) -> None:
    client = simulate("new-api", "captcha")
    task_id = client.described(state="mine")["id"]
    (task,) = client.sim.tasks()
    assert (task["id"], task["status"], task["state"]) == (task_id, "FAILURE", "mine")
    assert task["sha256"] == hashlib.sha256(picture()).hexdigest()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("settings", {"dialect": "trueai"}),
        ("settings", {"nonsense": 1}),
        ("settings", {"latency": "soon"}),
        ("settings", {"latency": -1}),
        ("settings", {"slots": True}),
        ("settings", {"administrator": 1}),
        ("settings", {"body_limit": "large"}),
        ("settings", {"layout": "1999"}),
        ("settings", []),
        ("scenario", {"scenarios": ["nonsense"]}),
        ("scenario", {"scenarios": ["ta_partner"]}),
        ("scenario", {"scenarios": 5}),
        ("scenario", []),
    ],
)
def test_the_control_plane_explains_what_it_refuses(simulate: Running, path: str, body: object) -> None:
    client = simulate("novicezk")
    answer = client.http.post(f"{client.sim.root}/_simulator/{path}", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_scenarios_can_be_read_and_given_as_one_text(simulate: Running) -> None:
    client = simulate("novicezk")
    control = f"{client.sim.root}/_simulator"
    set_ones = httpx.post(
        f"{control}/scenario", json={"scenarios": "captcha:first=2,in_progress"}, trust_env=False, timeout=60
    )
    assert [active["name"] for active in set_ones.json()["active"]] == ["captcha", "in_progress"]
    shown = client.http.get(f"{control}/scenarios").json()
    assert shown["active"][0] == {"name": "captcha", "played": 0, "first": 2}
    assert all(shown["known"].values())
