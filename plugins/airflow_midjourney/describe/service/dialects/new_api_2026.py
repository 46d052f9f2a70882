"""new-api gateways of July 2026: as those of 2025, with errors in English that have a code, and a 503 when overloaded.

A 401 ``Invalid token`` is their answer to a key that is wrong, expired, disabled or used up, and to none at all.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from airflow_midjourney.describe.model.status import Reason
from airflow_midjourney.describe.service.dialects.dialect import Says
from airflow_midjourney.describe.service.dialects.new_api import NEW_API

NEW_API_2026: Final = replace(
    NEW_API,
    name="new-api-2026",
    phrases={
        Says.NO_CREDIT: (
            "insufficient_user_quota",
            "insufficient_token_quota",
            "token quota is exhausted",
        ),
        Says.MODEL_LIMIT: ("no access to model",),
        Says.TOO_LARGE: ("request body exceeds",),
    },
    complaints={Reason.SERVICE_ERROR: ("no available channel",)},
    # No channel for the model, as before; and a processor, memory or disk that is too busy, said before the key is
    # looked at.
    before_sending=frozenset({503}),
)
