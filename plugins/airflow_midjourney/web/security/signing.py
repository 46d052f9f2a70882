"""Values that we hand out and take back: signed with Airflow's own key, so that no user can make them up.

The only place that knows where Airflow has its key.
"""

from __future__ import annotations

from typing import Any, Final

from airflow.api_fastapi.auth.tokens import get_signing_key
from fastapi import HTTPException
from itsdangerous import BadSignature, URLSafeTimedSerializer

#: Seconds for which a user may look at a question before answering it.
LONGEST_THOUGHT: Final = 3600


def seal(purpose: str, value: Any) -> str:
    """Give a value as text that only we can have made, and that is good for one purpose alone."""
    return _serializer(purpose).dumps(value)


def unseal(purpose: str, text: str, *, max_age: int | None = None) -> Any:
    """Give back what was sealed.

    :param max_age: seconds for which it is good, None for ever.
    :raises HTTPException: 400 if we have not made it, or too long ago.
    """
    try:
        return _serializer(purpose).loads(text, max_age=max_age)
    except BadSignature:
        raise HTTPException(400, "This is not what the page gave out, or too old. Open the page again.") from None


def _serializer(purpose: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(get_signing_key("api", "secret_key"), salt=f"airflow_midjourney: {purpose}")
