"""What a worker does with a row that it holds the lease on, up to the claim."""

from __future__ import annotations

from enum import unique

from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.describe.table.transitions.columns import CONTENT, LEASED, WHY
from airflow_midjourney.describe.table.transitions.transition import Move, Transition


@unique
class LeaseMove(Move):
    """The moves of a row that waits to be sent. The lease is compared, so a worker that has lost it changes nothing."""

    RESERVE = Transition(
        "A worker takes the lease on the row to read its image.",
        source=(Status.PENDING,),
        takes=LEASED,
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
        empties=LEASED,
        zeroes=("reservations",),
    )
    POSTPONE = Transition(
        "The worker gives the row back for some time: its object, or a former task, cannot be asked for now.",
        source=(Status.PENDING,),
        held=("reserved_by",),
        takes=("not_before",),
        empties=LEASED,
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
        takes=CONTENT,
        zeroes=("reservations",),
    )
    REJECT = Transition(
        "The worker has found that the image cannot be sent.",
        source=(Status.PENDING,),
        target=Status.REJECTED,
        held=("reserved_by",),
        takes=(*WHY, "reader"),
        stamps=("ended_at",),
        empties=LEASED,
    )
    REJECT_UNPROCESSABLE = Transition(
        "Three workers in a row have died while they held the image to decode it.",
        source=(Status.PENDING,),
        target=Status.REJECTED,
        takes=WHY,
        stamps=("ended_at",),
        empties=LEASED,
    )
