"""novicezk/midjourney-proxy 2.6.3 (Java), and the plus family that follows it.

Its list has all tasks, newest first; with the store in memory a restart empties it. Which of its handlers sees messages
first differs from build to build: in some a task shows ``IN_PROGRESS`` and what the bot complains of ends as a timeout.
"""

from __future__ import annotations

import re
from typing import Final

from airflow_midjourney.describe.model.status import BotType, Reason
from airflow_midjourney.describe.service.dialects.dialect import AnswerForm, Body, Dialect, Says

NOVICEZK: Final = Dialect(
    name="novicezk",
    codes={
        1: Says.ACCEPTED,
        3: Says.TRY_AGAIN,
        4: Says.BAD_INPUT,
        9: Says.TRY_AGAIN,
        # Its documentation has 21 and 24; its code never answers a describe so.
        21: Says.ACCEPTED,
        22: Says.ACCEPTED,
        23: Says.NO_ROOM,
        24: Says.BANNED,
    },
    phrases={Says.NO_ROOM: ("队列已满",)},
    complaints={
        Reason.BANNED: ("敏感",),
        Reason.TIMEOUT: ("超时",),
        Reason.SERVICE_ERROR: ("上传图片", "系统异常"),
        Reason.REFUSED: ("base64格式错误", "base64不能为空"),
    },
    unknown_task=(AnswerForm(200, Body.EMPTY),),
    missing_route=(AnswerForm(404), AnswerForm(405)),
    # The time in milliseconds and three digits at random.
    ids=re.compile(r"[0-9]{16}"),
    bots=frozenset({BotType.MID_JOURNEY}),
)
