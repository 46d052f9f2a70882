"""The shape of a dialect: all that is particular to one service, as data."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.model.status import BotType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_midjourney.describe.model.status import Reason

#: The opaque ids of gateways: they pass on what their upstream made.
ANY_ID: Final = re.compile(r"[!-~]{1,200}")


class Says(Enum):
    """What a code or a phrase in an answer to a request means."""

    ACCEPTED = "accepted"
    """The service took the image."""
    NO_ROOM = "no room"
    """A queue is full, or too many tasks run at once. As a phrase it counts in a failure only."""
    TRY_AGAIN = "try again"
    """It failed before the image was taken, for a reason that is not the image's."""
    BAD_INPUT = "bad input"
    """The service does not take this image."""
    BANNED = "banned"
    """The service takes the image for forbidden."""
    NO_CREDIT = "no credit"
    """The account, or the key, has no money left."""
    TOO_LARGE = "too large"
    """The request is larger than the server takes."""
    UPLOADS_OFF = "uploads off"
    """The service takes no images at all, whichever key sends them."""
    MODEL_LIMIT = "model limit"
    """The key is limited to certain models, and the gateway refuses every read for that."""
    PERHAPS_BILLED = "perhaps billed"
    """It failed after the upstream had taken the image: the quota may be charged."""


class RemoteTaskStatus(StrEnum):
    """The states of a task; a describe usually goes from NOT_START over SUBMITTED to one of the last two."""

    NOT_START = "NOT_START"
    SUBMITTED = "SUBMITTED"
    IN_PROGRESS = "IN_PROGRESS"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"

    @property
    def is_final(self) -> bool:
        """True when the service will not change the task any more."""
        return self in (RemoteTaskStatus.SUCCESS, RemoteTaskStatus.FAILURE)


class Body(Enum):
    """What the body of an answer has to be."""

    ANYTHING = "anything"
    EMPTY = "empty"
    WEB_PAGE = "web page"

    def fits(self, body: bytes) -> bool:
        """Tell whether a body is such a one."""
        if self is Body.EMPTY:
            return body.strip() in (b"", b"null")
        return self is Body.ANYTHING or is_web_page(body)


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """How an answer looks by which a service says one certain thing.

    :param words: its description begins with one of these; with none it may say anything.
    """

    status: int
    body: Body = Body.ANYTHING
    words: tuple[str, ...] = ()

    def fits(self, status: int, body: bytes, description: str) -> bool:
        """Tell whether an answer looks so."""
        return status == self.status and self.body.fits(body) and (not self.words or description.startswith(self.words))


def _never(_: Mapping[object, object]) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Dialect:
    """One service. What it leaves out it has in common with the others, or it does not occur in it.

    Phrases are written in lower case and looked for anywhere in a text; only whole phrases are listed, since the same
    words (moderate, sensitive, blocked) occur in descriptions of images.

    :param name: what docs and tests call it.
    :param codes: the ``code`` of an answer to a submit.
    :param phrases: in the description, the type or the code of an error.
    :param complaints: in the ``failReason`` of a task, and in the text that stands in place of its prompts.
    :param blocked_account: in the same texts, of an account that is suspended or waits for its owner. They outweigh all
        complaints: such a sentence often names the rules that an image is said to break.
    :param unknown_task: the answers to a fetch of a task that it does not know.
    :param missing_route: the answers to a path that it does not have.
    :param before_sending: statuses from 500 on of errors that it makes itself before it sends anything on: surely not
        billed.
    :param is_own_error: tells from the JSON whether the service made an error itself, without its upstream.
    :param is_refusal: tells from the JSON whether the service turns a request away by another envelope.
    :param status_words: states of a task beside those of :class:`RemoteTaskStatus`, in upper case.
    :param ids: the form of its task ids.
    :param bots: which it has; it takes images for the other, too, and has them described by the one that it has.
    """

    name: str
    codes: Mapping[int, Says] = field(default_factory=dict)
    phrases: Mapping[Says, tuple[str, ...]] = field(default_factory=dict)
    complaints: Mapping[Reason, tuple[str, ...]] = field(default_factory=dict)
    blocked_account: tuple[str, ...] = ()
    unknown_task: tuple[AnswerForm, ...] = ()
    missing_route: tuple[AnswerForm, ...] = ()
    before_sending: frozenset[int] = frozenset()
    is_own_error: Callable[[Mapping[object, object]], bool] = _never
    is_refusal: Callable[[Mapping[object, object]], bool] = _never
    status_words: Mapping[str, RemoteTaskStatus] = field(default_factory=dict)
    ids: re.Pattern[str] = ANY_ID
    bots: frozenset[BotType] = frozenset(BotType)


def is_web_page(body: bytes) -> bool:
    """Tell whether a body is HTML: a firewall's, or the front page that new-api gives for unknown paths."""
    return body[:64].decode("utf-8-sig", "ignore").lstrip().startswith("<")
