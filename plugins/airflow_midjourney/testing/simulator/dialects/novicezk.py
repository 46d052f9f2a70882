"""novicezk/midjourney-proxy 2.6.3 over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response

from airflow_midjourney.testing.simulator.data_uri import MalformedDataUriError, UncheckedDataUriError, read_strictly
from airflow_midjourney.testing.simulator.dialects import answers
from airflow_midjourney.testing.simulator.dialects.answers import SubmitAnswer
from airflow_midjourney.testing.simulator.dialects.novicezk_task import NovicezkVoice, task_body
from airflow_midjourney.testing.simulator.effects import AnswerFault, Refusal, RouteName
from airflow_midjourney.testing.simulator.exchange import JSON, Exchange, NotAnObjectError, json_bytes, spring_error
from airflow_midjourney.testing.simulator.model import CHANNEL, SubmitFields, TaskStatus

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request

    from airflow_midjourney.testing.simulator.model import SimulatedTask
    from airflow_midjourney.testing.simulator.service import SimulatedService

_HTTP_ERRORS: Final = {
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    415: "Unsupported Media Type",
    500: "Internal Server Error",
}


class BadFieldError(ValueError):
    """A field of the request has a type that the service cannot convert."""


class NovicezkDialect:
    """novicezk's routes; only ``mj-api-secret`` counts as a key."""

    prefixes: tuple[str, ...] = ("",)
    body_limit: int | None = None

    def __init__(self, service: SimulatedService) -> None:
        self._service = service

    @property
    def handlers(self) -> Mapping[RouteName, Callable[[Exchange], Awaitable[Response]]]:
        """All but cancel and image."""
        return {
            RouteName.SUBMIT: self._submit,
            RouteName.FETCH: self._fetch,
            RouteName.LIST_BY_CONDITION: self._list_by_condition,
            RouteName.LIST: self._list,
            RouteName.QUEUE: self._queue,
        }

    def refusal_of_key(self, request: Request, route: RouteName) -> Response | None:
        """401 without a body."""
        key = self._service.settings.key
        if key and request.headers.get("mj-api-secret") != key:
            return Response(status_code=401)
        return None

    def unknown_path(self, request: Request, status: int) -> Response:
        """Spring's JSON."""
        return _error(status, request.url.path)

    def too_large(self) -> Response:
        """An empty 413, which only something before the service would send."""
        return Response(status_code=413)

    async def work(self) -> None:
        """Nothing."""

    async def _submit(self, exchange: Exchange) -> Response:
        path = exchange.request.url.path
        if exchange.content_type != JSON:
            return _error(415, path)
        try:
            answer = submit(exchange.service, exchange.fields, exchange.client_address)
        except (NotAnObjectError, BadFieldError):
            return _error(400, path)
        except UncheckedDataUriError:
            exchange.service.counters.refuse("crash")
            return _error(500, path)
        answers.count(exchange, answer)
        if answer.task is None:
            return Response(json_bytes(answer.body), answer.status, media_type=JSON)
        exchange.service.counters.charge(answer.task.image.sha256, answer.task.fields.state)
        faults = answers.faults_of(exchange, answer.task)
        response = Response(answers.written(answer, faults), answer.status, media_type=JSON)
        if AnswerFault.CRASH in faults:
            response = _error(500, path)
        return await answers.sent(exchange, response, answer.task, faults)

    async def _fetch(self, exchange: Exchange) -> Response:
        task = exchange.service.find(exchange.request.path_params["task_id"])
        if task is None:
            return Response()
        return Response(json_bytes(task_body(task)), media_type=JSON)

    async def _list_by_condition(self, exchange: Exchange) -> Response:
        if exchange.content_type != JSON:
            return _error(415, exchange.request.url.path)
        try:
            ids = _texts(exchange.fields.get("ids"))
        except (NotAnObjectError, BadFieldError):
            return _error(400, exchange.request.url.path)
        found = {task.id: task for given in ids if (task := exchange.service.find(given))}
        # The service lists queued tasks first and the others in hash order, never in the order asked for.
        ordered = sorted(found.values(), key=lambda task: (task.status is not TaskStatus.NOT_START, hash(task.id)))
        return _list_answer(exchange, ordered)

    async def _list(self, exchange: Exchange) -> Response:
        return _list_answer(exchange, exchange.service.newest_first())

    async def _queue(self, exchange: Exchange) -> Response:
        unfinished = [task for task in exchange.service.newest_first() if not task.ended]
        return _list_answer(exchange, unfinished[::-1])


def submit(service: SimulatedService, fields: dict[str, Any], client_address: str) -> SubmitAnswer:
    """What the service makes of a submit.

    :raises BadFieldError: for a field that cannot be converted to text; there it answers 400.
    :raises UncheckedDataUriError: for a data URI without a comma; there it crashes.
    """
    given = {name: _text(fields.get(name)) for name in ("base64", "state", "notifyHook")}
    if not (given["base64"] or "").strip():
        return refused(4, "base64不能为空", "bad_image")
    try:
        image = read_strictly(given["base64"] or "")
    except MalformedDataUriError:
        return refused(4, "base64格式错误", "bad_image")
    for refusal in service.scenarios.playing(Refusal, image.sha256, lambda refusal: refusal in _REFUSALS):
        return _REFUSALS[refusal]
    told = SubmitFields(
        state=given["state"],
        notify_hook=(given["notifyHook"] or "").strip() or None,
        client_address=client_address,
    )
    admission = service.accept(image, told, service.plan(image))
    if admission is None:
        return _REFUSALS[Refusal.FULL]
    body = _accepted_body(admission.task)
    if admission.ahead:
        body = answers.queued_body(body, admission.ahead)
    return SubmitAnswer(body, task=admission.task)


def refused(code: int, description: str, reason: str, *, closes: bool = False, placed: bool = False) -> SubmitAnswer:
    """The answer that refuses a submit.

    :param placed: whether an account had been chosen already, which the answer then names.
    """
    properties = {"discordInstanceId": CHANNEL} if placed else {}
    body = {"code": code, "description": description, "result": None, "properties": properties}
    return SubmitAnswer(body, refused=reason, closes=closes)


_REFUSALS: Final = {
    Refusal.FULL: refused(23, "队列已满，请稍后尝试", "queue_full", closes=True, placed=True),
    Refusal.NO_ACCOUNT: refused(3, "无可用的账号实例", "no_account", closes=True),
    Refusal.CRASH: refused(9, "提交失败，系统异常", "crash", closes=True, placed=True),
}


def _accepted_body(task: SimulatedTask) -> dict[str, Any]:
    properties = {"discordInstanceId": CHANNEL}
    description = "提交成功"
    if task.plan.plus_family:
        properties, description = {"discordChannelId": CHANNEL, **properties}, "Submit success"
    return {"code": 1, "description": description, "result": task.id, "properties": properties}


def _list_answer(exchange: Exchange, tasks: list[SimulatedTask]) -> Response:
    items = answers.with_list_faults(exchange, [task_body(task) for task in tasks])
    return Response(json_bytes(items), media_type=JSON)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    raise BadFieldError(type(value).__name__)


def _texts(value: Any) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadFieldError(type(value).__name__)
    return [_text(each) or "" for each in value]


def _error(status: int, path: str) -> Response:
    return spring_error(status, _HTTP_ERRORS[status], path)


#: What ``app.py`` looks for.
DIALECT: Final = NovicezkDialect
VOICE: Final = NovicezkVoice
