"""A client whose service is a list of answers, and the protocol's own words."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from airflow_midjourney.describe.model.status import BotType
from airflow_midjourney.describe.service.client import MidjourneyClient, TaskListing
from airflow_midjourney.describe.service.settings import ServiceSettings
from airflow_midjourney.describe.service.transport import ReadRetries

if TYPE_CHECKING:
    from airflow_midjourney.describe.service.submit_response import SubmitOutcome
    from airflow_midjourney.describe.service.tasks import RemoteTask

FIXTURES = Path(__file__).parents[1] / "fixtures/protocol"
SUBMIT_ANSWERS: dict[str, Any] = json.loads((FIXTURES / "submit_answers.json").read_text(encoding="utf-8"))
TASKS: dict[str, Any] = json.loads((FIXTURES / "tasks.json").read_text(encoding="utf-8"))
UNKNOWN: dict[str, Any] = json.loads((FIXTURES / "unknown_task_answers.json").read_text(encoding="utf-8"))

# Its backslash is doubled in a repr, so that hiding the key alone would not hide it there.
KEY = "Very\\Hidden"
TASK = TASKS["novicezk_submitted"]["body"]
TASK_ID = TASK["id"]
ACCEPTED = {"code": 1, "description": "提交成功", "result": TASK_ID, "properties": {}}
MODEL_LIMIT = {"error": {"message": "该令牌无权访问模型 ", "type": "new_api_error"}}
NO_CHANNEL = {"error": {"message": "无可用渠道", "type": "new_api_error"}}

Handler = Callable[[httpx.Request], httpx.Response] | Callable[[httpx.Request], Coroutine[None, None, httpx.Response]]


class Service:
    """Answers from a list, the last one for ever, and remembers what it was asked and how long the client waited."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self._answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.waits: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def wait(self, seconds: float) -> None:
        self.waits.append(seconds)


def settings_with(**changes: Any) -> ServiceSettings:
    return ServiceSettings(**{"name": "mj", "base_url": "https://mj.example/mj-fast/mj", "key": KEY, **changes})


def client_of(service: Service | Handler, **changes: Any) -> MidjourneyClient:
    retries = ReadRetries(sleep=service.wait) if isinstance(service, Service) else ReadRetries(attempts=1)
    transport = httpx.MockTransport(service)
    return MidjourneyClient(settings_with(**changes), transport=transport, retries=retries)


async def list_all(client: MidjourneyClient) -> list[RemoteTask]:
    """Read the service's whole list."""
    found: list[RemoteTask] = []

    def keep(task: RemoteTask) -> bool:
        found.append(task)
        return False

    await client.search_list(keep)
    return found


def show(tasks: Iterable[RemoteTask], look: Callable[[RemoteTask], bool]) -> None:
    """Show the tasks of a list as a client does: until enough of it was seen."""
    any(look(task) for task in tasks)


async def submit_to(client: MidjourneyClient) -> SubmitOutcome:
    async with client:
        return await client.submit_describe(
            data_uri="data:image/png;base64,AAAA", bot_type=BotType.MID_JOURNEY, state="S-1"
        )


def submit(service: Service | Handler, **changes: Any) -> SubmitOutcome:
    return asyncio.run(submit_to(client_of(service, **changes)))


def ask(service: Service | Handler, question: Callable[[MidjourneyClient], Awaitable[Any]], **changes: Any) -> Any:
    async def run() -> Any:
        async with client_of(service, **changes) as client:
            return await question(client)

    return asyncio.run(run())


def fetch(service: Service | Handler, task_id: str = TASK_ID, **changes: Any) -> RemoteTask | None:
    task: RemoteTask | None = ask(service, lambda client: client.fetch(task_id), **changes)
    return task


def listing(service: Service, *task_ids: str) -> TaskListing:
    found: TaskListing = ask(service, lambda client: client.list_by_condition(task_ids))
    return found


def check(service: Service, **changes: Any) -> None:
    ask(service, lambda client: client.check_access(), **changes)
