"""Submissions without an answer, and rows whose account no connection asks about."""

from __future__ import annotations

from enum import unique

from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.describe.table.transitions.columns import UNANSWERED
from airflow_midjourney.describe.table.transitions.transition import Move, Transition


@unique
class DoubtMove(Move):
    """The moves into doubt and out of it, as far as the service or the batch decides. A person's are orders."""

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
        empties=("detail", *UNANSWERED, "ended_at", "missing_since"),
    )
    RESUBMIT = Transition(
        "The batch lets a doubtful image be sent, and perhaps billed, once more.",
        source=(Status.IN_DOUBT,),
        target=Status.PENDING,
        stamps=("resubmitted_at",),
        empties=("detail", *UNANSWERED, "ended_at"),
    )
