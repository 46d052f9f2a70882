"""Every move of a row of the metadata table: from which status, to which, and the columns that it sets and empties.

No other module writes the column ``status``, and ``updates`` alone makes an UPDATE of this table: each writer names a
move, which rows it is for, and the facts that it brings. Every move is a compare-and-set: a row that is not what its
writer thinks it is stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, unique
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import MetaData, true

from airflow_midjourney.describe.model.status import IN_FLIGHT, Status
from airflow_midjourney.describe.table.schema import PROMPT_COLUMNS, SHARING
from airflow_midjourney.describe.table.schema.images import images_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement

    from airflow_midjourney.describe.table.database import Transaction

#: Of a move that adds a row, and of one that any row may make.
UNLISTED: Final = ()
ANY_STATUS: Final = tuple(Status)

#: The lease of a worker.
_LEASE: Final = ("reserved_by", "reserved_until")

#: What says that a submission has no answer, and how far the service was asked about it.
_DOUBT: Final = ("in_doubt_after", "doubt_checked_at", "absent_since")

#: Why a row is what it is.
_WHY: Final = ("reason", "detail")

#: An answer as it was parsed.
PROMPTS: Final = (*PROMPT_COLUMNS, "prompt_count", "prompt_raw", "aspect_ratio", "parser_version", "prompts_sha256")

#: When the service began and ended, where it says so.
_REMOTE_TIMES: Final = ("started_at", "finished_at")

#: What a row with the same bytes is given of an answer.
SHARED: Final = (*PROMPTS, "account", "task_id", "submitted_at", *_REMOTE_TIMES)

#: The run whose task listed, read or claimed the row.
_RUN: Final = ("dag_id", "run_id", "dag_task_id", "map_index", "logical_date")

#: What was learnt by reading the object.
_CONTENT: Final = ("content_sha256", "media_type", "width", "height", "version_id", "reader", *_RUN, "try_number")

#: A submission as it is claimed.
_INTENT: Final = (
    *(*_CONTENT, "submit_token", "callback_digest", "account", "batch_id"),
    *("attempts", "max_attempts", "in_doubt_after", "silence_before"),
)

#: What a row may have left of the time before its claim.
_NOT_CLAIMED: Final = (
    *(*_WHY, *_LEASE, "not_before", "called_at", "task_id", "doubt_checked_at", "absent_since"),
    *("missing_since", "submitted_at", *_REMOTE_TIMES, "ended_at"),
)

#: The object as it was listed.
_OBJECT: Final = (
    *("image_uri", "bucket", "key", "image_version", "etag", "is_current", "size_bytes", "last_modified"),
    *("storage_class", "bot_type", "batch_id", "redescribed_by", "redescribed_at", *_RUN, "max_attempts"),
)

#: Counters that start with a row.
_COUNTERS: Final = ("attempts", "reservations", "silence_before", "silence_before_missing")

#: Everything that an erased row can do without.
_ALL_THAT_MAY_BE_EMPTY: Final = tuple(
    column.name
    for column in images_table(MetaData(), "image_prompts").columns
    if column.nullable and column.name not in ("content_sha256", *_WHY)
)


@dataclass(frozen=True, slots=True)
class Transition:
    """What a move asks of a row, and what it writes. Each also stamps ``updated_at``, but for marks.

    :param means: what happens, for the data dictionary.
    :param source: the statuses that the row may have; :data:`UNLISTED` for a move that adds it.
    :param target: the status that it has then; None where that stays.
    :param held: columns that must hold what the writer holds: the name on the lease, or the token of the submission.
    :param takes: columns whose values the writer brings.
    :param may_take: columns that the writer brings where it knows them.
    :param stamps: columns that get the time of the transaction.
    :param empties: columns that are emptied.
    :param zeroes: columns that are set to zero.
    :param is_mark: it is put beside the row for another process, and is no write of the row itself.
    """

    means: str
    source: tuple[Status, ...]
    target: Status | None = None
    held: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    may_take: tuple[str, ...] = ()
    stamps: tuple[str, ...] = ()
    empties: tuple[str, ...] = ()
    zeroes: tuple[str, ...] = ()
    is_mark: bool = False


@unique
class Move(Enum):
    """The moves, in the order of a row's life."""

    LIST = Transition(
        "The listing has found a version of an image that has no row.",
        source=UNLISTED,
        target=Status.PENDING,
        takes=_OBJECT,
        stamps=("created_at",),
        empties=(*_WHY, "ended_at"),
        zeroes=_COUNTERS,
    )
    LIST_UNSENDABLE = Transition(
        "The listing has found, or was given, a key that cannot be sent.",
        source=UNLISTED,
        target=Status.REJECTED,
        takes=(*_OBJECT, *_WHY),
        stamps=("created_at", "ended_at"),
        zeroes=_COUNTERS,
    )
    LOOK_UP_AGAIN = Transition(
        "A key that was named still has no object that can be looked up.",
        source=(Status.REJECTED,),
        takes=(*_WHY, "rejected_before"),
        stamps=("ended_at",),
    )
    SEE_VERSION = Transition(
        "The listing has seen that this version of the object is the current one, or is not any more.",
        source=ANY_STATUS,
        takes=("is_current",),
    )
    REPLACE = Transition(
        "The object was replaced before this version was sent.",
        source=(Status.PENDING,),
        target=Status.REJECTED,
        takes=_WHY,
        stamps=("ended_at",),
        empties=_LEASE,
    )
    REOPEN = Transition(
        "An image that could not be sent is tried again: its object, or what the worker can read, has changed.",
        source=(Status.REJECTED,),
        target=Status.PENDING,
        takes=("batch_id", "rejected_before"),
        empties=(*_WHY, "ended_at", "not_before"),
        zeroes=("reservations",),
    )
    DESCRIBE_AGAIN = Transition(
        "A batch or a person asks for an image that has ended to be described again. Its prompts stay until then.",
        source=(Status.SUCCEEDED, Status.FAILED, Status.IN_DOUBT, Status.REJECTED),
        target=Status.PENDING,
        takes=("redescribed_by", "redescribed_at"),
        may_take=("batch_id",),
        empties=(*_WHY, "shares_id", "submit_token", "task_id", *_DOUBT, "ended_at", "not_before"),
        zeroes=("attempts", "reservations"),
    )

    RESERVE = Transition(
        "A worker takes the lease on the row to read its image.",
        source=(Status.PENDING,),
        takes=_LEASE,
    )
    END_LEASE = Transition(
        "The worker that holds the lease is most likely dead: another may reserve the row at once.",
        source=(Status.PENDING,),
        stamps=("reserved_until",),
    )
    RELEASE = Transition(
        "The worker gives the row back unread or unsent.",
        source=(Status.PENDING,),
        held=("reserved_by",),
        empties=_LEASE,
        zeroes=("reservations",),
    )
    POSTPONE = Transition(
        "The worker gives the row back for some time: its object, or a former task, cannot be asked for now.",
        source=(Status.PENDING,),
        held=("reserved_by",),
        takes=("not_before",),
        empties=_LEASE,
        zeroes=("reservations",),
    )
    SUSPECT = Transition(
        "The worker has the image's bytes and is about to decode them: if it dies now, it may be of this image.",
        source=(Status.PENDING,),
        held=("reserved_by",),
        takes=("reservations",),
    )
    ACQUIT = Transition(
        "The worker has decoded a suspected image: what it dies of after that is not the image.",
        source=(Status.PENDING,),
        held=("reserved_by",),
        zeroes=("reservations",),
    )
    READ = Transition(
        "The worker has read the object and knows its bytes: what it dies of after that is not the image.",
        source=(Status.PENDING,),
        held=("reserved_by",),
        takes=_CONTENT,
        zeroes=("reservations",),
    )
    REJECT = Transition(
        "The worker has found that the image cannot be sent.",
        source=(Status.PENDING,),
        target=Status.REJECTED,
        held=("reserved_by",),
        takes=(*_WHY, "reader"),
        stamps=("ended_at",),
        empties=_LEASE,
    )
    REJECT_UNPROCESSABLE = Transition(
        "Three workers in a row have died while they held the image to decode it.",
        source=(Status.PENDING,),
        target=Status.REJECTED,
        takes=_WHY,
        stamps=("ended_at",),
        empties=_LEASE,
    )
    SHARE = Transition(
        "The row waits for what becomes of another one with the same bytes.",
        source=(Status.PENDING,),
        takes=("shares_id",),
        empties=_LEASE,
        zeroes=("reservations",),
    )

    CLAIM = Transition(
        "The worker commits the intent to submit the image, just before its POST.",
        source=(Status.PENDING,),
        target=Status.SUBMITTING,
        held=("reserved_by",),
        takes=_INTENT,
        empties=_NOT_CLAIMED,
        zeroes=("reservations",),
    )
    CLAIM_AGAIN = Transition(
        "The POST has an answer, but the database has lost the claim: its worker writes it again.",
        source=(Status.PENDING,),
        target=Status.SUBMITTING,
        takes=_INTENT,
        empties=(*_NOT_CLAIMED, "shares_id"),
        zeroes=("reservations",),
    )
    ACCEPT = Transition(
        "The service has taken the image.",
        source=(Status.SUBMITTING, Status.IN_DOUBT),
        target=Status.SUBMITTED,
        held=("submit_token",),
        takes=("task_id", "price", "currency"),
        stamps=("submitted_at",),
        empties=("detail", *_DOUBT, "ended_at"),
    )
    TAKE_BACK = Transition(
        "The service had taken the image, as is known after the row was released to be sent again, or let go of.",
        source=(Status.PENDING,),
        target=Status.SUBMITTED,
        takes=("submit_token", "account", "attempts", "task_id", "price", "currency"),
        stamps=("submitted_at",),
        empties=("detail", *_DOUBT, "ended_at", *_LEASE, "not_before", "shares_id"),
        zeroes=("reservations",),
    )
    GIVE_BACK = Transition(
        "The service has surely not taken the image. The attempt is not counted.",
        source=(Status.SUBMITTING, Status.IN_DOUBT),
        target=Status.PENDING,
        held=("submit_token",),
        takes=("attempts", "not_before"),
        empties=("detail", "submit_token", "task_id", *_DOUBT, "ended_at"),
    )
    REFUSE = Transition(
        "The service does not want this image, or turns it away again and again while it takes others.",
        source=(Status.SUBMITTING, Status.IN_DOUBT),
        target=Status.FAILED,
        held=("submit_token",),
        takes=_WHY,
        stamps=("ended_at",),
        empties=_DOUBT,
    )
    DOUBT = Transition(
        "The POST had no answer in time: the image may have been taken and billed.",
        source=(Status.SUBMITTING,),
        target=Status.IN_DOUBT,
        takes=("detail",),
        stamps=("ended_at",),
    )
    MISS_IN_LIST = Transition(
        "The service's list of tasks lacks the doubtful submission for the first time.",
        source=(Status.IN_DOUBT,),
        held=("submit_token",),
        stamps=("absent_since",),
    )
    LEAVE_IN_DOUBT = Transition(
        "The service was asked about the doubtful submission, and nothing follows from its answer.",
        source=(Status.IN_DOUBT,),
        held=("submit_token",),
        stamps=("doubt_checked_at",),
    )
    TAKE_OVER = Transition(
        "Another connection has found the task of a row whose account no connection asks about: it polls it now.",
        source=(Status.SUBMITTED,),
        held=("submit_token",),
        takes=("account", "silence_before"),
        empties=("missing_since",),
    )
    DOUBT_ORPHAN = Transition(
        "No connection asks about the account any more, and no other has found the task in a day.",
        source=(Status.SUBMITTED,),
        target=Status.IN_DOUBT,
        takes=("detail",),
        stamps=("ended_at", "doubt_checked_at"),
        empties=("missing_since",),
    )
    RECLAIM = Transition(
        "A connection asks about the account of the doubtful row again: the row waits for its task.",
        source=(Status.IN_DOUBT,),
        target=Status.SUBMITTED,
        held=("submit_token",),
        takes=("account", "silence_before"),
        empties=("detail", *_DOUBT, "ended_at", "missing_since"),
    )
    RESUBMIT = Transition(
        "The batch lets a doubtful image be sent, and perhaps billed, once more.",
        source=(Status.IN_DOUBT,),
        target=Status.PENDING,
        stamps=("resubmitted_at",),
        empties=("detail", *_DOUBT, "ended_at"),
    )
    RESOLVE_BY_SENDING = Transition(
        "A person decides that a doubtful image is sent again.",
        source=(Status.IN_DOUBT,),
        target=Status.PENDING,
        held=("submit_token",),
        takes=("detail",),
        empties=(*_DOUBT, "ended_at"),
    )
    RESOLVE_AS_LOST = Transition(
        "A person gives a doubtful image up.",
        source=(Status.IN_DOUBT,),
        target=Status.FAILED,
        held=("submit_token",),
        takes=_WHY,
        stamps=("ended_at",),
        empties=_DOUBT,
    )

    CALL = Transition(
        "A callback says that there is news of the image.",
        source=IN_FLIGHT,
        stamps=("called_at",),
        is_mark=True,
    )
    ANSWER_CALL = Transition(
        "The service was asked about the image after the callback.",
        source=(Status.SUBMITTED,),
        empties=("called_at",),
        is_mark=True,
    )
    SEE_TASK = Transition(
        "The service knows the task and works on it.",
        source=(Status.SUBMITTED,),
        held=("submit_token",),
        may_take=_REMOTE_TIMES,
        empties=("missing_since",),
    )
    MISS_TASK = Transition(
        "The service does not know the task, for the first time.",
        source=(Status.SUBMITTED,),
        held=("submit_token",),
        takes=("silence_before_missing",),
        stamps=("missing_since",),
    )
    DESCRIBE = Transition(
        "The prompts are here.",
        source=(Status.SUBMITTED,),
        target=Status.SUCCEEDED,
        held=("submit_token",),
        takes=PROMPTS,
        may_take=_REMOTE_TIMES,
        stamps=("ended_at",),
        empties=(*_WHY, "missing_since"),
    )
    TRY_AGAIN = Transition(
        "The describe came to nothing. The failure is curable, and attempts are left.",
        source=(Status.SUBMITTED,),
        target=Status.PENDING,
        held=("submit_token",),
        takes=(*_WHY, "not_before"),
        may_take=("prompt_raw",),
        empties=("missing_since",),
    )
    FAIL = Transition(
        "The describe came to nothing, and is not tried again.",
        source=(Status.SUBMITTED,),
        target=Status.FAILED,
        held=("submit_token",),
        takes=_WHY,
        may_take=("prompt_raw", *_REMOTE_TIMES),
        stamps=("ended_at",),
        empties=("missing_since",),
    )
    REFUND = Transition(
        "The service gives back the price of a task that failed there.",
        source=ANY_STATUS,
        held=("submit_token",),
        zeroes=("price",),
    )
    DESCRIBE_LATE = Transition(
        "The prompts have come after the row was given up, was to be sent again, or was sent again without an answer.",
        source=(Status.FAILED, Status.PENDING, Status.IN_DOUBT),
        target=Status.SUCCEEDED,
        takes=(*PROMPTS, "submit_token", "task_id"),
        may_take=_REMOTE_TIMES,
        stamps=("ended_at",),
        empties=(*_WHY, *_LEASE, *_DOUBT, "not_before"),
        zeroes=("reservations",),
    )
    RESUME = Transition(
        "The service still works on a task that was given up: the row waits for it again, and nothing is paid.",
        source=(Status.FAILED, Status.PENDING),
        target=Status.SUBMITTED,
        takes=("submit_token", "task_id", "account", "price", "currency", "silence_before"),
        stamps=("submitted_at",),
        empties=(*_WHY, *_LEASE, *_DOUBT, "not_before", "missing_since", "shares_id", *_REMOTE_TIMES, "ended_at"),
        zeroes=("reservations",),
    )
    COPY_ANSWER = Transition(
        "A row with the same bytes has its prompts: the row gets the same, for nothing.",
        source=SHARING,
        target=Status.SUCCEEDED,
        takes=("shares_id", *SHARED),
        stamps=("ended_at",),
        empties=(*_WHY, *_LEASE, *_DOUBT, "not_before"),
        zeroes=("price", "reservations"),
    )
    FAIL_WITH_TWIN = Transition(
        "The row with the same bytes that the row waits for has failed.",
        source=SHARING,
        target=Status.FAILED,
        takes=_WHY,
        stamps=("ended_at",),
        empties=_DOUBT,
    )
    DOUBT_WITH_TWIN = Transition(
        "The row with the same bytes that the row waits for is in doubt.",
        source=(Status.PENDING,),
        target=Status.IN_DOUBT,
        takes=_WHY,
        stamps=("ended_at",),
    )
    LEAVE_TWIN = Transition(
        "The row with the same bytes is not on its way any more: the row is sent itself.",
        source=SHARING,
        target=Status.PENDING,
        takes=("attempts", "not_before"),
        empties=("shares_id", *_DOUBT, "ended_at"),
    )

    REPARSE = Transition(
        "A newer parser reads the raw answer of a described image again.",
        source=(Status.SUCCEEDED,),
        takes=PROMPTS,
        empties=_WHY,
    )
    RECOVER = Transition(
        "A newer parser finds prompts in a raw answer that could not be read.",
        source=(Status.FAILED,),
        target=Status.SUCCEEDED,
        takes=PROMPTS,
        stamps=("ended_at",),
        empties=_WHY,
    )
    ERASE = Transition(
        "A person has the image erased: two digests are left of it.",
        source=(Status.PENDING, Status.SUCCEEDED, Status.FAILED, Status.REJECTED, Status.IN_DOUBT),
        target=Status.REJECTED,
        takes=("image_uri", "bucket", "key", "image_version", "is_current", "content_sha256", *_WHY),
        empties=_ALL_THAT_MAY_BE_EMPTY,
        zeroes=(*_COUNTERS, "max_attempts"),
    )

    def columns(self, tx: Transaction, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Give every column that the move writes.

        :param facts: the columns that the writer brings.
        :raises TypeError: if it brings others than the move takes.
        """
        move = self.value
        if not set(move.takes) <= set(facts) <= {*move.takes, *move.may_take}:
            odd = sorted(set(facts) ^ set(move.takes))
            raise TypeError(f"{self.name} takes other columns than it was given: see {', '.join(odd)}.")
        status = {} if move.target is None else {"status": move.target.value}
        fixed = dict.fromkeys(move.empties) | dict.fromkeys(move.zeroes, 0) | dict.fromkeys(move.stamps, tx.now)
        written = {} if move.is_mark else {"updated_at": tx.now}
        return status | fixed | dict(facts) | written

    def guard(self, tx: Transaction) -> ColumnElement[bool]:
        """Give the condition that a row can make the move."""
        status = tx.tables.images.c.status
        match self.value.source:
            case (only,):
                return status == only
            case every if every == ANY_STATUS:
                return true()
            case some:
                return status.in_(some)
