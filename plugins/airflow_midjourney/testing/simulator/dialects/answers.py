"""Answers to submits, and what may go wrong with them on the way back."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response

from airflow_midjourney.testing.simulator.effects import AnswerFault, ListFault
from airflow_midjourney.testing.simulator.exchange import Exchange, json_bytes

if TYPE_CHECKING:
    from airflow_midjourney.testing.simulator.model import SimulatedTask

_GATEWAY_TIMEOUT: Final = "<html><head><title>504 Gateway Time-out</title></head></html>"
_BODY_FAULTS: Final = frozenset({AnswerFault.NUMERIC_RESULT, AnswerFault.QUEUED_CODE, AnswerFault.SPACED_JSON})


@dataclass(frozen=True, slots=True)
class SubmitAnswer:
    """What a native service says to a submit.

    :param task: the task that was made; None if the submit was refused.
    :param refused: the word under which a refusal is counted.
    :param closes: whether others would be refused too.
    """

    body: dict[str, Any]
    status: int = 200
    task: SimulatedTask | None = None
    refused: str = ""
    closes: bool = False


def count(exchange: Exchange, answer: SubmitAnswer) -> None:
    """Count a refusal."""
    if answer.task is None and answer.closes:
        exchange.service.counters.close(answer.refused)
    elif answer.task is None:
        exchange.service.counters.refuse(answer.refused)


def faults_of(exchange: Exchange, task: SimulatedTask) -> set[AnswerFault]:
    """What goes wrong with the answer that tells of this task."""
    return set(exchange.service.scenarios.playing(AnswerFault, task.image.sha256))


def written(answer: SubmitAnswer, faults: set[AnswerFault]) -> bytes:
    """The body as the native service writes it."""
    body = dict(answer.body)
    if AnswerFault.QUEUED_CODE in faults:
        queued = replace(answer, body=queued_body(body, 1))
        body = queued.body
    if AnswerFault.NUMERIC_RESULT in faults and str(body["result"]).isdecimal():
        body["result"] = int(body["result"])
    if AnswerFault.SPACED_JSON in faults:
        return json.dumps(body, ensure_ascii=False).encode()
    return json_bytes(body)


def queued_body(body: dict[str, Any], ahead: int) -> dict[str, Any]:
    """The answer for a task that waits behind others."""
    return {
        **body,
        "code": 22,
        "description": f"排队中，前面还有{ahead}个任务",
        "properties": {"numberOfQueues": ahead, **body["properties"]},
    }


async def sent(exchange: Exchange, response: Response, task: SimulatedTask, faults: set[AnswerFault]) -> Response:
    """The answer as it reaches the client, with all that goes wrong on the way."""
    service = exchange.service
    if AnswerFault.AFTER_CALLBACK in faults:
        await service.callbacks.wait_for(task)
    if AnswerFault.SILENCE in faults:
        await service.pause(service.settings.hang)
    if AnswerFault.RESET in faults:
        service.connections.cut(exchange.request.client)
    if AnswerFault.BAD_GATEWAY in faults:
        return Response(_GATEWAY_TIMEOUT, 504, media_type="text/html")
    kind = {"Content-Type": response.headers["content-type"]}
    if AnswerFault.TRUNCATED in faults:
        return Response(bytes(response.body)[: len(response.body) * 2 // 3], response.status_code, kind)
    if AnswerFault.EMPTY in faults:
        return Response(b"", response.status_code)
    if AnswerFault.BYTE_ORDER_MARK in faults:
        return Response(b"\xef\xbb\xbf" + bytes(response.body), response.status_code, kind)
    return response


def with_list_faults(exchange: Exchange, tasks: list[dict[str, Any]]) -> list[Any]:
    """A list of tasks with all that goes wrong with lists."""
    service = exchange.service
    items: list[Any] = list(tasks)
    subjects = [service.subject_of(str(task["id"])) for task in tasks]
    for fault, hit in service.scenarios.playing_in_list(ListFault, subjects):
        if fault is ListFault.EMPTY:
            items = []
        elif fault is ListFault.DUPLICATES:
            items = [item for item in items for _ in range(2)]
        elif fault is ListFault.SHUFFLED:
            items = service.identifiers.shuffled(items)
        elif fault is ListFault.MISSING:
            items = [item for place, item in enumerate(items) if place not in hit]
        else:
            items = [_malformed(item) if place in hit else item for place, item in enumerate(items)]
    return items


def _malformed(task: dict[str, Any]) -> dict[str, Any]:
    return {**task, "state": 12345, "submitTime": "yesterday", "status": None, "properties": "none"}
