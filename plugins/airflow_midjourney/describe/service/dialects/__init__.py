"""One file for each service, with all that is particular to it.

The modules of ``service`` ask here what an answer means, exports whether a prompt is a complaint, the engine which bots
there are. No user is asked which service he has: every answer is put to all dialects. A new one is its file and its
line below.

**Where two of them disagree** is decided here alone. What a *phrase* means is asked in the order of the meanings:
an account that is blocked comes first, whatever rule the sentence says was broken; then an image that is forbidden,
even if the sentence also speaks of a timeout; then a timeout, a failure of the service, a refusal. Of a *code*, a
*word for a status* and everything else the first dialect of the list that knows it decides; the services agree on
all that they share (a test says so).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.model.status import Reason
from airflow_midjourney.describe.service.dialects.aggregators import AGGREGATORS
from airflow_midjourney.describe.service.dialects.han import simplified
from airflow_midjourney.describe.service.dialects.midjourney_bot import MIDJOURNEY_BOT
from airflow_midjourney.describe.service.dialects.new_api import NEW_API
from airflow_midjourney.describe.service.dialects.new_api_2026 import NEW_API_2026
from airflow_midjourney.describe.service.dialects.novicezk import NOVICEZK
from airflow_midjourney.describe.service.dialects.trueai import TRUEAI
from airflow_midjourney.describe.service.prompt_text.lists import MOST_PROMPTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_midjourney.describe.model.status import BotType
    from airflow_midjourney.describe.service.dialects.dialect import Dialect, RemoteTaskStatus, Says

#: All of them, in the order in which they are asked.
DIALECTS: tuple[Dialect, ...] = (NOVICEZK, TRUEAI, NEW_API_2026, NEW_API, MIDJOURNEY_BOT, AGGREGATORS)

#: The order in which reasons are looked for in a text.
_WEIGHT: Final = (Reason.BANNED, Reason.TIMEOUT, Reason.SERVICE_ERROR, Reason.REFUSED)

#: A complaint is a sentence; a long text with the same words describes an image.
_LONGEST_COMPLAINT: Final = 160


def reason_in(text: str) -> Reason | None:
    """Say why a task failed, going by the words of the service; None if they are not known."""
    folded = simplified(text.casefold())
    if any(_holds(folded, dialect.blocked_account) for dialect in DIALECTS):
        return Reason.SERVICE_ERROR
    for reason in _WEIGHT:
        if any(_holds(folded, dialect.complaints.get(reason, ())) for dialect in DIALECTS):
            return reason
    return None


def is_complaint(prompt: str, *, of: int) -> bool:
    """Tell whether what was stored as a prompt is a sentence of the service.

    Of four that came as a list none is: an image may show a screen that says that an account is locked.

    :param of: how many prompts came together.
    """
    return of < MOST_PROMPTS and len(prompt) <= _LONGEST_COMPLAINT and reason_in(prompt) is not None


def says(meaning: Says, text: str) -> bool:
    """Tell whether a text has a phrase with this meaning, as words or as the name of an error."""
    folded = _as_words(simplified(text.casefold()))
    return any(_holds(folded, map(_as_words, dialect.phrases.get(meaning, ()))) for dialect in DIALECTS)


def meaning_of(code: int | None) -> Says | None:
    """Say what the code of an answer to a submit means; None if no dialect has it."""
    if code is None:
        return None
    return next((dialect.codes[code] for dialect in DIALECTS if code in dialect.codes), None)


def status_of(word: str) -> RemoteTaskStatus | None:
    """Say what a state of a task means that is not one of the usual."""
    return next((dialect.status_words[word] for dialect in DIALECTS if word in dialect.status_words), None)


def is_unknown_task(status: int, body: bytes, description: str) -> bool:
    """Tell whether an answer to a fetch says that there is no such task."""
    return any(form.fits(status, body, description) for dialect in DIALECTS for form in dialect.unknown_task)


def is_missing_route(status: int, body: bytes) -> bool:
    """Tell whether an answer says that there is no such path."""
    return any(form.fits(status, body, "") for dialect in DIALECTS for form in dialect.missing_route)


def comes_before_sending(status: int) -> bool:
    """Tell whether an error that a gateway made itself says by its status that nothing was sent on."""
    return any(status in dialect.before_sending for dialect in DIALECTS)


def is_own_error(answer: Mapping[object, object]) -> bool:
    """Tell whether a gateway made an answer itself, without or in spite of its upstream."""
    return any(dialect.is_own_error(answer) for dialect in DIALECTS)


def is_refusal(answer: Mapping[object, object]) -> bool:
    """Tell whether an answer turns a request away by another envelope than that with a code."""
    return any(dialect.is_refusal(answer) for dialect in DIALECTS)


def is_identifier(text: str) -> bool:
    """Tell whether a text has the form of a task's id."""
    return any(dialect.ids.fullmatch(text) for dialect in DIALECTS)


def services_without(bot: BotType) -> list[str]:
    """Name the services that take images for a bot that they do not have."""
    return [dialect.name for dialect in DIALECTS if bot not in dialect.bots]


def _as_words(name: str) -> str:
    """Read ``insufficient_balance`` as ``insufficient balance``."""
    return name.replace("_", " ").replace("-", " ")


def _holds(folded: str, phrases: Iterable[str]) -> bool:
    return any(phrase in folded for phrase in phrases)
