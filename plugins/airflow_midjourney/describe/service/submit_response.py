"""The answer to a submit: HTTP status, headers and body in, outcome out. No other place knows these rules.

What codes and phrases mean, the dialects say. Content types are not looked at: new-api sends its JSON as
``text/plain``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from airflow_midjourney.describe.model.status import Reason
from airflow_midjourney.describe.model.text import presentable
from airflow_midjourney.describe.service import dialects
from airflow_midjourney.describe.service.dialects.dialect import Says, is_web_page
from airflow_midjourney.describe.service.json_codec import as_identifier, as_integer, as_text, decode
from airflow_midjourney.describe.service.transport import retry_after_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


WEB_PAGE: Final = "a web page instead of JSON"

REDIRECTED: Final = "the service redirects: the host of the connection has to name the final address"

_LONGEST_TEXT: Final = 4096


#: HTTP's own statuses, where they stand as code.
_DENIALS: Final = frozenset({401, 402, 403})

#: Where an answer may have its words.
_SAYING: Final = ("description", "message", "msg", "detail")


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the known envelopes have in common.

    :param code: the service's own code.
    :param description: its own words, wherever the dialect puts them: one line, at most 200 characters.
    :param words: the description and the error's type and code, to look for phrases in.
    :param task_id: the id in ``result``.
    :param queue_position: how many are said to wait before it.
    :param made_by_gateway: True if a gateway made the answer itself, without or in spite of its upstream.
    :param refused: True if the answer turns the request away by an envelope of its own, as trueai's ``success: false``.
    """

    code: int | None = None
    description: str = ""
    words: str = field(default="", repr=False)
    task_id: str | None = None
    queue_position: int | None = None
    made_by_gateway: bool = False
    refused: bool = False


def read_envelope(body: bytes, *, hidden: Iterable[str] = ()) -> Envelope:
    """Read any body; what is no envelope gives one with nothing but a description.

    :param hidden: what the description must not repeat, for instance the key.
    """
    try:
        answer = decode(body)
    except ValueError:
        said = WEB_PAGE if is_web_page(body) else body[:_LONGEST_TEXT].decode("utf-8", "replace")
        return Envelope(description=presentable(said, hidden=hidden), words=said)
    if not isinstance(answer, dict):
        return Envelope()
    error = answer.get("error")
    details = error if isinstance(error, dict) else {"message": error}
    said = _first_text(*(answer.get(name) for name in _SAYING), details.get("message"))
    properties = answer.get("properties")
    return Envelope(
        code=as_integer(answer.get("code")),
        description=presentable(said, hidden=hidden),
        words=" ".join((said, *(as_text(one.get(name)) for one in (answer, details) for name in ("code", "type")))),
        task_id=as_identifier(answer.get("result")),
        queue_position=as_integer(properties.get("numberOfQueues")) if isinstance(properties, dict) else None,
        made_by_gateway=dialects.is_own_error(answer),
        refused=dialects.is_refusal(answer),
    )


def read_denial(status: int, envelope: Envelope) -> Denied | None:
    """Tell whether an answer, to a submit or to a read, refuses the key itself."""
    kind: DenialKind
    # Another 5xx may come after the upstream has taken an image, whatever it says.
    is_untaken = status < 500 or (envelope.made_by_gateway and dialects.comes_before_sending(status))
    # Some say it in an answer 200.
    if 200 <= status < 300 and envelope.code in _DENIALS and envelope.task_id is None:
        status = envelope.code
    if status == 402 or (is_untaken and dialects.says(Says.NO_CREDIT, envelope.words)):
        kind = "no_credit"
    elif status == 401:
        kind = "unauthorised"
    elif status == 403:
        kind = "forbidden"
    else:
        return None
    return Denied(kind, status, envelope.code, envelope.description)


def read_submit_answer(
    status: int, headers: Mapping[str, str], body: bytes, *, hidden: Iterable[str] = ()
) -> SubmitOutcome:
    """Say what a submit came to. Whatever cannot be told for sure is ambiguous; never raises.

    :param status: of the HTTP answer.
    :param headers: of the HTTP answer.
    :param body: of the HTTP answer, decompressed; a part of it where it was too long to be an answer.
    :param hidden: what no description may repeat: the key, the text sent as ``state``.
    """
    envelope = read_envelope(body, hidden=hidden)
    if envelope.code is not None and dialects.meaning_of(envelope.code) is Says.ACCEPTED:
        return _taken(envelope.code, status, envelope)
    if dialects.says(Says.PERHAPS_BILLED, envelope.words):
        return Ambiguous(status, envelope.code, envelope.description)
    if 300 <= status < 400:
        return Unavailable(None, status, envelope.code, REDIRECTED)
    denied = read_denial(status, envelope)
    if denied is not None:
        return denied
    wait = retry_after_seconds(headers)
    if status >= 500:
        return _server_error(status, wait, envelope)
    return _no_room(status, wait, envelope) or _refused(status, envelope) or _otherwise(status, wait, envelope)


