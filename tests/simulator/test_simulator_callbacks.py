from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from simulator_client import PATIENCE

from airflow_midjourney.testing.simulator.serving import UNTIL_HURRIED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Running


class Receiver:
    """Collects what is posted to it."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.raw: list[bytes] = []
        self.status = 200
        self.delay = 0.0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.raw.append(body)
                receiver.received.append(json.loads(body))
                time.sleep(receiver.delay)
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"

    def statuses(self, count: int) -> list[str]:
        """The statuses received, after waiting for so many."""
        deadline = time.monotonic() + PATIENCE
        while len(self.received) < count and time.monotonic() < deadline:
            time.sleep(0.01)
        return [task["status"] for task in self.received]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield receiver
    receiver.server.shutdown()
    thread.join()
    receiver.server.server_close()


@pytest.mark.parametrize("dialect", ["novicezk", "trueai"])
def test_the_start_and_the_end_are_told_with_the_task_as_fetched(
    simulate: Running, receiver: Receiver, dialect: str
) -> None:
    client = simulate(dialect, latency=0.3)
    task = client.described(notifyHook=receiver.url, state="mine")
    assert receiver.statuses(2) == ["SUBMITTED", "SUCCESS"]
    assert receiver.received[1] == task
    client.eventually("callbacks", {"delivered": 2})


def test_a_build_whose_start_handler_is_first_tells_of_three_states(simulate: Running, receiver: Receiver) -> None:
    client = simulate("novicezk", "start_handler_first", latency=0.6)
    client.described(notifyHook=receiver.url)
    assert receiver.statuses(3) == ["SUBMITTED", "IN_PROGRESS", "SUCCESS"]
    client.eventually("callbacks", {"delivered": 3})


def test_trueai_escapes_what_is_not_ascii(simulate: Running, receiver: Receiver) -> None:
    simulate("trueai").described(notifyHook=receiver.url)
    assert receiver.statuses(2)[-1] == "SUCCESS"
    assert receiver.raw[-1].isascii()


def test_a_failed_upload_is_told_once(simulate: Running, receiver: Receiver) -> None:
    client = simulate("novicezk", "upload_failed")
    client.described(notifyHook=receiver.url)
    client.eventually("callbacks", {"delivered": 1})
    assert receiver.statuses(1) == ["FAILURE"]


def test_partner_accounts_tell_the_end_only(simulate: Running, receiver: Receiver) -> None:
    client = simulate("trueai", "ta_partner")
    client.described(notifyHook=receiver.url)
    client.eventually("callbacks", {"delivered": 1})
    assert receiver.statuses(1) == ["SUCCESS"]


def test_a_refused_callback_is_not_sent_again(simulate: Running, receiver: Receiver) -> None:
    receiver.status = 500
    client = simulate("novicezk", latency=0.2)
    client.described(notifyHook=receiver.url)
    client.eventually("callbacks", {"refused": 2})
    assert len(receiver.statuses(2)) == 2


@pytest.mark.parametrize("hook", ["http://127.0.0.1:9/closed", "nonsense", "http://"])
def test_a_receiver_that_cannot_be_reached_hurts_nobody(simulate: Running, hook: str) -> None:
    client = simulate("novicezk")
    assert client.described(notifyHook=hook)["status"] == "SUCCESS"
    client.eventually("callbacks", {"unreachable": 2})


def test_a_slow_receiver_does_not_hold_the_task(simulate: Running, receiver: Receiver) -> None:
    receiver.delay = 2.0
    client = simulate("novicezk")
    client.described(notifyHook=receiver.url)
    assert client.count("callbacks") == {}


def test_none(simulate: Running, receiver: Receiver) -> None:
    client = simulate("novicezk", "callbacks_none")
    client.described(notifyHook=receiver.url)
    client.sim.set_scenarios([])
    client.described(notifyHook=receiver.url)
    assert receiver.statuses(2) == ["SUBMITTED", "SUCCESS"]


@pytest.mark.parametrize(
    ("scenario", "statuses"),
    [
        ("callbacks_duplicated", ["SUBMITTED", "SUCCESS", "SUCCESS"]),
        ("callbacks_reversed", ["SUCCESS", "SUBMITTED"]),
        ("callbacks_already_ended", ["SUCCESS", "SUCCESS"]),
        ("callbacks_failure_after_success", ["SUBMITTED", "SUCCESS", "FAILURE"]),
        ("callbacks_forged", ["SUBMITTED", "SUCCESS", "SUCCESS"]),
    ],
)
@pytest.mark.parametrize("dialect", ["novicezk", "trueai"])
def test_faults(simulate: Running, receiver: Receiver, dialect: str, scenario: str, statuses: list[str]) -> None:
    client = simulate(dialect, scenario, latency=0.2)
    task = client.described(notifyHook=receiver.url)
    assert receiver.statuses(len(statuses)) == statuses
    ids = {told["id"] for told in receiver.received}
    assert ids == ({task["id"], task["id"][::-1]} if scenario == "callbacks_forged" else {task["id"]})
    if scenario == "callbacks_failure_after_success":
        assert receiver.received[-1]["failReason"] == "任务超时"
        assert client.fetch(task["id"]).json()["status"] == "SUCCESS"


def test_late(simulate: Running, receiver: Receiver) -> None:
    client = simulate("novicezk", "callbacks_late", pause=2.0)
    client.described(notifyHook=receiver.url)
    assert receiver.received == []
    assert receiver.statuses(2)[-1] == "SUCCESS"


def test_before_the_answer_to_the_submit(simulate: Running, receiver: Receiver) -> None:
    client = simulate("novicezk", "callback_before_answer")
    task_id = client.submitted(notifyHook=receiver.url)
    assert [told["status"] for told in receiver.received][-1] == "SUCCESS"
    assert receiver.received[0]["id"] == task_id


def test_after_a_lost_wake_up_the_slot_and_the_callback_are_held(simulate: Running, receiver: Receiver) -> None:
    client = simulate("novicezk", "callbacks_after_lost_wakeup", pause=UNTIL_HURRIED)
    client.described(notifyHook=receiver.url)
    assert client.count("in_flight") == 1
    client.sim.hurry()
    assert receiver.statuses(2)[-1] == "SUCCESS"
    client.eventually("in_flight", 0)


def test_the_gateway_drops_hooks_unless_told_otherwise(simulate: Running, receiver: Receiver) -> None:
    client = simulate("new-api")
    client.described(notifyHook=receiver.url)
    client.sim.set_scenarios(["gateway_forwards_hooks"])
    client.described(notifyHook=receiver.url, state="told")
    assert receiver.statuses(2) == ["SUBMITTED", "SUCCESS"]
    assert {told["state"] for told in receiver.received} == {"told"}
    assert receiver.received[1]["prompt"]
