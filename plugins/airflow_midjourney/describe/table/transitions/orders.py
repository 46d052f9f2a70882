"""What a person, or a batch by its options, orders for rows that have ended."""

from __future__ import annotations

from enum import unique
from typing import Final

from sqlalchemy import MetaData

from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.describe.table.schema.images import images_table
from airflow_midjourney.describe.table.transitions.columns import COUNTERS, PROMPTS, UNANSWERED, WHY
from airflow_midjourney.describe.table.transitions.transition import Move, Transition

#: Everything that an erased row can do without.
_ALL_THAT_MAY_BE_EMPTY: Final = tuple(
    column.name
    for column in images_table(MetaData(), "image_prompts").columns
    if column.nullable and column.name not in ("content_sha256", *WHY)
)


@unique
class OrderMove(Move):
    """The moves that are ordered. None of them follows from an answer of the service."""

    DESCRIBE_AGAIN = Transition(
        "A batch or a person asks for an image that has ended to be described again. Its prompts stay until then.",
        source=(Status.SUCCEEDED, Status.FAILED, Status.IN_DOUBT, Status.REJECTED),
        target=Status.PENDING,
        takes=("redescribed_by", "redescribed_at"),
        may_take=("batch_id",),
        empties=(*WHY, "shares_id", "submit_token", "task_id", *UNANSWERED, "ended_at", "not_before"),
        zeroes=("attempts", "reservations"),
    )
    RESOLVE_BY_SENDING = Transition(
        "A person decides that a doubtful image is sent again.",
        source=(Status.IN_DOUBT,),
        target=Status.PENDING,
        held=("submit_token",),
        takes=("detail",),
        empties=(*UNANSWERED, "ended_at"),
    )
    RESOLVE_AS_LOST = Transition(
        "A person gives a doubtful image up.",
        source=(Status.IN_DOUBT,),
        target=Status.FAILED,
        held=("submit_token",),
        takes=WHY,
        stamps=("ended_at",),
        empties=UNANSWERED,
    )
    REPARSE = Transition(
        "A newer parser reads the raw answer of a described image again.",
        source=(Status.SUCCEEDED,),
        takes=PROMPTS,
        empties=WHY,
    )
    RECOVER = Transition(
        "A newer parser finds prompts in a raw answer that could not be read.",
        source=(Status.FAILED,),
        target=Status.SUCCEEDED,
        takes=PROMPTS,
        stamps=("ended_at",),
        empties=WHY,
    )
    ERASE = Transition(
        "A person has the image erased: two digests are left of it.",
        source=(Status.PENDING, Status.SUCCEEDED, Status.FAILED, Status.REJECTED, Status.IN_DOUBT),
        target=Status.REJECTED,
        takes=("image_uri", "bucket", "key", "image_version", "is_current", "content_sha256", *WHY),
        empties=_ALL_THAT_MAY_BE_EMPTY,
        zeroes=(*COUNTERS, "max_attempts"),
    )
