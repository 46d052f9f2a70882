"""What the services and the bots behind them complain of, recognised by their words.

The texts are those of novicezk 2.6.3, trueai 11.10, new-api and the Midjourney bot. Only whole phrases are
listed: the same words (moderate, sensitive, blocked) occur in descriptions of images.
"""

from __future__ import annotations

from typing import Final

from airflow_midjourney.describe.model.status import Reason

_PHRASES: Final[tuple[tuple[Reason, tuple[str, ...]], ...]] = (
    (
        Reason.BANNED,
        (
            "banned prompt",
            "banned word",
            "image denied",
            "image filter",
            "ai moderator",
            "community standards",
            "community guidelines",
            "content policy",
            "敏感",
            "违规",
            "违禁",
        ),
    ),
    (Reason.TIMEOUT, ("超时", "timeout", "timed out")),
    (
        Reason.SERVICE_ERROR,
        (
            "上传图片",
            "upload failed",
            "internal server error",
            "captcha",
            "账号",
            "your account",
            "pending moderation",
            "could not fetch image",
            "received status code",
            "subscription",
            "unknown interaction",
            # The service made the link of the bytes it was sent, and the image was checked before that: if
            # the bot cannot open the link, the image is not why.
            "invalid link",
            "failed to process",
            "something went wrong",
            "try again later",
            "服务异常",
            "系统异常",
            "操作失败",
            "取消任务",
            "渠道",
        ),
    ),
    (Reason.REFUSED, ("base64格式错误", "base64不能为空", "invalid image", "unsupported image")),
)

_NO_ROOM: Final = ("队列已满", "队列数", "并发数", "queue is full", "queue full", "concurren")

_NO_CREDIT: Final = (
    "quota_not_enough",
    "insufficient_quota",
    "insufficient_user_quota",
    "insufficient balance",
    "insufficient credit",
    "额度不足",
    "额度已用尽",
    "余额不足",
)

_TOO_LARGE: Final = ("request body exceeds", "request entity too large", "payload too large")

_UPLOADS_OFF: Final = ("禁止上传",)

_MODEL_LIMIT: Final = ("无权访问模型", "no access to model", "not allowed to access model")


def reason_in(text: str) -> Reason | None:
    """Say why a task failed, going by the words of the service; None if they are not known."""
    folded = text.casefold()
    for reason, phrases in _PHRASES:
        if any(phrase in folded for phrase in phrases):
            return reason
    return None


def says_no_room(text: str) -> bool:
    """Tell whether a queue is full or too many tasks run at once (trueai says so with code 9 or -1)."""
    return _holds(text, _NO_ROOM)


def says_no_credit(text: str) -> bool:
    """Tell whether there is no money left (new-api says so with code 4, other gateways with 403 or 429)."""
    return _holds(text, _NO_CREDIT)


def says_too_large(text: str) -> bool:
    """Tell whether the request was larger than the server takes."""
    return _holds(text, _TOO_LARGE)


def says_uploads_off(text: str) -> bool:
    """Tell whether trueai takes no images at all; it says so with code 4, as if the image were bad."""
    return _holds(text, _UPLOADS_OFF)


def says_model_limit(text: str) -> bool:
    """Tell whether new-api refuses a key that is limited to certain models; it does so for every read."""
    return _holds(text, _MODEL_LIMIT)


def _holds(text: str, phrases: tuple[str, ...]) -> bool:
    folded = text.casefold()
    return any(phrase in folded for phrase in phrases)
