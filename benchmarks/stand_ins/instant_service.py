"""A describe service that takes every image at once, and has its prompts by the time it is asked."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Final

from benchmarks.stand_ins.http import answer, body_of

if TYPE_CHECKING:
    from benchmarks.stand_ins.http import Application, Receive, Scope, Send

_JSON: Final = b"application/json"

#: Where it tells what it was asked.
ASKED: Final = "/asked"

_PROMPTS: Final = "\n\n".join(
    f"{number}\ufe0f\u20e3 a lighthouse on a cliff above a grey sea, oil on canvas, wide brush strokes, seen from"
    " the harbour in the first light of the day, muted colours, a lone gull over the water --ar 3:2"
    for number in range(1, 5)
)

_ids: Final = itertools.count(1_700_000_000_000_000)
_asked: Final = {"submits": 0, "reads": 0}


def make_app(*, status: str = "SUCCESS", prompts: str = _PROMPTS) -> Application:
    """Make a service.

    :param status: of every task.
    :param prompts: what it has come to.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = await body_of(receive)
        await answer(send, json.dumps(_answer_to(scope["path"], body)).encode(), _JSON)

    def _answer_to(path: str, body: bytes) -> object:
        if path == ASKED:
            return _asked
        if path.endswith("/submit/describe"):
            _asked["submits"] += 1
            return {"code": 1, "description": "ok", "result": str(next(_ids)), "properties": {}}
        _asked["reads"] += 1
        if path.endswith("/task/list-by-condition"):
            return [_task(task_id, status, prompts) for task_id in json.loads(body)["ids"]]
        return None

    return app


def _task(task_id: str, status: str, prompts: str) -> dict[str, object]:
    return {
        "id": task_id,
        "action": "DESCRIBE",
        "status": status,
        "prompt": prompts,
        "promptEn": prompts,
        "state": "",
        "properties": {"finalPrompt": prompts} if prompts else {},
    }


app = make_app()
