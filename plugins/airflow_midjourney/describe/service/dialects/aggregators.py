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
        Reason.BANNED: ("content policy", "违规", "违禁"),
        Reason.SERVICE_ERROR: ("upload failed",),
        Reason.REFUSED: ("invalid image", "unsupported image"),
    },
)
