"""The intent to submit, and what the POST came to."""

from __future__ import annotations

from enum import unique

from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.describe.table.transitions.columns import INTENT, LEASED, NOT_CLAIMED, UNANSWERED, WHY
from airflow_midjourney.describe.table.transitions.transition import Move, Transition


@unique
class SubmissionMove(Move):
    """The moves around a POST: each but the claim compares the token of the submission that it is about."""

    CLAIM = Transition(
        "The worker commits the intent to submit the image, just before its POST.",
        source=(Status.PENDING,),
        target=Status.SUBMITTING,
        held=("reserved_by",),
        takes=INTENT,
        empties=NOT_CLAIMED,
        zeroes=("reservations",),
    )
    CLAIM_AGAIN = Transition(
        "The POST has an answer, but the database has lost the claim: its worker writes it again.",
        source=(Status.PENDING,),
        target=Status.SUBMITTING,
        takes=INTENT,
        empties=(*NOT_CLAIMED, "shares_id"),
        zeroes=("reservations",),
    )
    ACCEPT = Transition(
        "The service has taken the image.",
        source=(Status.SUBMITTING, Status.IN_DOUBT),
        target=Status.SUBMITTED,
        held=("submit_token",),
        takes=("task_id", "price", "currency"),
        stamps=("submitted_at",),
        empties=("detail", *UNANSWERED, "ended_at"),
    )
    TAKE_BACK = Transition(
        "The service had taken the image, as is known after the row was released to be sent again, or let go of.",
        source=(Status.PENDING,),
        target=Status.SUBMITTED,
        takes=("submit_token", "account", "attempts", "task_id", "price", "currency"),
        stamps=("submitted_at",),
        empties=("detail", *UNANSWERED, "ended_at", *LEASED, "not_before", "shares_id"),
        zeroes=("reservations",),
    )
    GIVE_BACK = Transition(
        "The service has surely not taken the image. The attempt is not counted.",
        source=(Status.SUBMITTING, Status.IN_DOUBT),
        target=Status.PENDING,
        held=("submit_token",),
        takes=("attempts", "not_before"),
        empties=("detail", "submit_token", "task_id", *UNANSWERED, "ended_at"),
    )
    REFUSE = Transition(
        "The service does not want this image, or turns it away again and again while it takes others.",
        source=(Status.SUBMITTING, Status.IN_DOUBT),
        target=Status.FAILED,
        held=("submit_token",),
        takes=WHY,
        stamps=("ended_at",),
        empties=UNANSWERED,
    )
