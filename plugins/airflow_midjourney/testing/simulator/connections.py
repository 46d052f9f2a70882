"""Knows the open connections, so that a scenario can cut one as a broken network would."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

    from starlette.datastructures import Address


class Connections:
    """The open connections by the address of the other side."""

    def __init__(self) -> None:
        self._transports: dict[tuple[str, int], asyncio.Transport] = {}

    def opened(self, transport: asyncio.Transport) -> None:
        """Remember a connection."""
        self._transports[_peer(transport)] = transport

    def closed(self, transport: asyncio.Transport) -> None:
        """Forget a connection."""
        self._transports.pop(_peer(transport), None)

    def cut(self, client: Address | None) -> None:
        """Reset the connection of a client: no answer, no orderly end."""
        transport = self._transports.get((client.host, client.port)) if client else None
        if transport is None:
            return
        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


def protocol_reporting_to(connections: Connections) -> type[H11Protocol]:
    """An HTTP protocol for uvicorn that tells ``connections`` what it opens and closes."""

    class ReportingProtocol(H11Protocol):
        """uvicorn's own, with open ears."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            connections.opened(transport)
            super().connection_made(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            connections.closed(self.transport)
            super().connection_lost(exc)

    return ReportingProtocol


def _peer(transport: asyncio.Transport) -> tuple[str, int]:
    address = transport.get_extra_info("peername") or ("", 0)
    return str(address[0]), int(address[1])
