"""What trueai 11.10 makes of a submit."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, Final

from airflow_midjourney.testing.simulator.data_uri import MalformedDataUriError, read_leniently
from airflow_midjourney.testing.simulator.dialects import answers
from airflow_midjourney.testing.simulator.dialects.answers import SubmitAnswer
from airflow_midjourney.testing.simulator.effects import Refusal
from airflow_midjourney.testing.simulator.model import CHANNEL, ReceivedImage, SubmitFields

if TYPE_CHECKING:
    from airflow_midjourney.testing.simulator.exchange import Exchange
    from airflow_midjourney.testing.simulator.model import SimulatedTask
    from airflow_midjourney.testing.simulator.service import Admission

_TEXT_FIELDS: Final = ("base64", "link", "state", "notifyHook", "botType", "language")
_LONGEST_STATE: Final = 255
_LONGEST_HOOK: Final = 2000
_NIJI: Final = frozenset({"niji", "NIJI_JOURNEY"})
_TICKS_AT_EPOCH: Final = 621_355_968_000_000_000


class UnacceptableError(ValueError):
    """The submit is refused with this answer."""

    def __init__(self, answer: SubmitAnswer) -> None:
        super().__init__(answer.refused)
        self.answer = answer


def success_false(message: str, reason: str, *, closes: bool = False) -> SubmitAnswer:
    """The other envelope, for limits and for fields of a wrong type; HTTP 200 like the first."""
    ticks = _TICKS_AT_EPOCH + time.time_ns() // 100
    body = {"success": False, "code": -1, "message": message, "timestamp": str(ticks)}
    return SubmitAnswer(body, refused=reason, closes=closes)


def told_fields(exchange: Exchange) -> SubmitFields:
    """What the request says beside its image.

    :raises UnacceptableError: for a field that is no text, or too long.
    """
    fields = exchange.fields
    for name in _TEXT_FIELDS:
        if not isinstance(fields.get(name), str | None):
            message = f"The JSON value could not be converted to System.String. Path: $.{name}"
            raise UnacceptableError(success_false(message, "bad_request"))
    if len(fields.get("state") or "") > _LONGEST_STATE:
        raise UnacceptableError(success_false("state 长度不能超过 255", "bad_request"))
    if len(fields.get("notifyHook") or "") > _LONGEST_HOOK:
        raise UnacceptableError(success_false("notifyHook 长度不能超过 2000", "bad_request"))
    mode = re.match(r"/mj-(fast|turbo|relax)/", exchange.request.url.path)
    return SubmitFields(
        state=fields.get("state"),
        notify_hook=(fields.get("notifyHook") or "").strip() or None,
        bot_type="NIJI_JOURNEY" if fields.get("botType") in _NIJI else "MID_JOURNEY",
        language=fields.get("language"),
        mode=mode.group(1).upper() if mode else None,
        client_address=exchange.client_address,
    )


def given_image(fields: dict[str, Any]) -> ReceivedImage:
    """The image of the request; ``base64`` goes before ``link``.

    :raises UnacceptableError: if there is none that the service takes.
    """
    encoded, link = fields.get("base64") or "", fields.get("link") or ""
    if encoded.strip():
        try:
            return read_leniently(encoded)
        except MalformedDataUriError:
            raise UnacceptableError(_refused(4, "base64格式错误", "bad_image")) from None
    if not link.strip():
        raise UnacceptableError(_refused(4, "base64或link不能为空", "bad_image"))
    if not re.match(r"https?://.+", link):
        raise UnacceptableError(_refused(4, "链接格式错误", "bad_image"))
    return ReceivedImage.at(link)


def accepted(admission: Admission) -> SubmitAnswer:
    """The answer for a task that was made."""
    body = _body(1, "提交成功", admission.task.id, placed=True)
    if admission.ahead:
        body = answers.queued_body(body, admission.ahead)
    return SubmitAnswer(body, task=admission.task)


def stored_address(public_url: str, task: SimulatedTask) -> str:
    """Where the service has stored the picture that came with the request."""
    return f"{public_url}/_simulator/ephemeral-attachments/{CHANNEL}/{task.id}/input.png"


def _refused(code: int, description: str, reason: str, *, closes: bool = False, placed: bool = False) -> SubmitAnswer:
    return SubmitAnswer(_body(code, description, None, placed=placed), refused=reason, closes=closes)


def _body(code: int, description: str, result: str | None, *, placed: bool) -> dict[str, Any]:
    properties = {"discordInstanceId": CHANNEL, "discordChannelId": CHANNEL} if placed else {}
    return {"code": code, "description": description, "result": result, "properties": properties}


#: Why a submit may be refused, and with which answer.
REFUSALS: Final = {
    Refusal.FULL: _refused(9, "提交失败，队列已满，请稍后重试", "queue_full", closes=True, placed=True),
    Refusal.NO_ACCOUNT: _refused(3, "无可用的账号实例", "no_account", closes=True),
    Refusal.CRASH: _refused(9, "提交失败，系统异常", "crash", closes=True, placed=True),
    Refusal.UPLOAD_FAILED: _refused(9, "上传图片到云存储异常", "upload_failed", placed=True),
    Refusal.UPLOADS_FORBIDDEN: _refused(4, "禁止上传", "uploads_forbidden"),
    Refusal.CONCURRENCY_LIMIT: success_false("并发数已达上限", "concurrency_limit", closes=True),
    Refusal.QUEUE_LIMIT: success_false("队列数已达上限", "queue_limit", closes=True),
    Refusal.NOT_CONFIGURED: success_false("服务暂不可用，请联系管理员", "not_configured", closes=True),
}
