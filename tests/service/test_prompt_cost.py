"""Reading takes time in proportion to the length of a text, whatever a stranger repeats in it."""

from __future__ import annotations

import time

import pytest

from airflow_midjourney.describe.service.prompts import parse_prompts

SHORT, LONG = 25_000, 100_000

#: Four times the text may take this many times as long; a quadratic parser takes sixteen.
MOST = 8

PIECES = (
    *(
        "](",
        "[",
        "[](",
        "[a](b",
        "([",
        ")",
        "1\u20e3",
        "1\ufe0f",
        "\ufe0f",
        "\u200d",
        "1. x\n",
        "1. ",
        "(1)",
        "①",
        ":one:",
        "一、",
    ),
    *(
        "--a ",
        "--ar ",
        "—ar 3:2 ",
        "--ar 3:2 x ",
        "--sref 1a ",
        "--no a ",
        "-",
        " -",
        "--",
        "*",
        " *a",
        "_a_ ",
        "**",
        "`",
    ),
    *(
        "https://a ",
        "<https://",
        "<br>",
        "\r\n",
        "\n \n",
        "\\n",
        " ",
        "\t",
        "- a\n",
        "a:\n",
        "a --ar 3:2\n",
        "Prompt 1:",
        "9 ",
    ),
)


def _cost(text: str) -> float:
    """Give the processor time of one reading: the least of three, so that a busy machine does not count."""
    costs = []
    for _ in range(3):
        started = time.process_time()
        parse_prompts(text)
        costs.append(time.process_time() - started)
    return min(costs)


@pytest.mark.parametrize("before", ["1\ufe0f\u20e3 x ", ""], ids=["numbered", "bare"])
@pytest.mark.parametrize("piece", PIECES)
def test_four_times_the_text_takes_about_four_times_as_long(before: str, piece: str) -> None:
    short, long = (_cost(before + piece * (length // len(piece))) for length in (SHORT, LONG))
    # Below a millisecond the clock itself is what is measured.
    assert long <= MOST * max(short, 0.001)
