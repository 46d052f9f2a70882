"""A StatsD server of its own: what was sent over UDP, added up."""

from __future__ import annotations

import socket
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class StatsdServer:
    """Listens on a port of its own.

    :param server: an open UDP socket.
    """

    def __init__(self, server: socket.socket) -> None:
        self._server = server
        self.port: int = server.getsockname()[1]
        self.counters: dict[str, float] = defaultdict(float)
        self.gauges: dict[str, list[float]] = defaultdict(list)
        self.timings: dict[str, list[float]] = defaultdict(list)

    def read(self, prefix: str) -> None:
        """Add up everything that has come so far and whose name begins with a prefix."""
        while True:
            try:
                packet = self._server.recv(65_536)
            except BlockingIOError:
                return
            for line in packet.decode().splitlines():
                name, _, rest = line.partition(":")
                value, kind = rest.split("|")[:2]
                if name.startswith(prefix):
                    self._take(name.removeprefix(prefix), float(value), kind)

    def _take(self, name: str, value: float, kind: str) -> None:
        if kind == "c":
            self.counters[name] += value
        elif kind == "g":
            self.gauges[name].append(value)
        else:
            self.timings[name].append(value)


@contextmanager
def statsd_server() -> Iterator[StatsdServer]:
    """Start to listen. UDP to this machine is kept by the kernel until it is read, so nothing needs a thread."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_000_000)
        server.setblocking(False)
        yield StatsdServer(server)
