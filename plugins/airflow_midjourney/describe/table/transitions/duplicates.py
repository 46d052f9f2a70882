"""Rows with the same bytes: one is sent, the others share what becomes of it."""

from __future__ import annotations

from enum import unique

from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.describe.table.schema import SHARING
from airflow_midjourney.describe.table.transitions.columns import LEASED, SHARED, UNANSWERED, WHY
from airflow_midjourney.describe.table.transitions.transition import Move, Transition


@unique
class DuplicateMove(Move):
    """The moves of a row that waits for its twin."""

    SHARE = Transition(
        "The row waits for what becomes of another one with the same bytes.",
        source=(Status.PENDING,),
        takes=("shares_id",),
        empties=LEASED,
        zeroes=("reservations",),
    )
    COPY_ANSWER = Transition(
        "A row with the same bytes has its prompts: the row gets the same, for nothing.",
        source=SHARING,
        target=Status.SUCCEEDED,
        takes=("shares_id", *SHARED),
        stamps=("ended_at",),
        empties=(*WHY, *LEASED, *UNANSWERED, "not_before"),
        zeroes=("price", "reservations"),
    )
    FAIL_WITH_TWIN = Transition(
        "The row with the same bytes that the row waits for has failed.",
        source=SHARING,
        target=Status.FAILED,
        takes=WHY,
        stamps=("ended_at",),
        empties=UNANSWERED,
    )
    DOUBT_WITH_TWIN = Transition(
        "The row with the same bytes that the row waits for is in doubt.",
        source=(Status.PENDING,),
        target=Status.IN_DOUBT,
        takes=WHY,
        stamps=("ended_at",),
    )
    LEAVE_TWIN = Transition(
        "The row with the same bytes is not on its way any more: the row is sent itself.",
        source=SHARING,
        target=Status.PENDING,
        takes=("attempts", "not_before"),
        empties=("shares_id", *UNANSWERED, "ended_at"),
    )
