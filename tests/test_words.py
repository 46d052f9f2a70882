"""The words of the code: a sentence says who acts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

HERE: Final = Path(__file__).parents[1]
ROOMS: Final = ("plugins", "dags", "demo", "deploy", "benchmarks", "mutants")

#: A sentence with one of these hides who acts, or of which things it speaks.
HIDING: Final = re.compile(r"\b(?:nobody|somebody|whoever|those that)\b", re.IGNORECASE)


@pytest.mark.parametrize("suffix", [".py", ".html", ".js", ".css"])
def test_a_sentence_says_who_acts(suffix: str) -> None:
    files = sorted(file for room in ROOMS for file in (HERE / room).rglob(f"*{suffix}"))
    assert files

    found = [
        f"{file.relative_to(HERE)}:{number}: {line.strip()}"
        for file in files
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
        if HIDING.search(line)
    ]

    assert not found
