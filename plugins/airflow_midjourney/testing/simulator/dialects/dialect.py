"""What a dialect has to offer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from airflow_midjourney.testing.simulator.effects import RouteName
    from airflow_midjourney.testing.simulator.exchange import Exchange


class Dialect(Protocol):
    """One of the services, as seen over HTTP."""

    #: What may stand before ``/mj`` in a path.
    prefixes: tuple[str, ...]

    #: The largest request it reads, in bytes; None for any.
    body_limit: int | None

    @property
    def handlers(self) -> Mapping[RouteName, Callable[[Exchange], Awaitable[Response]]]:
        """What it does for each route that it has."""
        ...

    def refusal_of_key(self, request: Request, route: RouteName) -> Response | None:
        """The answer to a request whose key is wrong; None if it is right."""
        ...

    def unknown_path(self, request: Request, status: int) -> Response:
        """The answer to a path (404) or a method (405) that it does not have."""
        ...

    def too_large(self) -> Response:
        """The answer to a request that is too large."""
        ...

    async def work(self) -> None:
        """Whatever it does by itself while the simulator runs; ends when cancelled."""
        ...
