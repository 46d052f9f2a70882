"""A server that knows nothing: HTTP 404, which an HttpSensor takes for "not yet", for whatever is asked; it counts."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_ANSWER: Final = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


class Nothing:
    """The server.

    :ivar port: where it listens, on 127.0.0.1.
    :ivar requests: how many it has answered.
    """

    def __init__(self) -> None:
        self.port = 0
        self.requests = 0

    async def serve(self, ready: threading.Event, ending: asyncio.Event) -> None:
        """Answer until the end is asked for."""
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await ending.wait()
        server.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                self.requests += 1
                writer.write(_ANSWER)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@contextmanager
def serving_nothing() -> Iterator[Nothing]:
    """Run the server in a thread."""
    nothing, ready = Nothing(), threading.Event()
    loop, ending = asyncio.new_event_loop(), asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(nothing.serve(ready, ending),), daemon=True)
    thread.start()
    ready.wait()
    try:
        yield nothing
    finally:
        loop.call_soon_threadsafe(ending.set)
        thread.join()
