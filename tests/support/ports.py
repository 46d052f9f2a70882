"""Ports for programs that take a while to listen, or that are killed and started again on the same one.

What the system gives for port 0 may go to another test before such a program listens. These ports lie below those, and
a process that has taken one keeps it from every other process of the tests until it ends.
"""

from __future__ import annotations

import random
import socket
from typing import Final

_PORTS: Final = range(20_000, 32_000)

#: No program of the tests listens for datagrams on them: who holds one of these, holds the port.
_held: Final[list[socket.socket]] = []


def free_ports(number: int) -> list[int]:
    """Give ports of this machine that no program listens on, and that no other process is given."""
    return [_hold_one() for _ in range(number)]


def listens(port: int) -> bool:
    """Say whether a program listens on a port of this machine."""
    with socket.socket() as caller:
        caller.settimeout(1)
        return caller.connect_ex(("127.0.0.1", port)) == 0


def _hold_one() -> int:
    # hypothesis sets the seed of `random` itself, to the same for all.
    for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
        if _hold(port):
            return port
    raise OSError("Each port that tests may take is held.")


def _hold(port: int) -> bool:
    hold = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        hold.bind(("127.0.0.1", port))
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        hold.close()
        return False
    _held.append(hold)
    return True
