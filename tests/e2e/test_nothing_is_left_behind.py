"""Whatever happens to the tests, their processes end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil

from tests.support.airflow_home import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STARTER = """
import os, sys, time
from pathlib import Path
from tests.support.deployment.components import Component, Keeper

folder = sys.argv[1]
with Keeper() as keeper:
    # Killed, the shell leaves processes without a parent, one of them in a session of its own.
    command = ["sh", "-c", "sleep 600 & setsid sleep 600 & sleep 600"]
    log = Path(folder, "log")
    component = Component("sleepers", keeper, command, dict(os.environ), Path(folder), log, lambda: True)
    component.start()
    print(keeper._process.pid, component.process.pid, flush=True)
    time.sleep(600)
"""


def test_they_end_when_the_tests_are_killed(tmp_path: Path) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    )
    assert starter.stdout is not None
    keeper, shell = (psutil.Process(int(pid)) for pid in starter.stdout.readline().split())
    wait_until(lambda: len(keeper.children(recursive=True)) == 4)
    sleepers = keeper.children(recursive=True)
    os.kill(shell.pid, signal.SIGKILL)
    wait_until(lambda: not shell.is_running())
    assert all(one.is_running() for one in sleepers if one != shell)

    starter.kill()
    starter.wait()

    wait_until(lambda: not any(one.is_running() for one in (keeper, *sleepers)))


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
