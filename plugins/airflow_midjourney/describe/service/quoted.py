"""A no of the service in our words, with its own quoted behind them: they may be in any language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.model.text import shortened
from airflow_midjourney.describe.service.submit_response import Ambiguous, Full

if TYPE_CHECKING:
    from airflow_midjourney.describe.service.submit_response import Unavailable

#: Characters of the service's own words.
_QUOTED: Final = 120

_TOO_MANY_REQUESTS: Final = 429


def why_blocked(no: Full | Unavailable | Ambiguous) -> str:
    """Say why nothing is sent for a while."""
    said = shortened(no.description, _QUOTED)
    if no.http_status is None:
        return f"{_ours(no)} ({said})" if said else _ours(no)
    return f'{_ours(no)} (it said: "{said}")' if said else f"{_ours(no)} (HTTP {no.http_status})"


def _ours(no: Full | Unavailable | Ambiguous) -> str:
    if isinstance(no, Full):
        return "too many requests" if no.http_status == _TOO_MANY_REQUESTS else "queue full"
    if isinstance(no, Ambiguous):
        return "no clear answer"
    return "the service cannot be reached" if no.http_status is None else "the service cannot take images"
