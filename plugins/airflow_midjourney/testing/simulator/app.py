"""The simulator as an ASGI application."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.routing import Route

from airflow_midjourney.testing.simulator.control import control_routes
from airflow_midjourney.testing.simulator.effects import RouteName
from airflow_midjourney.testing.simulator.exchange import Exchange, answer_at_the_door
from airflow_midjourney.testing.simulator.service import SimulatedService
from airflow_midjourney.testing.simulator.settings import DialectName

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from airflow_midjourney.testing.simulator.dialects.dialect import Dialect
    from airflow_midjourney.testing.simulator.settings import SimulatorSettings

_PATHS: Final = (
    (RouteName.SUBMIT, "POST", "/mj/submit/describe"),
    (RouteName.LIST_BY_CONDITION, "POST", "/mj/task/list-by-condition"),
    (RouteName.LIST, "GET", "/mj/task/list"),
    (RouteName.QUEUE, "GET", "/mj/task/queue"),
    (RouteName.FETCH, "GET", "/mj/task/{task_id}/fetch"),
    (RouteName.CANCEL, "POST", "/mj/task/{task_id}/cancel"),
    (RouteName.IMAGE, "GET", "/mj/image/{task_id}"),
)
_ALIASES: Final = {(DialectName.TRUEAI, "/mj/task/list-by-condition"): "/mj/task/list-by-ids"}


def make_service(settings: SimulatorSettings) -> SimulatedService:
    """The state behind an application."""
    return SimulatedService(settings, _module_of(settings.dialect).VOICE())


def make_app(service: SimulatedService) -> SimulatorHeader:
    """The application: the routes of the dialect, and the control plane."""
    dialect: Dialect = _module_of(service.settings.dialect).DIALECT(service)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        working = asyncio.create_task(dialect.work())
        yield
        working.cancel()
        await service.close()

    async def unknown(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return dialect.unknown_path(request, status)

    app = Starlette(
        routes=[*control_routes(service), *_dialect_routes(service, dialect)],
        exception_handlers={404: unknown, 405: unknown},
        lifespan=lifespan,
    )
    return SimulatorHeader(app)


class SimulatorHeader:
    """Puts ``x-simulator: 1`` on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and mark the answer."""

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["x-simulator"] = "1"
            await send(message)

        await self._app(scope, receive, marked)


def _module_of(dialect: DialectName) -> Any:
    return import_module(f"airflow_midjourney.testing.simulator.dialects.{dialect.replace('-', '_')}")


def _dialect_routes(service: SimulatedService, dialect: Dialect) -> list[Route]:
    routes = []
    for name, method, path in _PATHS:
        if name not in dialect.handlers:
            continue
        endpoint = _endpoint(service, dialect, name)
        alias = _ALIASES.get((service.settings.dialect, path))
        for prefix in dialect.prefixes:
            routes += [Route(prefix + each, endpoint, methods=[method]) for each in (path, alias) if each]
    return routes


def _endpoint(
    service: SimulatedService, dialect: Dialect, route: RouteName
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        body = await request.body()
        service.note_room()
        service.counters.request(route, len(body))
        exchange = Exchange(request, route, body, service)
        limit = dialect.body_limit if service.settings.body_limit is None else service.settings.body_limit
        if limit is not None and len(body) > limit:
            service.counters.refuse("too_large")
            return dialect.too_large()
        answer = await answer_at_the_door(exchange)
        if answer is None and (answer := dialect.refusal_of_key(request, route)) is not None:
            service.counters.refuse("unauthorised")
        return await dialect.handlers[route](exchange) if answer is None else answer

    return endpoint
