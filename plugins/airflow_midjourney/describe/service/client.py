"""The remote API: one method per call, typed answers, typed errors."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import quote

from airflow_midjourney.describe.model.errors import (
    ServiceDeniedError,
    ServiceError,
    ServiceProtocolError,
    ServiceUnavailableError,
)
from airflow_midjourney.describe.service.callback_url import callback_address
from airflow_midjourney.describe.service.json_codec import encode
from airflow_midjourney.describe.service.list_reading import ListReading
from airflow_midjourney.describe.service.read_response import CHECK_ADDRESS, data_of, is_missing_route, is_unknown_task
from airflow_midjourney.describe.service.submit_response import (
    Ambiguous,
    HeldBack,
    SubmitOutcome,
    Unavailable,
    read_submit_answer,
)
from airflow_midjourney.describe.service.tasks import RemoteTask, parse_task
from airflow_midjourney.describe.service.transport import Answer, NoAnswer, ReadRetries, Transport, sent_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime
    from types import TracebackType

    import httpx

    from airflow_midjourney.describe.model.status import BotType
    from airflow_midjourney.describe.service.settings import ServiceSettings

#: How many ids one list-by-condition asks for.
IDS_PER_REQUEST: Final = 100

_BY_CONDITION: Final = "/task/list-by-condition"

_SUBMIT_LIMIT: Final = 1024 * 1024
_TASK_LIMIT: Final = 4 * 1024 * 1024
_LIST_LIMIT: Final = 64 * 1024 * 1024

_MEANS_ALL_ROUTES: Final = frozenset({408, 425, 429, 503})

#: No implementation makes such ids; theirs are the time in milliseconds and three digits.
_IMPOSSIBLE_ID: Final = "0"


class ListingUnsupportedError(ServiceProtocolError):
    """The service has no such list, or shows it to no key; novicezk and trueai list all tasks, new-api does not."""


@dataclass(frozen=True, slots=True)
class TaskListing:
    """The tasks that were asked for and found. An absent one is unknown, not failed.

    :param tasks: by id.
    :param malformed: how many items of the answer are no tasks; an absent task may be one of them.
    """

    tasks: dict[str, RemoteTask]
    malformed: int = 0


class MidjourneyClient:
    """Speaks to one service; an async context manager.

    :param settings: where it is and how to speak to it.
    :param transport: what to use in place of the network.
    :param retries: how reads are repeated.
    :raises SettingsError: if the key or the CA bundle of the settings cannot be used.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        retries: ReadRetries | None = None,
    ) -> None:
        self._settings = settings
        self._retries = retries or ReadRetries()
        self._transport = Transport(settings, transport=transport)

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._transport.__aexit__(kind, error, traceback)

    async def submit_describe(
        self,
        *,
        data_uri: str,
        bot_type: BotType,
        state: str,
        callback: str = "",
        complete_before: float = math.inf,
    ) -> SubmitOutcome:
        """Send one image, once, within the total deadline. Raises nothing but cancellation.

        :param data_uri: the image, as ``data:image/png;base64,…``.
        :param bot_type: which bot describes it, where the service has that.
        :param state: comes back with the task; trueai takes at most 255 characters.
        :param callback: what the path of this submission's callbacks ends with; empty to send the address as it is.
        :param complete_before: when the last bytes have to leave, by the clock that runs during sleep.
        """
        payload: dict[str, object] = {"base64": data_uri, "botType": bot_type.value, "state": state}
        if self._settings.notify_url:
            payload["notifyHook"] = callback_address(self._settings.notify_url, callback)
        answer = await self._transport.exchange(
            "POST",
            "/submit/describe",
            body=encode(payload),
            limit=_SUBMIT_LIMIT,
            complete_before=complete_before,
        )
        if isinstance(answer, Answer):
            hidden = (self._settings.key, state, callback)
            return read_submit_answer(answer.status, answer.headers, answer.body, hidden=hidden)
        if answer.held_back:
            return HeldBack(answer.description)
        if answer.nothing_sent:
            return Unavailable(None, None, None, answer.description)
        return Ambiguous(None, None, answer.description)

    async def fetch(self, task_id: str) -> RemoteTask | None:
        """Ask for one task; None if the service does not know it (yet).

        Where the service refuses this route alone, or fails at it, the list by ids is asked instead.

        :raises ServiceDeniedError: if the key may not read.
        :raises ServiceUnavailableError: if there is no answer after a few attempts.
        :raises ServiceProtocolError: if the answer is no task, or another one.
        """
        answer = await self._read("GET", _path_of(task_id), limit=_TASK_LIMIT)
        try:
            return self._fetched(answer, task_id)
        except ServiceError:
            listed = await self._list_instead(answer, task_id)
            if listed is None:
                raise
            return listed.tasks.get(task_id)

    def _fetched(self, answer: Answer | NoAnswer, task_id: str) -> RemoteTask | None:
        if is_unknown_task(answer):
            return None
        task = self._task(data_of(answer, self._settings, task_id=task_id), task_id)
        if task.id != task_id:
            raise ServiceProtocolError(
                f"Connection {self._settings.name!r}: asked for one task, got another", task_id=task_id
            )
        return task

    async def list_by_condition(self, task_ids: Sequence[str]) -> TaskListing:
        """Ask for many tasks, a hundred a request.

        :param task_ids: repeated ones are asked for once; with none there is no request.
        :raises ListingUnsupportedError: if the service has no such route, or refuses it, or fails at it, while it
            answers fetches.
        :raises ServiceDeniedError: if the key may not read.
        :raises ServiceUnavailableError: if there is no answer after a few attempts.
        :raises ServiceProtocolError: if the answer is no list.
        """
        wanted = list(dict.fromkeys(task_ids))
        tasks: dict[str, RemoteTask] = {}
        malformed = 0
        for start in range(0, len(wanted), IDS_PER_REQUEST):
            ids = wanted[start : start + IDS_PER_REQUEST]
            found, unreadable = await asyncio.to_thread(_tasks, await self._list_some(ids), self._parsed)
            malformed += unreadable
            tasks.update(_asked_for(found, ids))
        return TaskListing(tasks, malformed)

    async def search_list(self, look: Callable[[RemoteTask], bool]) -> datetime | None:
        """Read the service's list of tasks, one after the other: all (novicezk), or the newest hundred (trueai).

        It is asked for once: a poll that does not get it is followed by another.

        :param look: is shown each task, and says whether it has seen enough.
        :return: what time it is by the service's own clock, where it says so.
        :raises ListingUnsupportedError: if the service has no such route, as new-api, or refuses it while it answers
            other reads, as gateways with a list of allowed routes do.
        :raises ServiceDeniedError: if the key may not read anything.
        :raises ServiceUnavailableError: if the service answers nothing else either.
        :raises ServiceProtocolError: if the answer is no list of tasks, or the service fails at it while it answers
            other reads. One item that is no task is enough, since what a list lacks proves something only if all of it
            could be read.
        """
        reading = ListReading(look, self._parsed)
        answer = await self._transport.stream("GET", "/task/list", reading.take, limit=_TASK_LIMIT)
        if reading.has_begun and isinstance(answer, Answer):
            if not reading.has_seen_enough:
                self._require_all_read(reading)
            return sent_at(answer.headers)
        if reading.has_seen_enough:
            return None
        try:
            await self._listed(answer)
        except ListingUnsupportedError:
            # What says so of every path is no service at the moment, but a server before it.
            await self.check_access()
            raise
        except ServiceDeniedError as error:
            await self.check_access()
            raise ListingUnsupportedError(
                f"Connection {self._settings.name!r}: the service refuses its list of tasks (HTTP {error.http_status})",
                http_status=error.http_status,
            ) from None
        except ServiceUnavailableError as error:
            await self.check_access()
            said = f"HTTP {error.http_status}" if error.http_status else "no answer"
            raise ServiceProtocolError(
                f"Connection {self._settings.name!r}: the service fails at its list of tasks alone ({said})",
                http_status=error.http_status,
            ) from None
        return None

    def _require_all_read(self, reading: ListReading) -> None:
        if reading.malformed:
            raise ServiceProtocolError(
                f"Connection {self._settings.name!r}: {reading.malformed} items of the list of tasks are no tasks"
            )
        if not reading.has_ended:
            raise ServiceProtocolError(f"Connection {self._settings.name!r}: the list of tasks is no JSON to its end")

    async def check_access(self) -> None:
        """Prove with a free read that the key may read; what it could only submit would be paid for in vain.

        :raises ServiceDeniedError: if it may not; the message names the connection and the cure.
        :raises ServiceUnavailableError: if there is no answer after a few attempts.
        :raises ServiceProtocolError: if what is there is no such service.
        """
        try:
            await self._list_some([])
        except ListingUnsupportedError:
            await self.fetch(_IMPOSSIBLE_ID)

    async def _list_some(self, task_ids: Sequence[str]) -> list[object]:
        answer = await self._read("POST", _BY_CONDITION, limit=_LIST_LIMIT, payload={"ids": list(task_ids)})
        try:
            return await self._listed(answer)
        except ListingUnsupportedError:
            raise
        except ServiceError as error:
            if not await self._answers_fetches(answer):
                raise
            raise ListingUnsupportedError(
                f"Connection {self._settings.name!r}: the service refuses its list of tasks by ids, or fails at it, and"
                f" answers fetches: {error}",
                http_status=error.http_status,
            ) from None

    async def _answers_fetches(self, answer: Answer | NoAnswer) -> bool:
        """Say whether a fetch is answered although another read was not: that route alone is refused, or fails."""
        if not _may_be_the_route(answer):
            return False
        fetched = await self._transport.exchange("GET", _path_of(_IMPOSSIBLE_ID), limit=_TASK_LIMIT)
        return _unlike(fetched, answer) and is_unknown_task(fetched)

    async def _list_instead(self, answer: Answer | NoAnswer, task_id: str) -> TaskListing | None:
        """Ask the list by ids for a task that could not be fetched; None if that has no answer either."""
        if not _may_be_the_route(answer):
            return None
        body = encode({"ids": [task_id]})
        listed = await self._transport.exchange("POST", _BY_CONDITION, limit=_LIST_LIMIT, body=body)
        try:
            found, malformed = _tasks(await self._listed(listed), self._parsed) if _unlike(listed, answer) else ([], 1)
        except ServiceError:
            return None
        return None if malformed else TaskListing(_asked_for(found, [task_id]))

    async def _listed(self, answer: Answer | NoAnswer) -> list[object]:
        if is_missing_route(answer):
            raise ListingUnsupportedError(f"Connection {self._settings.name!r}: the service has no such list of tasks")
        # A list may be tens of megabytes, which take a second to read.
        data = await asyncio.to_thread(data_of, answer, self._settings)
        if data is None:
            return []
        if not isinstance(data, list):
            raise ServiceProtocolError(
                f"Connection {self._settings.name!r}: a list of tasks is a JSON array, and {self._settings.base_url}"
                f" gives something else. {CHECK_ADDRESS}"
            )
        return data

    async def _read(
        self, method: str, path: str, *, limit: int, payload: Mapping[str, object] | None = None
    ) -> Answer | NoAnswer:
        body = None if payload is None else encode(payload)
        return await self._retries.read(lambda: self._transport.exchange(method, path, limit=limit, body=body))

    def _task(self, data: object, task_id: str) -> RemoteTask:
        try:
            return self._parsed(data)
        except ServiceProtocolError as error:
            raise ServiceProtocolError(f"Connection {self._settings.name!r}: {error}", task_id=task_id) from None

    def _parsed(self, item: object) -> RemoteTask:
        """Read one task. All that a task says comes in here, so the key that it may quote stays outside."""
        return parse_task(item).without(self._settings.key)


