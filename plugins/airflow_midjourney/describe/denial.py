"""What to tell a person whose key is refused: the connection, what was said, and the cure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.complaints import says_model_limit, says_uploads_off
from airflow_midjourney.describe.envelope import WEB_PAGE
from airflow_midjourney.describe.errors import ServiceDeniedError

if TYPE_CHECKING:
    from airflow_midjourney.describe.outcome import Denied
    from airflow_midjourney.describe.service import AuthMode, ServiceSettings

_SENT_AS: Final[dict[AuthMode, str]] = {
    "bearer": "'Authorization: Bearer' and 'mj-api-secret'",
    "secret": "'mj-api-secret' alone",
    "token": "a bare 'Authorization'",
}


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
        return "There is no credit left: top up the account or use another key."
    if denied.kind == "unauthorised":
        return _cure_unauthorised(denied, settings)
    if denied.description == WEB_PAGE:
        return "A firewall in front of the service turns this machine away: ask its operator to let it through."
    if says_model_limit(denied.description):
        return (
            "The key is limited to certain models, and the gateway then refuses every read of tasks: "
            "use a key without model limits."
        )
    if says_uploads_off(denied.description):
        return "The service takes no images at all: its operator has to switch uploads on."
    return "The key, its user or this machine's address is not allowed: ask the operator of the service."


def _cure_unauthorised(denied: Denied, settings: ServiceSettings) -> str:
    others = " or ".join(f"'{mode}' ({sent})" for mode, sent in _SENT_AS.items() if mode != settings.auth)
    key = "Check the API key in the password field" if settings.key else "Put the API key into the password field"
    cure = f"{key}; it was sent as {_SENT_AS[settings.auth]}, the extra 'auth' may be {others}."
    if denied.description:
        return cure
    # novicezk refuses so, and new-api passes on what its own upstream says.
    return f"It is the midjourney-proxy itself that refuses; behind a gateway, the gateway's own key. {cure}"
