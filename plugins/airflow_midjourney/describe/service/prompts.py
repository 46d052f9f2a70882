"""The answer text of the bot, taken apart into clean prompts.

No implementation parses the text; all pass on what the bot wrote. Its layout has changed over the years:
keycap digits with or without the variation selector, blank lines with or without a space before them,
``--ar`` at the end or not, artists' names as markdown links. trueai's partner accounts send lines divided by
CR LF instead.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.model.text import on_one_line, storable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Raised with every change of what :func:`parse_prompts` makes of a text; old answers can then be read again.
PARSER_VERSION: Final = 1

#: The bot gives four; of a longer list only these are kept, since every reader counts on four.
MOST_PROMPTS: Final = 4

_KEYCAP: Final = re.compile("([1-9])\ufe0f?\u20e3")

_KEYCAP_AT_START: Final = re.compile("^[^\\S\n]*([1-9])\ufe0f?\u20e3", re.MULTILINE)

_NUMBER_AT_START: Final = re.compile(r"^[^\S\n]*([1-9])[.)](?=[^\S\n])", re.MULTILINE)

# Discord's apps turn two hyphens into a dash; a dash before any other word is a dash.
_PARAMETER: Final = re.compile(r"(?:--|—(?=(?:ar|aspect|niji|v|s|q)$))([A-Za-z]+)")

_RATIO: Final = re.compile(r"[0-9]{1,5}(?:\.[0-9]{1,5})?:[0-9]{1,5}(?:\.[0-9]{1,5})?")

_OF_ANY_LENGTH: Final = frozenset({"no", "sref", "cref", "oref", "p", "profile"})

_ASPECT: Final = frozenset({"ar", "aspect"})


@dataclass(frozen=True, slots=True)
class ParsedPrompts:
    """The clean prompts of one answer.

    :param prompts: one to four, each on one line, without numbers, links and parameters.
    :param aspect_ratio: the ratio most of them ended with, as ``W:H``; None if none had any.
    """

    prompts: tuple[str, ...]
    aspect_ratio: str | None


def parse_prompts(text: str) -> ParsedPrompts | None:
    """Take an answer text apart; None if it holds no prompts, as when it is an error sentence.

    A text holds prompts if they are numbered with keycaps, if it begins with a plain list ``1.`` ``2.`` …, if
    it is a list of two to four lines divided by CR LF, or if it is one line that ends in ``--ar W:H``. Never
    raises; takes time linear in the length of the text.
    """
    text = storable(text)
    blocks = _numbered(text.replace("\r\n", "\n")) or _lines(text)
    read = [(prompt, ratio) for prompt, ratio in map(_clean, blocks) if prompt][:MOST_PROMPTS]
    if not read:
        return None
    return ParsedPrompts(tuple(prompt for prompt, _ in read), _most_common(ratio for _, ratio in read))


def _numbered(text: str) -> list[str]:
    """Divide a numbered text; what stands before the first number is dropped."""
    numbers = _ascending(_KEYCAP_AT_START.finditer(text))
    if len(numbers) < 2:
        # A relay may have squeezed the line breaks out.
        numbers = _ascending(_KEYCAP.finditer(text)) or _plain_list(text)
    ends = [number.start() for number in numbers[1:]] + [len(text)]
    return [text[number.end() : end] for number, end in zip(numbers, ends, strict=True)] if numbers else []


def _ascending(numbers: Iterable[re.Match[str]]) -> list[re.Match[str]]:
    """Keep the numbers that are greater than all before: a digit inside a prompt begins no new one."""
    kept: list[re.Match[str]] = []
    for number in numbers:
        if not kept or number[1] > kept[-1][1]:
            kept.append(number)
    return kept


def _plain_list(text: str) -> list[re.Match[str]]:
    """Find ``1.`` ``2.`` … where the text begins with the first: an error has a sentence before its list."""
    numbers = _ascending(_NUMBER_AT_START.finditer(text))
    consecutive = [int(number[1]) for number in numbers] == list(range(1, len(numbers) + 1))
    if len(numbers) < 2 or not consecutive or text[: numbers[0].start()].strip():
        return []
    return numbers


def _lines(text: str) -> list[str]:
    """Divide the list that trueai's partner accounts send: CR LF between the entries, nothing else.

    The bot's own sentences are divided by LF alone, and a single line is a sentence unless it bears a ratio.
    """
    lines = [line for line in text.strip().split("\r\n") if line.strip()]
    if any("\n" in line for line in lines) or len(lines) > MOST_PROMPTS:
        return []
    if len(lines) == 1:
        return lines if _clean(lines[0])[1] else []
    return lines


def _clean(block: str) -> tuple[str, str | None]:
    """Turn one block into its prompt and the aspect ratio it ended with."""
    words = without_links(on_one_line(block)).split()
    end = _end_of_prompt(words)
    return " ".join(words[:end]), _aspect_ratio(words[end:])


def _end_of_prompt(words: Sequence[str]) -> int:
    """Find where the parameters begin that a prompt ends with, such as ``--ar 3:2 --v 6``."""
    end = len(words)
    values = 0
    for position in range(len(words) - 1, -1, -1):
        parameter = _PARAMETER.fullmatch(words[position])
        if parameter is None:
            values += 1
        elif values <= 1 or parameter[1].lower() in _OF_ANY_LENGTH:
            end, values = position, 0
        else:
            break
    return end


def _aspect_ratio(parameters: Sequence[str]) -> str | None:
    for name, value in pairwise(parameters):
        parameter = _PARAMETER.fullmatch(name)
        if parameter and parameter[1].lower() in _ASPECT and _RATIO.fullmatch(value):
            return value
    return None


def _most_common(ratios: Iterable[str | None]) -> str | None:
    counted = Counter(ratio for ratio in ratios if ratio)
    return counted.most_common(1)[0][0] if counted else None


def without_links(text: str) -> str:
    """Replace every ``[words](target)`` by ``words``.

    Brackets may be nested, and the target may hold parentheses that match. Where the target's parentheses do
    not match, it ends at the last closing one before the next white space. What never closes stays as it is.

    :param text: one prompt, on one line.
    """
    if "](" not in text:
        return text
    closing = _closing_parentheses(text)
    kept: list[str] = []
    open_brackets: list[int] = []
    position = 0
    while position < len(text):
        character = text[position]
        kept.append(character)
        if character == "[":
            open_brackets.append(len(kept) - 1)
        elif character == "]" and open_brackets:
            opened_at = open_brackets.pop()
            if (end := closing.get(position + 1)) is not None:
                kept[opened_at] = ""
                kept[-1] = ""
                position = end
        position += 1
    return "".join(kept)


def _closing_parentheses(text: str) -> dict[int, int]:
    """Find where each opening parenthesis closes; one pass, so that no text takes long."""
    closing: dict[int, int] = {}
    unmatched: list[int] = []
    for position, character in enumerate(text):
        if character == "(":
            unmatched.append(position)
        elif character == ")" and unmatched:
            closing[unmatched.pop()] = position
    closing.update(_ends_of_words(text, unmatched))
    return closing


def _ends_of_words(text: str, positions: list[int]) -> dict[int, int]:
    """Find the last ``)`` between each position and the next white space, where there is one."""
    wanted = set(positions)
    ends: dict[int, int] = {}
    last: int | None = None
    for position in range(len(text) - 1, -1, -1):
        character = text[position]
        if character.isspace():
            last = None
        elif character == ")" and last is None:
            last = position
        elif position in wanted and last is not None:
            ends[position] = last
    return ends