def _path_of(task_id: str) -> str:
    return f"/task/{quote(task_id, safe='')}/fetch"


def _may_be_the_route(answer: Answer | NoAnswer) -> bool:
    """Say whether another route may fare better: a service that asks for a rest, or gives no answer, means all."""
    return isinstance(answer, Answer) and answer.status not in _MEANS_ALL_ROUTES


def _unlike(one: Answer | NoAnswer, other: Answer | NoAnswer) -> bool:
    """Say whether two routes were answered differently; a server that answers all alike is no such service."""
    return (
        isinstance(one, Answer) and isinstance(other, Answer) and (one.status, one.body) != (other.status, other.body)
    )


def _tasks(items: Iterable[object], parse: Callable[[object], RemoteTask]) -> tuple[list[RemoteTask], int]:
    """Read the items of a list, and count the items that are no tasks."""
    found: list[RemoteTask] = []
    malformed = 0
    for item in items:
        try:
            found.append(parse(item))
        except ServiceProtocolError:
            malformed += 1
    return found, malformed


def _asked_for(found: Iterable[RemoteTask], task_ids: Iterable[str]) -> dict[str, RemoteTask]:
    """Join by id; of two items with one id the first counts, unless only the other has ended."""
    wanted = set(task_ids)
    joined: dict[str, RemoteTask] = {}
    for task in found:
        known = joined.get(task.id)
        if task.id in wanted and (known is None or (task.status.is_final and not known.status.is_final)):
            joined[task.id] = task
    return joined
