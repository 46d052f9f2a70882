"""A no of the service, in our words first."""

from __future__ import annotations

import pytest

from airflow_midjourney.describe.service.quoted import why_blocked
from airflow_midjourney.describe.service.submit_response import Ambiguous, Full, Unavailable


@pytest.mark.parametrize(
    ("no", "words"),
    [
        (Full(None, 200, 23, "队列已满，请稍后尝试"), 'queue full (it said: "队列已满，请稍后尝试")'),
        (Full(2.0, 429, None, ""), "too many requests (HTTP 429)"),
        (Unavailable(None, 503, None, "无可用渠道"), 'the service cannot take images (it said: "无可用渠道")'),
        (Unavailable(None, None, None, "ConnectError"), "the service cannot be reached (ConnectError)"),
        (Ambiguous(502, None, ""), "no clear answer (HTTP 502)"),
        (Ambiguous(None, None, "no whole answer within 60 s"), "no clear answer (no whole answer within 60 s)"),
    ],
)
def test_our_words_come_first(no: Full | Unavailable | Ambiguous, words: str) -> None:
    assert why_blocked(no) == words


def test_a_long_text_keeps_its_end_quote_within_the_column() -> None:
    said = why_blocked(Full(None, 200, 23, "满" * 200))

    assert len(said) <= 200
    assert said.endswith('…")')
