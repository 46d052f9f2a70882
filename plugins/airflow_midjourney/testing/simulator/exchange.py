"""One request to the simulated service, and the answers that something before the service may give to it."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response

from airflow_midjourney.testing.simulator.data_uri import read_anyhow
from airflow_midjourney.testing.simulator.effects import (
    BrokenConnection,
    CannedAnswer,
    LateAnswer,
    OpenAiError,
    RouteName,
    SpringError,
)

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_midjourney.testing.simulator.service import SimulatedService

JSON: Final = "application/json"
Fault = CannedAnswer | SpringError | OpenAiError | BrokenConnection | LateAnswer


class NotAnObjectError(ValueError):
    """The body is not JSON, or not a JSON object."""


@dataclass
class Exchange:
    """A request that has been read.

    :param route: what it asks for.
    """

    request: Request
    route: RouteName
    body: bytes
    service: SimulatedService

    @cached_property
    def fields(self) -> dict[str, Any]:
        """The JSON object in the body.

        :raises NotAnObjectError: if there is none.
        """
        try:
            fields = json.loads(self.body)
        except ValueError as error:
            raise NotAnObjectError(str(error)) from error
        if not isinstance(fields, dict):
            raise NotAnObjectError("not an object")
        return fields

    @property
    def content_type(self) -> str:
        """In lower case, without parameters."""
        return self.request.headers.get("content-type", "").partition(";")[0].strip().lower()

    @cached_property
    def subject(self) -> str:
        """What a share is chosen by: the SHA-256 of the image concerned, or else this request."""
        task_id = self.request.path_params.get("task_id")
        if task_id is not None:
            return self.service.subject_of(task_id)
        if self.route is not RouteName.SUBMIT:
            return f"{self.route}:{self.service.counters.requests[self.route]}"
        try:
            image = self.fields.get("base64") or self.fields.get("link")
        except NotAnObjectError:
            image = None
        content = read_anyhow(image) if isinstance(image, str) else self.body
        return hashlib.sha256(content).hexdigest()

    @property
    def client_address(self) -> str:
        """Where the request comes from."""
        return self.request.client.host if self.request.client else ""


def json_bytes(body: Any) -> bytes:
    """Compact JSON in UTF-8, as all three services write it."""
    try:
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(body, separators=(",", ":")).encode()


def spring_error(status: int, error: str, path: str) -> Response:
    """An error as Spring Boot words it (novicezk)."""
    moment = time.time()
    timestamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment)) + f".{int(moment * 1000) % 1000:03d}+00:00"
    body = {"timestamp": timestamp, "status": status, "error": error, "path": path}
    return Response(json_bytes(body), status, media_type=JSON)


def open_ai_error(service: SimulatedService, status: int, message: str, code: str = "") -> Response:
    """An error of new-api's doorkeepers, which speak like OpenAI's API.

    :param message: in the words of the gateways of 2025.
    """
    body = service.voice.gateway_words.error(message, code, service.identifiers.request_id())
    return Response(json_bytes(body), status, media_type=f"{JSON}; charset=utf-8")


async def answer_at_the_door(exchange: Exchange) -> Response | None:
    """The answer of whatever stands before the service, if a scenario says that something does."""
    service = exchange.service
    faults: list[Fault] = []
    for kind in (LateAnswer, BrokenConnection, CannedAnswer, SpringError, OpenAiError):
        faults += service.scenarios.playing(kind, exchange.subject, lambda fault: exchange.route in fault.routes)
    for fault in faults:
        if isinstance(fault, LateAnswer):
            await service.pause(service.settings.pause)
        else:
            return _door_answer(exchange, fault)
    return None


def _door_answer(exchange: Exchange, fault: CannedAnswer | SpringError | OpenAiError | BrokenConnection) -> Response:
    service = exchange.service
    if isinstance(fault, BrokenConnection):
        _note_refusal(exchange, "connection_cut", closes=True)
        service.connections.cut(exchange.request.client)
        return Response()
    if isinstance(fault, SpringError):
        _note_refusal(exchange, "crash", closes=True)
        return spring_error(fault.status, "Internal Server Error", exchange.request.url.path)
    if isinstance(fault, OpenAiError):
        _note_refusal(exchange, fault.reason, closes=True)
        return open_ai_error(service, fault.status, fault.message, fault.code)
    _note_refusal(exchange, fault.reason, closes=fault.closes)
    headers = dict(fault.headers)
    if fault.media_type:
        headers["Content-Type"] = fault.media_type
    return Response(fault.body, fault.status, headers)


def _note_refusal(exchange: Exchange, reason: str, *, closes: bool) -> None:
    if exchange.route is not RouteName.SUBMIT:
        return
    if closes:
        exchange.service.counters.close(reason)
    else:
        exchange.service.counters.refuse(reason)
