"""Our receiver behind a real HTTP server, as in the API server, and what came to it."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from airflow_midjourney.testing.simulator.serving import AnnouncingServer

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Where the receiver is mounted, as the plugin does.
PREFIX = "/midjourney-callbacks"

_START_LIMIT = 60.0


@dataclass
class RunningReceiver:
    """A receiver that listens.

    :param url: what the connection's ``callback_url`` should be.
    :param paths: of the requests so far, without the prefix.
    :param bytes_read: of their bodies, by the app.
    """

    url: str
    paths: list[str] = field(default_factory=list)
    bytes_read: int = 0


@contextmanager
def running_receiver(app: Any) -> Iterator[RunningReceiver]:
    """Serve an ASGI app below the prefix from a thread of this process."""
    running = RunningReceiver("")

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        async def reading() -> Any:
            message = await receive()
            running.bytes_read += len(message.get("body", b""))
            return message

        if scope["type"] == "http":
            running.paths.append(scope["path"].removeprefix(PREFIX))
        await app(scope, reading, send)

    with running_app(Starlette(routes=[Mount(PREFIX, noting)])) as root:
        running.url = f"{root}{PREFIX}"
        yield running


@contextmanager
def running_app(app: Any) -> Iterator[str]:
    """Serve an ASGI app from a thread of this process; give its address."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    listening = threading.Event()
    config = uvicorn.Config(app, log_level="critical", access_log=False, lifespan="off", timeout_graceful_shutdown=0)
    server = AnnouncingServer(config, listening.set)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="receiver", daemon=True)
    thread.start()
    assert listening.wait(_START_LIMIT)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(_START_LIMIT)
