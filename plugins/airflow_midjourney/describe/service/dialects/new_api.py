"""new-api gateways (April 2025) and the aggregators built on them: they keep tasks of their own and charge for them.

They answer a submit with their upstream's words and reads from their own records, and have no list of all tasks. A task
has no ``state`` until they have looked at their upstream, 15 to 30 seconds later. They give back what they charged for
tasks that end in ``FAILURE``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.model.status import Reason
from airflow_midjourney.describe.service.dialects.dialect import (
    AnswerForm,
    Body,
    Dialect,
    RemoteTaskStatus,
    Says,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


def is_own_error(answer: Mapping[object, object]) -> bool:
    """Errors of its doorkeepers have the shape of OpenAI's, those of its Midjourney part this type."""
    return answer.get("type") == "upstream_error" or isinstance(answer.get("error"), dict)


#: Its front page stands for every path that it does not know.
FRONT_PAGE: Final = AnswerForm(200, Body.WEB_PAGE)

#: It spells it without the t; later ones may not.
TASK_NOT_FOUND: Final = AnswerForm(400, words=("task_no_found", "task_not_found"))

NEW_API: Final = Dialect(
    name="new-api",
    codes={5: Says.TRY_AGAIN, 30: Says.NO_ROOM},
    phrases={
        Says.NO_CREDIT: (
            "quota_not_enough",
            "quota is not enough",
            "额度不足",
            "额度已用尽",
            "预扣费额度失败",
            "pre_consume_token_quota_failed",
            "tokenstatusexhausted",
        ),
        Says.MODEL_LIMIT: ("无权访问模型",),
        # Said when the upstream has taken the task and the quota is charged already.
        Says.PERHAPS_BILLED: (
            "insert_midjourney_task_failed",
            "copy_response_body_failed",
            "close_response_body_failed",
        ),
    },
    complaints={Reason.TIMEOUT: ("超时",), Reason.SERVICE_ERROR: ("渠道",)},
    unknown_task=(TASK_NOT_FOUND,),
    missing_route=(FRONT_PAGE,),
    # No channel for the model.
    before_sending=frozenset({503}),
    is_own_error=is_own_error,
    # Until its first look at the upstream a task has no state.
    status_words={"": RemoteTaskStatus.NOT_START},
)
