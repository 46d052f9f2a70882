"""What a task of the remote API is, in every dialect, and how its answer reads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from airflow_midjourney.describe.model.errors import ServiceProtocolError
from airflow_midjourney.describe.model.status import Reason
from airflow_midjourney.describe.model.text import may_be_a_word, presentable, storable, without
from airflow_midjourney.describe.service.dialects import reason_in, status_of
from airflow_midjourney.describe.service.dialects.dialect import RemoteTaskStatus
from airflow_midjourney.describe.service.json_codec import as_identifier, as_integer, as_text
from airflow_midjourney.describe.service.prompts import MOST_PROMPTS, ParsedPrompts, parse_prompts

_DETAIL_LIMIT: Final = 500

#: Times outside of these, in milliseconds, are no times: 0 is new-api's word for none.
_EARLIEST: Final = int(datetime(2015, 1, 1, tzinfo=UTC).timestamp() * 1000)
_LATEST: Final = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp() * 1000)


@dataclass(frozen=True, slots=True)
class RemoteTask:
    """One task as the service shows it.

    :param id: its opaque id, every digit and leading zero kept.
    :param status: its state; a word that no dialect knows reads as IN_PROGRESS.
    :param state: the text that was sent along; empty where none was, and in new-api before its first poll.
    :param texts: what may be the answer, the likeliest first; empty texts left out.
    :param fail_reason: what the service says went wrong; empty if nothing.
    :param submit_time: when the service took it, in UTC.
    :param start_time: when the bot took it, in UTC.
    :param finish_time: when it ended, in UTC.
    :param progress: a percentage or empty. Says nothing: new-api shows 100% on failures.
    """

    id: str
    status: RemoteTaskStatus
    state: str = ""
    texts: tuple[str, ...] = ()
    fail_reason: str = ""
    submit_time: datetime | None = None
    start_time: datetime | None = None
    finish_time: datetime | None = None
    progress: str = ""

    def without(self, key: str) -> RemoteTask:
        """Give the task as it may be stored and shown: what the service says of it does not repeat the API key.

        A key that could be a word of a description is left in descriptions, which it would spoil.
        """
        texts = self.texts if may_be_a_word(key) else tuple(without(text, (key,)) for text in self.texts)
        said, progress = (without(text, (key,)) for text in (self.fail_reason, self.progress))
        if (texts, said, progress) == (self.texts, self.fail_reason, self.progress):
            return self
        return replace(self, texts=texts, fail_reason=said, progress=progress)


@dataclass(frozen=True, slots=True)
class Waiting:
    """There is no answer yet."""

    status: RemoteTaskStatus


@dataclass(frozen=True, slots=True)
class Described:
    """There are prompts.

    :param raw: the text they were read from, fit to be stored.
    """

    prompts: ParsedPrompts
    raw: str


@dataclass(frozen=True, slots=True)
class Ended:
    """There will be no prompts.

    :param detail: the service's own words, on one line.
    """

    reason: Reason
    detail: str


def parse_task(obj: object) -> RemoteTask:
    """Read a task of any dialect from decoded JSON.

    :raises ServiceProtocolError: if it is no task: no object, without an id, or with a status that is no
        word.
    """
    if not isinstance(obj, dict):
        raise ServiceProtocolError(f"a task is a JSON object, not {type(obj).__name__}")
    task_id = as_identifier(obj.get("id"))
    if task_id is None:
        raise ServiceProtocolError("a task without an id")
    return RemoteTask(
        id=task_id,
        status=_status(obj.get("status"), task_id),
        state=storable(as_text(obj.get("state"))),
        texts=_texts(obj),
        fail_reason=storable(as_text(obj.get("failReason"))),
        submit_time=_time(obj.get("submitTime")),
        start_time=_time(obj.get("startTime")),
        finish_time=_time(obj.get("finishTime")),
        progress=storable(as_text(obj.get("progress"))),
    )


def read_answer(task: RemoteTask) -> Waiting | Described | Ended:
    """Say what has become of a task.

    novicezk 2.6.3 reports SUCCESS with an error sentence in place of the prompts, and FAILURE for a timeout
    with all prompts filled in, so the text decides. trueai shows prompts before a task has ended; it still
    waits.
    """
    if not task.status.is_final:
        return Waiting(task.status)
    described = _described(task.texts)
    if task.status is RemoteTaskStatus.SUCCESS:
        return described or _false_success(task.texts)
    if described is not None and len(described.prompts.prompts) == MOST_PROMPTS:
        return described
    return _failure(task.fail_reason)


def _described(texts: tuple[str, ...]) -> Described | None:
    for text in texts:
        prompts = parse_prompts(text)
        if prompts is not None:
            return Described(prompts, storable(text))
    return None


def _false_success(texts: tuple[str, ...]) -> Ended:
    if not texts:
        return Ended(Reason.UNPARSEABLE, "SUCCESS without any text")
    return Ended(reason_in(texts[0]) or Reason.UNPARSEABLE, presentable(texts[0], limit=_DETAIL_LIMIT))


def _failure(fail_reason: str) -> Ended:
    detail = presentable(fail_reason, limit=_DETAIL_LIMIT)
    return Ended(reason_in(fail_reason) or Reason.SERVICE_ERROR, detail or "FAILURE without a reason")


def _status(value: object, task_id: str) -> RemoteTaskStatus:
    if value is not None and not isinstance(value, str):
        raise ServiceProtocolError("a task whose status is no word", task_id=task_id)
    word = (value or "").strip().upper()
    if word in RemoteTaskStatus.__members__:
        return RemoteTaskStatus[word]
    return status_of(word) or RemoteTaskStatus.IN_PROGRESS


def _texts(obj: dict[object, object]) -> tuple[str, ...]:
    """List what may be the answer: trueai leaves English only in promptEn, new-api never fills prompt."""
    properties = obj.get("properties")
    final_prompt = properties.get("finalPrompt") if isinstance(properties, dict) else None
    candidates = (obj.get("promptEn"), final_prompt, obj.get("prompt"))
    texts = (storable(text) for text in candidates if isinstance(text, str))
    return tuple(text for text in texts if text.strip())


def _time(value: object) -> datetime | None:
    milliseconds = as_integer(value)
    if milliseconds is None or not _EARLIEST <= milliseconds < _LATEST:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
