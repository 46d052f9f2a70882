"""Airflow with its UI, left running over what the demo has made, until a person stops it."""

from __future__ import annotations

import socket
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from demo.folder import shown
from demo.processes import ProcessError, last_lines

if TYPE_CHECKING:
    from collections.abc import Mapping

    from demo.airflow_run import Airflow
    from demo.processes import Child
    from demo.screen import Screen

#: Seconds in which the UI has to answer.
_START_LIMIT: Final = 180.0


def keep_open(airflow: Airflow, connections: Mapping[str, str], screen: Screen) -> None:
    """Run all of Airflow, say where its UI is, and wait.

    :raises StoppedError: when a person asks to stop: the only good end.
    :raises ProcessError: if Airflow does not start, or ends.
    """
    screen.say()
    screen.step("Starting Airflow with its UI (takes some ten seconds)")
    port, *log_ports = _free_ports(3)
    address = f"http://127.0.0.1:{port}/"
    child = airflow.start_all({**connections, **_variables(address, port, log_ports)})
    _wait_until_it_answers(f"{address}api/v2/version", child, airflow)
    screen.say()
    screen.say(f"Batches:  {address}plugin/midjourney", "bold")
    screen.say(f"The run:  {address}dags/describe_images", "bold")
    screen.say("No login is needed. Trigger the DAG with another prefix, or the same: what has its prompts is free.")
    screen.say("Ctrl-C stops everything.")
    while not child.has_ended:
        airflow.interruption.pause()
    raise ProcessError(f"Airflow has ended. The end of {shown(child.log)}:\n{last_lines(child.log)}")


def _variables(address: str, port: int, log_ports: list[int]) -> dict[str, str]:
    return {
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": f"{port}",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__BASE_URL": address,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": f"{log_ports[0]}",
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": f"{log_ports[1]}",
    }


def _wait_until_it_answers(address: str, child: Child, airflow: Airflow) -> None:
    deadline = time.monotonic() + _START_LIMIT
    while not _answers(address):
        if child.has_ended or time.monotonic() > deadline:
            raise ProcessError(f"Airflow's UI did not start.\n{last_lines(child.log)}")
        airflow.interruption.pause()


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 - an address of this machine
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        held = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)]
        return [one.getsockname()[1] for one in held]
