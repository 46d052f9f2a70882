"""Our receiver behind a real HTTP server, as in the API server, and what came to it."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import uvicorn

from simulator.serving import AnnouncingServer

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Where the receiver is mounted, as the plugin does.
PREFIX = "/midjourney-callbacks"

_START_LIMIT = 20.0


@dataclass
class RunningReceiver:
    """A receiver that listens.

    :param url: what the connection's ``callback_url`` should be.
    :param paths: of the requests so far, without the prefix.
    """

    url: str
    paths: list[str] = field(default_factory=list)


@contextmanager
def running_receiver(app: Any) -> Iterator[RunningReceiver]:
    """Serve an ASGI app below the prefix from a thread of this process."""
    from starlette.applications import Starlette
    from starlette.routing import Mount

    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    running = RunningReceiver(f"http://127.0.0.1:{listener.getsockname()[1]}{PREFIX}")

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            running.paths.append(scope["path"].removeprefix(PREFIX))
        await app(scope, receive, send)

    listening = threading.Event()
    config = uvicorn.Config(
        Starlette(routes=[Mount(PREFIX, noting)]),
        log_level="critical",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=0,
    )
    server = AnnouncingServer(config, listening.set)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="receiver", daemon=True)
    thread.start()
    assert listening.wait(_START_LIMIT)
    try:
        yield running
    finally:
        server.should_exit = True
        thread.join(_START_LIMIT)
