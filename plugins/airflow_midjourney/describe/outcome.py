"""What a submit can come to. Whether it may have been billed is what tells most of them apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from airflow_midjourney.describe.status import Reason

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


SubmitOutcome = Accepted | Full | Refused | Unavailable | Ambiguous | Denied
