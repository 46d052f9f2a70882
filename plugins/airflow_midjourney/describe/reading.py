"""The answers to reads: which are data, and which error the others are. No other place knows these rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.denial import denied_error
from airflow_midjourney.describe.envelope import (
    REDIRECTED,
    WEB_PAGE,
    Envelope,
    is_web_page,
    read_denial,
    read_envelope,
)
from airflow_midjourney.describe.errors import ServiceError, ServiceProtocolError, ServiceUnavailableError
from airflow_midjourney.describe.retrying import is_transient
from airflow_midjourney.describe.transport import Answer, NoAnswer
from airflow_midjourney.describe.wire import decode

if TYPE_CHECKING:
    from airflow_midjourney.describe.service import ServiceSettings

#: new-api spells it without the t.
_UNKNOWN_TASK: Final = ("task_no_found", "task_not_found")


def is_unknown_task(answer: Answer | NoAnswer) -> bool:
    """Tell whether a fetch found no such task: an empty 200 (novicezk), 204 (trueai), 400 (new-api)."""
    if isinstance(answer, NoAnswer):
        return False
    if answer.status in (200, 204):
        return answer.body.strip() in (b"", b"null")
    return answer.status == 400 and read_envelope(answer.body).description.startswith(_UNKNOWN_TASK)


def is_missing_route(answer: Answer | NoAnswer) -> bool:
    """Tell whether the service does not know the path; new-api then shows its front page with status 200."""
    if isinstance(answer, NoAnswer):
        return False
    return answer.status in (404, 405) or (answer.status == 200 and is_web_page(answer.body))


def data_of(answer: Answer | NoAnswer, settings: ServiceSettings, *, task_id: str | None = None) -> object:
    """Give the JSON of an answer, or raise what it is instead.

    :param task_id: the task that was asked for, if any.
    :raises ServiceDeniedError: if the key is refused.
    :raises ServiceUnavailableError: if there was no answer, or one that a later attempt may change.
    :raises ServiceProtocolError: if no known dialect answers so.
    """
    if isinstance(answer, NoAnswer):
        raise ServiceUnavailableError(
            f"Connection {settings.name!r}: no answer from {settings.base_url}: {answer.description}",
            retry_helps=True,
            task_id=task_id,
        )
    if 200 <= answer.status < 300:
        return _data(answer, settings, task_id)
    envelope = read_envelope(answer.body, hidden=(settings.key,))
    denied = read_denial(answer.status, envelope)
    if denied is not None:
        raise denied_error(denied, settings, task_id=task_id)
    raise _other_status(answer, envelope, settings, task_id)


def _data(answer: Answer, settings: ServiceSettings, task_id: str | None) -> object:
    if not answer.complete:
        raise _protocol_error(answer, "an answer too long to be read", settings, task_id)
    if is_web_page(answer.body):
        raise _protocol_error(answer, f"{WEB_PAGE}: the host names something else", settings, task_id)
    try:
        data = decode(answer.body)
    except ValueError:
        data = _NOT_JSON
    if data is _NOT_JSON:
        raise _protocol_error(answer, "an answer that is not JSON", settings, task_id)
    if isinstance(data, dict) and data.get("success") is False:
        raise _other_status(answer, read_envelope(answer.body, hidden=(settings.key,)), settings, task_id)
    return data


_NOT_JSON: Final = object()


def _other_status(answer: Answer, envelope: Envelope, settings: ServiceSettings, task_id: str | None) -> ServiceError:
    """Make the error of an answer that is neither data nor a refusal of the key."""
    said = envelope.description or "no explanation"
    if is_transient(answer) or envelope.made_by_gateway or envelope.refused:
        return ServiceUnavailableError(
            f"Connection {settings.name!r}: the service cannot answer now: HTTP {answer.status} ({said})",
            retry_helps=True,
            http_status=answer.status,
            code=envelope.code,
            task_id=task_id,
        )
    if 300 <= answer.status < 400:
        said = REDIRECTED
    elif answer.status in (404, 405):
        said = "no such path: check the host, and the path before /mj, of the connection"
    return _protocol_error(answer, said, settings, task_id, code=envelope.code)


def _protocol_error(
    answer: Answer, said: str, settings: ServiceSettings, task_id: str | None, *, code: int | None = None
) -> ServiceProtocolError:
    return ServiceProtocolError(
        f"Connection {settings.name!r}: HTTP {answer.status} from {settings.base_url}: {said}",
        http_status=answer.status,
        code=code,
        task_id=task_id,
    )
