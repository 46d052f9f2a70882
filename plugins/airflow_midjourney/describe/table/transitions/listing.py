"""What the listing of a batch makes of a row: it is found, replaced, or tried again."""

from __future__ import annotations

from enum import unique

from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.describe.table.transitions.columns import COUNTERS, LEASED, OBJECT, WHY
from airflow_midjourney.describe.table.transitions.transition import ANY_STATUS, UNLISTED, Move, Transition


@unique
class ListingMove(Move):
    """The moves that a listing makes."""

    LIST = Transition(
        "The listing has found a version of an image that has no row.",
        source=UNLISTED,
        target=Status.PENDING,
        takes=OBJECT,
        stamps=("created_at",),
        empties=(*WHY, "ended_at"),
        zeroes=COUNTERS,
    )
    LIST_UNSENDABLE = Transition(
        "The listing has found, or was given, a key that cannot be sent.",
        source=UNLISTED,
        target=Status.REJECTED,
        takes=(*OBJECT, *WHY),
        stamps=("created_at", "ended_at"),
        zeroes=COUNTERS,
    )
    LOOK_UP_AGAIN = Transition(
        "A key that was named still has no object that can be looked up.",
        source=(Status.REJECTED,),
        takes=(*WHY, "rejected_before"),
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
        takes=WHY,
        stamps=("ended_at",),
        empties=LEASED,
    )
    REOPEN = Transition(
        "An image that could not be sent is tried again: its object, or what the worker can read, has changed.",
        source=(Status.REJECTED,),
        target=Status.PENDING,
        takes=("batch_id", "rejected_before"),
        empties=(*WHY, "ended_at", "not_before"),
        zeroes=("reservations",),
    )
