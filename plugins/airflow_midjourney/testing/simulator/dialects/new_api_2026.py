"""new-api (July 2026) over HTTP: as that of 2025, with English errors that have a code, and tasks with videos."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from airflow_midjourney.testing.simulator.dialects.gateway_words import GatewayWords
from airflow_midjourney.testing.simulator.dialects.new_api import NewApiDialect
from airflow_midjourney.testing.simulator.dialects.novicezk_task import NovicezkVoice

if TYPE_CHECKING:
    from collections.abc import Mapping

#: One answer for keys that are wrong, expired, switched off or used up, and for none.
_INVALID: Final = "Invalid token"


class NewApi2026Voice(NovicezkVoice):
    """The words of its upstream for tasks, its own for errors."""

    gateway_words = GatewayWords(
        says={
            "无效的令牌": _INVALID,
            "未提供令牌": _INVALID,
            "该令牌额度已用尽 TokenStatusExhausted[sk-abc***xyz]": _INVALID,
            "该令牌无权访问模型 ": "This token has no access to model ",
            "当前分组 default 下对于模型 mj_describe 无可用渠道": (
                "No available channel for model mj_describe under group default (distributor)"
            ),
        },
        names_codes=True,
        bad_request="Invalid request: Invalid Midjourney request: ",
    )


class NewApi2026Dialect(NewApiDialect):
    """The same routes."""

    further_fields: Mapping[str, Any] = MappingProxyType({"videoUrl": "", "videoUrls": None})


#: What ``app.py`` looks for.
DIALECT: Final = NewApi2026Dialect
VOICE: Final = NewApi2026Voice
