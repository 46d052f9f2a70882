"""What gateways of unknown make say, and servers that stand before a service."""

from __future__ import annotations

from typing import Final

from airflow_midjourney.describe.model.status import Reason
from airflow_midjourney.describe.service.dialects.dialect import Dialect, Says

AGGREGATORS: Final = Dialect(
    name="aggregators",
    phrases={
        Says.NO_ROOM: ("queue is full", "queue full", "concurren"),
        Says.NO_CREDIT: (
            "insufficient_quota",
            "insufficient balance",
            "insufficient credit",
            "insufficient funds",
            "not enough credit",
            "not enough balance",
            "credit balance is too low",
            "exceeded your current quota",
            "余额不足",
            "餘額不足",
        ),
        Says.TOO_LARGE: ("request entity too large", "payload too large"),
        Says.MODEL_LIMIT: ("not allowed to access model",),
    },
    complaints={
        Reason.BANNED: ("content policy", "违规", "违禁", "不合规", "触发审核", "审核不通过", "未通过审核"),
        Reason.SERVICE_ERROR: (
            "upload failed",
            "下载失败",
            "上传失败",
            "系统繁忙",
            "服务器内部错误",
            "网络错误",
            "队列已满",
            "排队已满",
            "请重试",
            "稍后再试",
        ),
        Reason.REFUSED: (
            "invalid image",
            "unsupported image",
            "image too large",
            "file too large",
            "only images are allowed",
            "图片格式错误",
            "图片太大",
            "图片过大",
        ),
    },
    blocked_account=(
        "账号因",
        "账号已",
        "账号被",
        "账号存在",
        "账户存在",
        "账号违规",
        "账号封禁",
        "帐号因",
        "帐号已",
        "帐号被",
        "账户因",
        "账户已",
        "账户被",
        "帳號已",
        "帳號被",
        "被封禁",
        "被封号",
    ),
)
