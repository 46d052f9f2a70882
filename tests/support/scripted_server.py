"""An HTTP server that says what a test writes down, byte by byte, for real clients."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


@dataclass(frozen=True)
class Asked:
    """A request.

    :param before: how many requests there were before it.
    """

    method: str
    path: str
    query: Mapping[str, str]
    before: int


@dataclass(frozen=True)
class Said:
    """An answer.

    :param headers: beside ``Content-Length``, which they may change; None takes one out.
    :param cut_at: bytes of the body after which the connection is closed; None for the whole.
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str | None] = field(default_factory=dict)
    cut_at: int | None = None


@contextmanager
def saying(answer: Callable[[Asked], Said]) -> Iterator[str]:
    """Serve until the block ends; give the address.

    :param answer: gives the answer to each request.
    """
    handler = type("Handler", (_Handler,), {"answer": staticmethod(answer), "count": 0})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answer: Callable[[Asked], Said]
    count: int

    def do_GET(self) -> None:
        url, kind = urlsplit(self.path), type(self)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        said = kind.answer(Asked(self.command, url.path, query, kind.count))
        kind.count += 1
        self.send_response(said.status)
        for name, value in ({"Content-Length": str(len(said.body))} | dict(said.headers)).items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(said.body[: said.cut_at])
        if said.cut_at is not None:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)

    def do_HEAD(self) -> None:
        self.do_GET()

    def handle_one_request(self) -> None:
        """Be quiet when a connection was broken off."""
        with suppress(OSError, ValueError):
            super().handle_one_request()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""
