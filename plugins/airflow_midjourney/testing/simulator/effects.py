"""The ways in which a scenario can bend the service; each is read at one place."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final


class RouteName(StrEnum):
    """The routes of the service, as counted."""

    SUBMIT = "submit"
    FETCH = "fetch"
    LIST_BY_CONDITION = "list_by_condition"
    LIST = "list"
    QUEUE = "queue"
    CANCEL = "cancel"
    IMAGE = "image"


SUBMITS = frozenset({RouteName.SUBMIT})
READS = frozenset({RouteName.FETCH, RouteName.LIST_BY_CONDITION, RouteName.LIST, RouteName.QUEUE})
LISTS = frozenset({RouteName.LIST, RouteName.QUEUE})
EVERYWHERE = SUBMITS | READS | {RouteName.CANCEL}


#: In a plan: the ``pause`` of the settings.
PAUSE: Final = -1.0


@dataclass(frozen=True, slots=True)
class CannedAnswer:
    """An answer that something before the service gives: nothing is accepted.

    :param reason: the word under which a refused submit is counted.
    :param closes: whether other submits would be turned away too.
    """

    routes: frozenset[RouteName]
    status: int
    reason: str
    body: str = ""
    media_type: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    closes: bool = True


@dataclass(frozen=True, slots=True)
class SpringError:
    """A crash inside novicezk before anything was accepted, as the JSON of Spring Boot."""

    routes: frozenset[RouteName]
    status: int


@dataclass(frozen=True, slots=True)
class OpenAiError:
    """An answer of new-api's own doorkeepers, with a fresh request id.

    :param message: in the words of the gateways of 2025.
    :param code: in the answers of the gateways that have one.
    """

    routes: frozenset[RouteName]
    status: int
    message: str
    reason: str
    code: str = ""


@dataclass(frozen=True, slots=True)
class BrokenConnection:
    """The connection is cut before the service read anything."""

    routes: frozenset[RouteName]


@dataclass(frozen=True, slots=True)
class LateAnswer:
    """The answer waits for ``pause`` seconds."""

    routes: frozenset[RouteName]


class Refusal(StrEnum):
    """Why a service turns a well-formed submit away; each dialect has its own words."""

    FULL = "queue_full"
    NO_ACCOUNT = "no_account"
    CRASH = "crash"
    UPLOAD_FAILED = "upload_failed"
    UPLOADS_FORBIDDEN = "uploads_forbidden"
    CONCURRENCY_LIMIT = "concurrency_limit"
    QUEUE_LIMIT = "queue_limit"
    NOT_CONFIGURED = "not_configured"
    NO_CREDIT = "no_credit"
    SATURATED = "saturated"
    GATEWAY_GAVE_UP = "do_request_failed"


class AnswerFault(StrEnum):
    """What goes wrong with the answer to a submit after the task was accepted."""

    RESET = "reset"
    SILENCE = "silence"
    GATEWAY_GAVE_UP = "gateway_gave_up"
    GATEWAY_UNREADABLE = "gateway_unreadable"
    CRASH = "crash"
    BAD_GATEWAY = "bad_gateway"
    TRUNCATED = "truncated"
    BYTE_ORDER_MARK = "byte_order_mark"
    EMPTY = "empty"
    NUMERIC_RESULT = "numeric_result"
    QUEUED_CODE = "queued_code"
    SPACED_JSON = "spaced_json"
    AFTER_CALLBACK = "after_callback"


class IdentifierForm(StrEnum):
    """Unusual task ids."""

    SEVENTEEN_DIGITS = "seventeen_digits"
    LEADING_ZERO = "leading_zero"
    TASK_PREFIX = "task_prefix"
    COLLISION = "collision"


class ListFault(StrEnum):
    """What goes wrong with an answer that lists tasks."""

    SHUFFLED = "shuffled"
    MISSING = "missing"
    DUPLICATES = "duplicates"
    EMPTY = "empty"
    MALFORMED = "malformed"


class CallbackFault(StrEnum):
    """What goes wrong with callbacks."""

    NONE = "none"
    DUPLICATED = "duplicated"
    REVERSED = "reversed"
    ALREADY_ENDED = "already_ended"
    FAILURE_AFTER_SUCCESS = "failure_after_success"
    FORGED = "forged"
    LATE = "late"


class StandingFault(StrEnum):
    """Something that is so for as long as the scenario is set."""

    TASKS_SURVIVE_RESTART = "tasks_survive_restart"
    ATTACHMENTS_EXPIRED = "attachments_expired"
    HOOKS_FORWARDED = "hooks_forwarded"
    ADMINISTRATOR = "administrator"


@dataclass(frozen=True, slots=True)
class PlanChange:
    """Other values for fields of :class:`~airflow_midjourney.testing.simulator.model.TaskPlan`."""

    values: dict[str, Any] = field(default_factory=dict)


Effect = (
    CannedAnswer
    | SpringError
    | OpenAiError
    | BrokenConnection
    | LateAnswer
    | Refusal
    | AnswerFault
    | IdentifierForm
    | ListFault
    | CallbackFault
    | StandingFault
    | PlanChange
)
