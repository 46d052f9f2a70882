"""What became of the task of a row, in time or late, and the callbacks that announce it."""

from __future__ import annotations

from enum import unique

from airflow_midjourney.describe.model.status import IN_FLIGHT, Status
from airflow_midjourney.describe.table.transitions.columns import LEASED, PROMPTS, REMOTE_TIMES, UNANSWERED, WHY
from airflow_midjourney.describe.table.transitions.transition import ANY_STATUS, Move, Transition


@unique
class ResultMove(Move):
    """The moves that follow from what the service says of a task."""

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
        may_take=REMOTE_TIMES,
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
        may_take=REMOTE_TIMES,
        stamps=("ended_at",),
        empties=(*WHY, "missing_since"),
    )
    TRY_AGAIN = Transition(
        "The describe came to nothing. The failure is curable, and attempts are left.",
        source=(Status.SUBMITTED,),
        target=Status.PENDING,
        held=("submit_token",),
        takes=(*WHY, "not_before"),
        may_take=("prompt_raw",),
        empties=("missing_since",),
    )
    FAIL = Transition(
        "The describe came to nothing, and is not tried again.",
        source=(Status.SUBMITTED,),
        target=Status.FAILED,
        held=("submit_token",),
        takes=WHY,
        may_take=("prompt_raw", *REMOTE_TIMES),
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
        may_take=REMOTE_TIMES,
        stamps=("ended_at",),
        empties=(*WHY, *LEASED, *UNANSWERED, "not_before"),
        zeroes=("reservations",),
    )
    RESUME = Transition(
        "The service still works on a task that was given up: the row waits for it again, and nothing is paid.",
        source=(Status.FAILED, Status.PENDING),
        target=Status.SUBMITTED,
        takes=("submit_token", "task_id", "account", "price", "currency", "silence_before"),
        stamps=("submitted_at",),
        empties=(*WHY, *LEASED, *UNANSWERED, "not_before", "missing_since", "shares_id", *REMOTE_TIMES, "ended_at"),
        zeroes=("reservations",),
    )
