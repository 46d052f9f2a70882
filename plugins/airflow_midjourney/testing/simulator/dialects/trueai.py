"""trueai-org/midjourney-proxy 11.10 over HTTP."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response

from airflow_midjourney.testing.simulator.dialects import answers
from airflow_midjourney.testing.simulator.dialects.trueai_submit import (
    REFUSALS,
    UnacceptableError,
    accepted,
    given_image,
    stored_address,
    success_false,
    told_fields,
)
from airflow_midjourney.testing.simulator.dialects.trueai_task import TrueAiVoice, task_body
from airflow_midjourney.testing.simulator.effects import AnswerFault, Refusal, RouteName, StandingFault
from airflow_midjourney.testing.simulator.exchange import Exchange, NotAnObjectError, json_bytes
from airflow_midjourney.testing.simulator.identifiers import now_milliseconds
from airflow_midjourney.testing.simulator.model import TaskStatus

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request

    from airflow_midjourney.testing.simulator.dialects.answers import SubmitAnswer
    from airflow_midjourney.testing.simulator.model import SimulatedTask
    from airflow_midjourney.testing.simulator.service import SimulatedService

_JSON: Final = "application/json; charset=utf-8"
_LISTED: Final = 100


class TrueAiDialect:
    """trueai's routes; the key is the whole ``Authorization`` header, or else ``mj-api-secret``."""

    prefixes: tuple[str, ...] = ("", "/mj-fast", "/mj-turbo", "/mj-relax")
    body_limit: int | None = 30_000_000

    def __init__(self, service: SimulatedService) -> None:
        self._service = service

    @property
    def handlers(self) -> Mapping[RouteName, Callable[[Exchange], Awaitable[Response]]]:
        """All but queue and image."""
        return {
            RouteName.SUBMIT: self._submit,
            RouteName.FETCH: self._fetch,
            RouteName.LIST_BY_CONDITION: self._list_by_condition,
            RouteName.LIST: self._list,
            RouteName.CANCEL: self._cancel,
        }

    def refusal_of_key(self, request: Request, route: RouteName) -> Response | None:
        """401 as text; without a configured key, guests are welcome."""
        key = self._service.settings.key
        given = request.headers.get("authorization") or request.headers.get("mj-api-secret")
        if key and given != key:
            return Response("Authorization header missing.", 401, media_type="text/plain")
        return None

    def unknown_path(self, request: Request, status: int) -> Response:
        """No body."""
        return Response(status_code=status)

    def too_large(self) -> Response:
        """Kestrel's: no body."""
        return Response(status_code=413)

    async def work(self) -> None:
        """Nothing."""

    async def _submit(self, exchange: Exchange) -> Response:
        if exchange.content_type != "application/json":
            return Response(status_code=415)
        try:
            answer = await self._answer(exchange)
        except NotAnObjectError as error:
            answer = success_false(str(error), "bad_request")
        except UnacceptableError as error:
            answer = error.answer
        answers.count(exchange, answer)
        if answer.task is None:
            return Response(json_bytes(answer.body), answer.status, media_type=_JSON)
        exchange.service.counters.charge(answer.task.image.sha256, answer.task.fields.state)
        faults = answers.faults_of(exchange, answer.task)
        response = Response(answers.written(answer, faults), answer.status, media_type=_JSON)
        if AnswerFault.CRASH in faults:
            response = Response(json_bytes(success_false("操作失败", "crash").body), 500, media_type=_JSON)
        return await answers.sent(exchange, response, answer.task, faults)

    async def _answer(self, exchange: Exchange) -> SubmitAnswer:
        service = exchange.service
        told = told_fields(exchange)
        image = given_image(exchange.fields)
        for refusal in service.scenarios.playing(Refusal, image.sha256, lambda refusal: refusal in REFUSALS):
            return REFUSALS[refusal]
        plan = service.plan(image)
        if told.language in {"zh", "zh_cn"}:
            plan = replace(plan, translated=True)
        # The picture is uploaded before the answer, so a slow upload is a slow submit.
        await service.pause(plan.upload)
        admission = service.accept(image, told, plan)
        if admission is None:
            return REFUSALS[Refusal.FULL]
        admission.task.image_url = image.link or stored_address(service.lifecycle.public_url, admission.task)
        return accepted(admission)

    async def _fetch(self, exchange: Exchange) -> Response:
        task = exchange.service.find(exchange.request.path_params["task_id"])
        if task is None:
            return Response(status_code=204)
        return Response(json_bytes(task_body(task)), media_type=_JSON)

    async def _list_by_condition(self, exchange: Exchange) -> Response:
        try:
            ids: Any = exchange.fields.get("ids") or []
        except NotAnObjectError as error:
            return Response(json_bytes(success_false(str(error), "bad_request").body), media_type=_JSON)
        if not isinstance(ids, list) or not all(isinstance(given, str) for given in ids):
            return Response(json_bytes(success_false("ids", "bad_request").body), media_type=_JSON)
        wanted = {given.strip() for given in ids}
        found = [task for given in sorted(wanted) if (task := exchange.service.find(given)) is not None]
        return _list_answer(exchange, found)

    async def _list(self, exchange: Exchange) -> Response:
        return _list_answer(exchange, exchange.service.newest_first()[:_LISTED])

    async def _cancel(self, exchange: Exchange) -> Response:
        service = exchange.service
        if not service.settings.administrator and not service.has_standing(StandingFault.ADMINISTRATOR):
            return Response("演示模式，禁止操作", 400, media_type="text/plain; charset=utf-8")
        task = service.find(exchange.request.path_params["task_id"])
        if task is not None and not task.ended:
            service.withdraw(task)
            task.status, task.progress, task.fail_reason = TaskStatus.FAILURE, "", "取消任务"
            task.finish_time = now_milliseconds()
            service.counters.ended[task.status] += 1
            service.callbacks.ended(task)
        return Response()


def _list_answer(exchange: Exchange, tasks: list[SimulatedTask]) -> Response:
    items = answers.with_list_faults(exchange, [task_body(task) for task in tasks])
    return Response(json_bytes(items), media_type=_JSON)


#: What ``app.py`` looks for.
DIALECT: Final = TrueAiDialect
VOICE: Final = TrueAiVoice
