"""trueai-org/midjourney-proxy 11.10 (.NET), without a gateway before it.

Its list has the newest hundred tasks of all users.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.model.status import Reason
from airflow_midjourney.describe.service.dialects.dialect import AnswerForm, Body, Dialect, RemoteTaskStatus, Says

if TYPE_CHECKING:
    from collections.abc import Mapping


def _is_refusal(answer: Mapping[object, object]) -> bool:
    """Limits and fields of a wrong type come with HTTP 200, a code of -1 and this."""
    return answer.get("success") is False


TRUEAI: Final = Dialect(
    name="trueai",
    codes={
        1: Says.ACCEPTED,
        3: Says.TRY_AGAIN,
        4: Says.BAD_INPUT,
        # Also a full queue, which only its words tell.
        9: Says.TRY_AGAIN,
        22: Says.ACCEPTED,
    },
    phrases={
        Says.NO_ROOM: ("队列已满", "队列数", "并发数"),
        # Said with code 4, as if the image were bad.
        Says.UPLOADS_OFF: ("禁止上传",),
    },
    complaints={
        Reason.TIMEOUT: ("超时",),
        Reason.SERVICE_ERROR: ("上传图片", "账号", "服务异常", "系统异常", "操作失败", "取消任务"),
    },
    unknown_task=(AnswerForm(204, Body.EMPTY),),
    missing_route=(AnswerForm(404), AnswerForm(405)),
    is_refusal=_is_refusal,
    status_words={"MODAL": RemoteTaskStatus.NOT_START, "CANCEL": RemoteTaskStatus.FAILURE},
    ids=re.compile(r"[0-9]{16}"),
)
