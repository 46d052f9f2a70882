"""new-api (April 2025) over HTTP: a gateway with novicezk behind it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response

from airflow_midjourney.testing.simulator.data_uri import UncheckedDataUriError
from airflow_midjourney.testing.simulator.dialects import answers, novicezk
from airflow_midjourney.testing.simulator.dialects.gateway_records import GatewayRecords
from airflow_midjourney.testing.simulator.dialects.novicezk_task import NovicezkVoice
from airflow_midjourney.testing.simulator.effects import AnswerFault, Refusal, RouteName, StandingFault
from airflow_midjourney.testing.simulator.exchange import (
    Exchange,
    NotAnObjectError,
    json_bytes,
    open_ai_error,
    spring_error,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request

    from airflow_midjourney.testing.simulator.dialects.answers import SubmitAnswer
    from airflow_midjourney.testing.simulator.service import SimulatedService

_JSON: Final = "application/json"
_GIN_JSON: Final = "application/json; charset=utf-8"
#: The gateway names no type when it passes an answer on, and Go guesses this one.
_GUESSED: Final = "text/plain; charset=utf-8"
_CHARGED: Final = frozenset({1, 21, 22})
_TEXT_FIELDS: Final = ("prompt", "customId", "botType", "notifyHook", "action", "state", "taskId", "content")
_SATURATED: Final = "当前分组负载已饱和，请稍后再试，或升级账户以提升服务质量。"
_WEB_PAGE: Final = "<!doctype html><html><head><title>New API</title></head><body></body></html>"

_REFUSALS: Final = {
    Refusal.NO_CREDIT: (400, 4, "quota_not_enough"),
    Refusal.SATURATED: (429, 30, _SATURATED),
    Refusal.GATEWAY_GAVE_UP: (400, 5, "do_request_failed"),
}
_GATEWAY_FAULTS: Final = {
    AnswerFault.GATEWAY_GAVE_UP: "do_request_failed",
    AnswerFault.GATEWAY_UNREADABLE: "unmarshal_response_body_failed",
    AnswerFault.NUMERIC_RESULT: "unmarshal_response_body_failed",
}


class NewApiDialect:
    """new-api's routes, with any first segment before ``/mj``."""

    prefixes: tuple[str, ...] = ("", "/{mode}")
    body_limit: int | None = None

    #: What its tasks have beside the fields of 2025.
    further_fields: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, service: SimulatedService) -> None:
        self._service = service
        self._records = GatewayRecords(service, self.further_fields)

    @property
    def handlers(self) -> Mapping[RouteName, Callable[[Exchange], Awaitable[Response]]]:
        """No lists of everything, no queue, no cancel."""
        return {
            RouteName.SUBMIT: self._submit,
            RouteName.FETCH: self._fetch,
            RouteName.LIST_BY_CONDITION: self._list_by_condition,
            RouteName.IMAGE: self._image,
        }

    def refusal_of_key(self, request: Request, route: RouteName) -> Response | None:
        """401 as JSON; pictures need no key."""
        key = _bare_key(self._service.settings.key)
        if not key or route is RouteName.IMAGE:
            return None
        given = request.headers.get("authorization", "")
        if given in {"", "midjourney-proxy"}:
            given = request.headers.get("mj-api-secret", "")
        if _bare_key(given) == key:
            return None
        return open_ai_error(self._service, 401, "无效的令牌" if given else "未提供令牌")

    def unknown_path(self, request: Request, status: int) -> Response:
        """The page of its web interface, with HTTP 200."""
        return Response(_WEB_PAGE, media_type="text/html; charset=utf-8")

    def too_large(self) -> Response:
        """An empty 413."""
        return Response(status_code=413)

    async def work(self) -> None:
        """Look at the upstream every ``poll_interval`` seconds."""
        while not self._service.stopping.is_set():
            if await self._service.slept_undisturbed(max(0.01, self._service.settings.poll_interval)):
                self._records.look_upstream()

    async def _submit(self, exchange: Exchange) -> Response:
        problem = _problem_of_types(exchange)
        if problem is not None:
            exchange.service.counters.refuse("bad_request")
            return open_ai_error(self._service, 400, f"{self._service.voice.gateway_words.bad_request}{problem}")
        for refusal in exchange.service.scenarios.playing(
            Refusal, exchange.subject, lambda refusal: refusal in _REFUSALS
        ):
            status, code, description = _REFUSALS[refusal]
            exchange.service.counters.close(refusal.value)
            return _own_error(status, code, description)
        if not _reaches_upstream(exchange.request):
            # The upstream answers 404 in a form that the gateway cannot read.
            exchange.service.counters.refuse("unknown_path")
            return _own_error(400, 5, "unmarshal_response_body_failed")
        if exchange.content_type != _JSON:
            exchange.service.counters.refuse("bad_request")
            wrong = spring_error(415, "Unsupported Media Type", "/mj/submit/describe")
            return Response(wrong.body, 415, media_type=_GUESSED)
        try:
            answer = novicezk.submit(exchange.service, self._forwarded(exchange.fields), exchange.client_address)
        except UncheckedDataUriError:
            exchange.service.counters.refuse("crash")
            crash = spring_error(500, "Internal Server Error", "/mj/submit/describe")
            return Response(crash.body, 500, media_type=_GUESSED)
        except novicezk.BadFieldError:
            exchange.service.counters.refuse("bad_request")
            bad = spring_error(400, "Bad Request", "/mj/submit/describe")
            return Response(bad.body, 400, media_type=_GUESSED)
        return await self._passed_on(exchange, answer)

    async def _passed_on(self, exchange: Exchange, answer: SubmitAnswer) -> Response:
        answers.count(exchange, answer)
        if answer.task is None:
            return Response(json_bytes(answer.body), answer.status, media_type=_GUESSED)
        faults = answers.faults_of(exchange, answer.task)
        for fault, description in _GATEWAY_FAULTS.items():
            if fault in faults:
                return _own_error(400, 5, description)
        if AnswerFault.CRASH in faults:
            # Only HTTP 200 from the upstream is charged, and without a result there is nothing to follow.
            crash = spring_error(500, "Internal Server Error", "/mj/submit/describe")
            return Response(crash.body, 500, media_type=_GUESSED)
        upstream = answers.written(answer, faults)
        self._records.add(answer.task, str(answer.body["description"]))
        if answer.body["code"] in _CHARGED:
            exchange.service.counters.charge(answer.task.image.sha256, answer.task.fields.state)
        # A plain replacement of text, which JSON with spaces escapes.
        body = upstream.replace(b'"code":22', b'"code":1').replace(b'"code":21', b'"code":1')
        response = Response(body, answer.status, media_type=_GUESSED)
        return await answers.sent(exchange, response, answer.task, faults)

    async def _fetch(self, exchange: Exchange) -> Response:
        record = self._records.find(exchange.request.path_params["task_id"])
        if record is None:
            return _own_error(400, 4, "task_no_found")
        return Response(json_bytes(self._records.as_body(record)), media_type=_JSON)

    async def _list_by_condition(self, exchange: Exchange) -> Response:
        try:
            ids: Any = exchange.fields.get("ids") or []
        except NotAnObjectError:
            return _own_error(400, 4, "do_request_failed", media_type=_GUESSED)
        if not isinstance(ids, list) or not all(isinstance(given, str) for given in ids):
            return _own_error(400, 4, "do_request_failed", media_type=_GUESSED)
        records = [record for given in sorted(set(ids)) if (record := self._records.find(given)) is not None]
        items = answers.with_list_faults(exchange, [self._records.as_body(record) for record in records])
        return Response(json_bytes(items), media_type=_JSON)

    async def _image(self, exchange: Exchange) -> Response:
        task_id = exchange.request.path_params["task_id"]
        if self._records.find(task_id) is None:
            return Response(json_bytes({"error": "midjourney_task_not_found"}), 400, media_type=_GIN_JSON)
        kept = exchange.service.attachments.get(task_id)
        if kept is None or exchange.service.has_standing(StandingFault.ATTACHMENTS_EXPIRED):
            error = {"error": "This content is no longer available."}
            return Response(json_bytes(error), 404, media_type=_GIN_JSON)
        content, media_type = kept
        return Response(content, media_type=media_type)

    def _forwarded(self, fields: dict[str, Any]) -> dict[str, Any]:
        dropped = {"accountFilter"}
        service = self._service
        if not service.settings.forwards_hooks and not service.has_standing(StandingFault.HOOKS_FORWARDED):
            dropped.add("notifyHook")
        return {name: value for name, value in fields.items() if name not in dropped}


