"""Processes of a deployment that can be started, killed and started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

import psutil

from tests.support.airflow_home import REPOSITORY
from tests.support.deployment.keeper import Start

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

#: Seconds in which a process has to be ready; several start at once on a busy machine.
START_LIMIT: Final = 180.0

_TICK: Final = 0.1
_LAST_LINES: Final = 40


class ComponentError(Exception):
    """A process did not start, or ended when it should not."""


class Keeper:
    """Starts processes that do not outlive this one, even if this one is killed. Use it as a context manager."""

    def __enter__(self) -> Self:
        """Start the keeper itself."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.deployment.keeper"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            start_new_session=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        """End all processes and wait until they are gone."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def start(self, start: Start) -> psutil.Process:
        """Start a process.

        :raises ComponentError: if its command cannot be run.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(start.to_json(), file=self._process.stdin, flush=True)
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise ComponentError(f"{start.command[0]} cannot be started: {answer['error']}")
        return psutil.Process(answer["pid"])


@dataclass
class Component:
    """One process of a deployment.

    :param name: what messages and the log file call it.
    :param log: its output, over all its lives.
    :param is_ready: says whether it does its work.
    :param user: who runs it; None for the same user as the tests.
    :param last_signal: what it gets when the deployment ends.
    """

    name: str
    keeper: Keeper
    command: list[str]
    environment: Mapping[str, str]
    folder: Path
    log: Path
    is_ready: Callable[[], bool]
    user: str | None = None
    last_signal: int = signal.SIGKILL
    process: psutil.Process | None = field(default=None, init=False)

    def start(self) -> None:
        """Start it; see :meth:`wait_until_ready`."""
        self.process = self.keeper.start(
            Start(
                self.command, dict(self.environment), str(self.folder), str(self.log), self.user, int(self.last_signal)
            )
        )

    def wait_until_ready(self, limit: float = START_LIMIT) -> None:
        """Wait until it does its work.

        :raises ComponentError: if it ends, or takes too long.
        """
        deadline = time.monotonic() + limit
        while not self.is_ready():
            if not self.is_alive:
                raise ComponentError(f"{self.name} has ended. {self.last_lines()}")
            if time.monotonic() > deadline:
                raise ComponentError(f"{self.name} is not ready after {limit:.0f} s. {self.last_lines()}")
            time.sleep(_TICK)

    def wait_until_ended(self, limit: float = START_LIMIT) -> None:
        """Wait until it has ended by itself.

        :raises ComponentError: if it takes too long.
        """
        assert self.process is not None
        try:
            self.process.wait(limit)
        except psutil.TimeoutExpired:
            raise ComponentError(f"{self.name} has not ended after {limit:.0f} s. {self.last_lines()}") from None

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        if self.process is None:
            return False
        try:
            return bool(self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    def kill(self) -> None:
        """Kill it and all that it has started, as when its container is killed."""
        assert self.process is not None
        family = [self.process]
        if self.is_alive:
            family += self.process.children(recursive=True)
        kill_all(family)

    def kill_alone(self) -> None:
        """Kill it with ``kill -9``; what it has started goes on for as long as it can."""
        assert self.process is not None
        kill_all([self.process])

    def end(self, number: signal.Signals) -> None:
        """Ask it to end, and wait until it has."""
        assert self.process is not None
        self.process.send_signal(number)
        self.wait_until_ended()

    def restart(self) -> None:
        """Start it again and wait until it does its work; kill it first if it is alive."""
        if self.is_alive:
            self.kill()
        self.start()
        self.wait_until_ready()

    def last_lines(self) -> str:
        """Give the end of its output, for the message of a failed test."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:]
        return f"The end of {self.log}:\n" + "\n".join(lines)


def kill_all(processes: list[psutil.Process]) -> None:
    """Kill processes at once and wait until they are gone."""
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(processes, timeout=10)


def clean_environment() -> dict[str, str]:
    """Give this process's environment without Airflow, AWS, proxies, and whatever else would leak into processes."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW", "_AIRFLOW", "AWS_", "PYTEST", "PYTHON", "CELERY"))
        and not name.upper().endswith("_PROXY")
    }
    return kept | {
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1,localhost",
        "PYTHONUNBUFFERED": "1",
    }
