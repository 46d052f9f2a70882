"""The answers to reads: which are data, and which error the others are. No other place knows these rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.model.errors import (
    ServiceDeniedError,
    ServiceError,
    ServiceProtocolError,
    ServiceUnavailableError,
)
from airflow_midjourney.describe.service import dialects
from airflow_midjourney.describe.service.dialects.dialect import Says, is_web_page
from airflow_midjourney.describe.service.json_codec import decode
from airflow_midjourney.describe.service.submit_response import (
    REDIRECTED,
    WEB_PAGE,
    Envelope,
    read_denial,
    read_envelope,
)
from airflow_midjourney.describe.service.transport import Answer, NoAnswer, is_transient

if TYPE_CHECKING:
    from airflow_midjourney.describe.service.settings import AuthMode, ServiceSettings
    from airflow_midjourney.describe.service.submit_response import Denied

_NOT_JSON: Final = object()

#: What to do where nothing answers, and where something else answers than was asked.
CHECK_REACH: Final = (
    "Check host and port, whether the service is up, and whether this machine may reach it; workers and the triggerer"
    " need to reach it, too."
)
CHECK_ADDRESS: Final = "Check the host, and the path before /mj: it has to be the address of the service's API."

#: What becomes of images that were paid for with the key that an advice replaces.
_NEW_KEY: Final = (
    "Another key is another account here, and images that are on their way wait for the old one, unless the extra"
    " 'account' gives both the same name."
)

_SENT_AS: Final[dict[AuthMode, str]] = {
    "bearer": "'Authorization: Bearer' and 'mj-api-secret'",
    "secret": "'mj-api-secret' alone",
    "token": "a bare 'Authorization'",
}


def is_unknown_task(answer: Answer | NoAnswer) -> bool:
    """Tell whether a fetch found no such task."""
    if isinstance(answer, NoAnswer):
        return False
    said = "" if 200 <= answer.status < 300 else read_envelope(answer.body).description
    return dialects.is_unknown_task(answer.status, answer.body, said)


def is_missing_route(answer: Answer | NoAnswer) -> bool:
    """Tell whether the service does not have the path."""
    return isinstance(answer, Answer) and dialects.is_missing_route(answer.status, answer.body)


def data_of(answer: Answer | NoAnswer, settings: ServiceSettings, *, task_id: str | None = None) -> object:
    """Give the JSON of an answer, or raise what it is instead.

    :param task_id: the task that was asked for, if any.
    :raises ServiceDeniedError: if the key is refused.
    :raises ServiceUnavailableError: if there was no answer, or one that a later attempt may change.
    :raises ServiceProtocolError: if no known dialect answers so.
    """
    if isinstance(answer, NoAnswer):
        raise ServiceUnavailableError(
            f"Connection {settings.name!r}: no answer from {settings.base_url}: {answer.description}. {CHECK_REACH}",
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


def _other_status(answer: Answer, envelope: Envelope, settings: ServiceSettings, task_id: str | None) -> ServiceError:
    """Make the error of an answer that is neither data nor a refusal of the key."""
    said = envelope.description or "no explanation"
    if is_transient(answer) or envelope.made_by_gateway or envelope.refused:
        return ServiceUnavailableError(
            f"Connection {settings.name!r}: the service cannot answer now: HTTP {answer.status} ({said})."
            f" {CHECK_REACH}",
            retry_helps=True,
            http_status=answer.status,
            code=envelope.code,
            task_id=task_id,
        )
    if 300 <= answer.status < 400:
        said = REDIRECTED
    elif answer.status in (404, 405):
        said = "no such path"
    return _protocol_error(answer, said, settings, task_id, code=envelope.code)


def _protocol_error(
    answer: Answer, said: str, settings: ServiceSettings, task_id: str | None, *, code: int | None = None
) -> ServiceProtocolError:
    return ServiceProtocolError(
        f"Connection {settings.name!r}: HTTP {answer.status} from {settings.base_url}: {said}. {CHECK_ADDRESS}",
        http_status=answer.status,
        code=code,
        task_id=task_id,
    )


def denied_error(denied: Denied, settings: ServiceSettings, *, task_id: str | None = None) -> ServiceDeniedError:
    """Make the error for a refused key, on a submit or on a read alike.

    :param denied: what the service said.
    :param settings: names the connection and how the key was sent.
    :param task_id: the task that was asked for, if any.
    """
    said = f" ({denied.description})" if denied.description else " with an empty body"
    return ServiceDeniedError(
        f"Connection {settings.name!r}: the service answers HTTP {denied.http_status}{said}. {_cure(denied, settings)}",
        http_status=denied.http_status,
        code=denied.code,
        task_id=task_id,
    )


def _cure(denied: Denied, settings: ServiceSettings) -> str:
    if denied.kind == "no_credit":
        return f"There is no credit left: top up the account. {_NEW_KEY}"
    if denied.kind == "unauthorised":
        return _cure_unauthorised(denied, settings)
    if denied.description == WEB_PAGE:
        return "A firewall in front of the service turns this machine away: ask its operator to let it through."
    if dialects.says(Says.MODEL_LIMIT, denied.description):
        return (
            "The key is limited to certain models, and the gateway then refuses every read of tasks: "
            f"use a key without model limits. {_NEW_KEY}"
        )
    if dialects.says(Says.UPLOADS_OFF, denied.description):
        return "The service takes no images at all: its operator has to switch uploads on."
    return "The key, its user or this machine's address is not allowed: ask the operator of the service."


def _cure_unauthorised(denied: Denied, settings: ServiceSettings) -> str:
    others = " or ".join(f"'{mode}' ({sent})" for mode, sent in _SENT_AS.items() if mode != settings.auth)
    if not settings.key:
        return "The connection has no API key: put it into the password field."
    cure = (
        "Check the API key in the password field: it may be wrong, expired, switched off or used up, and some gateways"
        f" say the same of all four; it was sent as {_SENT_AS[settings.auth]}, the extra 'auth' may be {others}."
        f" {_NEW_KEY}"
    )
    if denied.description:
        return cure
    # novicezk refuses so, and new-api passes on what its own upstream says.
    return f"It is the midjourney-proxy itself that refuses; behind a gateway, the gateway's own key. {cure}"
