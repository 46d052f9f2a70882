"""``python -m tests.support.deployment.keeper``: starts processes on demand, and ends them when its caller has gone.

Each line of its input is a :class:`Start` as JSON; it is answered by a line with the process id. When the input ends,
because the caller closed it or was killed, all processes end, and all that these have started: a process that loses
its parent becomes a child of the keeper.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from typing import Any, Final

import psutil

#: Seconds that processes have which are asked to end rather than killed.
_PATIENCE: Final = 5.0

_SET_CHILD_SUBREAPER: Final = 36


@dataclass(frozen=True)
class Start:
    """What to start.

    :param log: the file that the output is added to.
    :param user: who is to run it; None for the keeper's own user.
    :param last_signal: what it gets at the end of all.
    """

    command: list[str]
    environment: dict[str, str]
    folder: str
    log: str
    user: str | None = None
    last_signal: int = signal.SIGKILL

    def to_json(self) -> str:
        """Give one line."""
        return json.dumps(asdict(self))


def main() -> None:
    """Serve until the input ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    ctypes.CDLL(None, use_errno=True).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    threading.Thread(target=_bury_the_dead, daemon=True).start()
    last_signals: dict[int, int] = {}
    for line in sys.stdin:
        start = Start(**json.loads(line))
        answer: dict[str, Any]
        try:
            pid = _start(start)
            last_signals[pid] = start.last_signal
            answer = {"pid": pid}
        except OSError as error:
            answer = {"error": str(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    _end_all(last_signals)


def _start(start: Start) -> int:
    with open(start.log, "ab") as output:
        process = subprocess.Popen(
            start.command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=start.environment,
            cwd=start.folder,
            user=start.user,
            start_new_session=True,
        )
    return process.pid


def _bury_the_dead() -> None:
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            time.sleep(0.05)


def _end_all(last_signals: dict[int, int]) -> None:
    me = psutil.Process()
    asked = [child for child in me.children() if last_signals.get(child.pid, signal.SIGKILL) != signal.SIGKILL]
    for child in me.children(recursive=True):
        if child not in asked and not any(parent in asked for parent in _parents(child)):
            _signal(child, signal.SIGKILL)
    for child in asked:
        _signal(child, last_signals[child.pid])
    psutil.wait_procs(asked, timeout=_PATIENCE)
    while left := me.children(recursive=True):
        for child in left:
            _signal(child, signal.SIGKILL)
        time.sleep(0.05)


def _parents(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.parents())
    except psutil.NoSuchProcess:
        return []


def _signal(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


if __name__ == "__main__":
    main()