def _bare_key(text: str) -> str:
    key = text.removeprefix("Bearer ").strip().removeprefix("sk-")
    return key.partition("-")[0]


def _reaches_upstream(request: Request) -> bool:
    """Only a first segment of a speed is taken off before a request goes on."""
    mode = request.path_params.get("mode")
    return mode is None or mode.startswith("mj-")


def _own_error(status: int, code: int, description: str, *, media_type: str = _GIN_JSON) -> Response:
    body = {"code": code, "description": f"{description} ", "type": "upstream_error"}
    return Response(json_bytes(body), status, media_type=media_type)


def _problem_of_types(exchange: Exchange) -> str | None:
    try:
        fields = exchange.fields
    except NotAnObjectError:
        return "invalid character looking for beginning of value"
    if not exchange.content_type.startswith(_JSON):
        return None
    for name in _TEXT_FIELDS:
        value = fields.get(name)
        if not isinstance(value, str | None):
            return (
                f"json: cannot unmarshal {_go_kind(value)} into Go struct field MidjourneyRequest.{name} of type string"
            )
    return None


def _go_kind(value: Any) -> str:
    kinds = {bool: "bool", int: "number", float: "number", list: "array", dict: "object"}
    return kinds[type(value)]


#: What ``app.py`` looks for.
DIALECT: Final = NewApiDialect
VOICE: Final = NovicezkVoice
