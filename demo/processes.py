"""Child processes that never outlive the demo."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from demo.interruption import Interruption

#: Seconds in which processes may end by themselves after being asked to.
_PATIENCE: Final = 5.0

_LAST_LINES: Final = 15

#: Seconds between two looks at a process that is silent.
_TICK: Final = 0.1


class ProcessError(Exception):
    """A process of the demo did not do what it is there for; the message is for the user."""


@dataclass(frozen=True, slots=True)
class Child:
    """A process in a session of its own, so that Ctrl-C reaches the demo alone, which then stops it in order.

    :param name: what messages call it.
    :param log: the file with its output.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def has_ended(self) -> bool:
        """Whether it has ended; what it may have started itself is ended, too."""
        if self.process.poll() is None:
            return False
        self._signal(signal.SIGKILL)
        return True

    def ask_to_end(self) -> None:
        """Send SIGTERM to it and all that it started."""
        if not self.has_ended:
            self._signal(signal.SIGTERM)

    def end(self, deadline: float) -> None:
        """Wait until it has ended, with force after a moment of ``time.monotonic()``."""
        while not self.has_ended and time.monotonic() < deadline:
            time.sleep(0.02)
        if not self.has_ended:
            self._signal(signal.SIGKILL)
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)


class Children:
    """All processes of a demo; leaving the context stops them, whatever the reason."""

    def __init__(self) -> None:
        self._started: list[Child] = []

    def __enter__(self) -> Self:
        """Nothing is started yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop all, side by side."""
        for child in self._started:
            child.ask_to_end()
        deadline = time.monotonic() + _PATIENCE
        for child in self._started:
            child.end(deadline)

    def start(
        self, name: str, command: Sequence[str], *, log: Path, environment: Mapping[str, str], folder: Path
    ) -> Child:
        """Start a process whose output goes to the end of a file."""
        with log.open("ab") as output:
            return self._start(name, command, output.fileno(), log=log, environment=environment, folder=folder)

    def start_with_pipe(
        self, name: str, command: Sequence[str], *, log: Path, environment: Mapping[str, str], folder: Path
    ) -> Child:
        """Start a process whose output is to be read from ``process.stdout``.

        :param log: where the reader is going to keep it.
        """
        return self._start(name, command, subprocess.PIPE, log=log, environment=environment, folder=folder)

    def _start(
        self,
        name: str,
        command: Sequence[str],
        output: int,
        *,
        log: Path,
        environment: Mapping[str, str],
        folder: Path,
    ) -> Child:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
        child = Child(name, process, log)
        self._started.append(child)
        return child


def wait_for_end(child: Child, limit: float, interruption: Interruption) -> None:
    """Wait until a process has ended well.

    :param limit: seconds.
    :raises ProcessError: if it fails or takes longer.
    """
    deadline = time.monotonic() + limit
    while not child.has_ended:
        if time.monotonic() > deadline:
            raise ProcessError(f"{child.name} took more than {limit:.0f} seconds.\n{last_lines(child.log)}")
        interruption.pause()
    if child.process.returncode != 0:
        raise ProcessError(
            f"{child.name} ended with status {child.process.returncode}. The end of {child.log}:\n"
            f"{last_lines(child.log)}"
        )


def last_lines(log: Path, number: int = _LAST_LINES) -> str:
    """Give the end of a log."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-number:])


def read_lines(child: Child, interruption: Interruption) -> Iterator[list[str]]:
    """Read what a process writes until it ends: the lines that came, or none, several times a second.

    :param child: started with a pipe.
    """
    pipe = child.process.stdout
    assert pipe is not None, "the process has no pipe"  # noqa: S101 - for the type checker
    os.set_blocking(pipe.fileno(), False)
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            interruption.check()
            ended = child.has_ended
            arrived = b"" if not selector.select(0 if ended else _TICK) else pipe.read() or b""
            *lines, rest = (rest + arrived).split(b"\n")
            yield [line.decode("utf-8", "replace") for line in lines]
            if ended and not arrived:
                break
            if not arrived:
                # A pipe that was closed early is always ready.
                interruption.pause(_TICK)
    if rest:
        yield [rest.decode("utf-8", "replace")]
