"""Reading takes time in proportion to the length of a text, whatever a stranger repeats in it."""

from __future__ import annotations

import time

import pytest

from airflow_midjourney.describe.service.prompts import parse_prompts

SHORT, LONG = 25_000, 100_000

#: Four times the text may take this many times as long; a quadratic parser takes sixteen.
MOST = 8

#: Another program on the same core makes a reading dearer, never cheaper; each reading is measured so often, at most.
TRIES = 10

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
    """Give the processor time of one reading."""
    started = time.thread_time()
    parse_prompts(text)
    return time.thread_time() - started


@pytest.mark.parametrize("before", ["1\ufe0f\u20e3 x ", ""], ids=["numbered", "bare"])
@pytest.mark.parametrize("piece", PIECES)
def test_four_times_the_text_takes_about_four_times_as_long(before: str, piece: str) -> None:
    short, long = (before + piece * (length // len(piece)) for length in (SHORT, LONG))
    least = min(_cost(short) for _ in range(3))
    # Below a millisecond the clock itself is what is measured.
    assert any(_cost(long) <= MOST * max(least, 0.001) for _ in range(TRIES))