def _taken(code: int, status: int, envelope: Envelope) -> SubmitOutcome:
    if envelope.task_id is None:
        return Ambiguous(status, code, envelope.description)
    return Accepted(envelope.task_id, status, code, envelope.description, envelope.queue_position)


def _server_error(status: int, wait: float | None, envelope: Envelope) -> SubmitOutcome:
    """Read a 5xx: of few it is known that they come before anything was sent on."""
    if not (envelope.made_by_gateway and dialects.comes_before_sending(status)):
        return Ambiguous(status, envelope.code, envelope.description)
    if dialects.reason_in(envelope.words) is Reason.BANNED:
        return Refused(Reason.BANNED, status, envelope.code, envelope.description)
    return Unavailable(wait, status, envelope.code, envelope.description)


def _no_room(status: int, wait: float | None, envelope: Envelope) -> Full | None:
    meaning = dialects.meaning_of(envelope.code)
    failed = envelope.refused or meaning is Says.TRY_AGAIN
    if status == 429 or meaning is Says.NO_ROOM or (failed and dialects.says(Says.NO_ROOM, envelope.words)):
        return Full(wait, status, envelope.code, envelope.description)
    return None


def _refused(status: int, envelope: Envelope) -> Refused | Denied | None:
    reason: Reason
    meaning = dialects.meaning_of(envelope.code)
    if status == 413 or (status >= 400 and dialects.says(Says.TOO_LARGE, envelope.words)):
        reason = Reason.TOO_LARGE
    elif meaning is Says.BANNED:
        reason = Reason.BANNED
    elif meaning is Says.BAD_INPUT and dialects.says(Says.UPLOADS_OFF, envelope.words):
        return Denied("forbidden", status, envelope.code, envelope.description)
    elif meaning is Says.BAD_INPUT and not envelope.made_by_gateway:
        banned = dialects.reason_in(envelope.words) is Reason.BANNED
        reason = Reason.BANNED if banned else Reason.REFUSED
    else:
        return None
    return Refused(reason, status, envelope.code, envelope.description)


def _otherwise(status: int, wait: float | None, envelope: Envelope) -> Unavailable | Ambiguous:
    if status >= 400 or envelope.refused or dialects.meaning_of(envelope.code) is Says.TRY_AGAIN:
        return Unavailable(wait, status, envelope.code, envelope.description)
    return Ambiguous(status, envelope.code, envelope.description)


def _first_text(*values: object) -> str:
    return next((text for text in map(as_text, values) if text), "")


DenialKind = Literal["unauthorised", "no_credit", "forbidden"]


@dataclass(frozen=True, slots=True)
class Accepted:
    """The service took the image, and bills it.

    :param task_id: the opaque id to ask for.
    :param code: 1, 21 or 22; 1 does not mean that it runs, the first that waits gets it too.
    :param description: the service's own words: one line, at most 200 characters.
    :param queue_position: how many are said to be before it, where that is said.
    """

    task_id: str
    http_status: int
    code: int
    description: str = ""
    queue_position: int | None = None


@dataclass(frozen=True, slots=True)
class Full:
    """The service has no room now. Not taken, not billed.

    :param retry_after: seconds the service asks to wait, if it does.
    """

    retry_after: float | None
    http_status: int
    code: int | None
    description: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The service does not take this image. Not billed; another attempt comes to the same."""

    reason: Reason
    http_status: int
    code: int | None
    description: str


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Surely not billed, for a reason that is not the image's: try again.

    :param retry_after: seconds the service asks to wait, if it does.
    :param http_status: None if there was no answer.
    """

    retry_after: float | None
    http_status: int | None
    code: int | None
    description: str


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """May have been taken and billed; the answer does not tell.

    :param http_status: None if there was no answer.
    """

    http_status: int | None
    code: int | None
    description: str


@dataclass(frozen=True, slots=True)
class Denied:
    """The service does not let this key submit. Not billed; a person has to act."""

    kind: DenialKind
    http_status: int
    code: int | None
    description: str


@dataclass(frozen=True, slots=True)
class HeldBack:
    """The worker did not send the end of the request, because it had been held up for too long. Not billed."""

    description: str
    http_status: None = None
    code: None = None


SubmitOutcome = Accepted | Full | Refused | Unavailable | Ambiguous | Denied | HeldBack
