"""The answer text of the bot, taken apart into clean prompts.

No implementation parses the text; all pass on what the bot wrote. Its layout has changed over the years:
keycap digits with or without the variation selector, blank lines with or without a space before them,
``--ar`` at the end or not, artists' names as markdown links. trueai's partner accounts send lines divided by
CR LF instead; translators and relays change numbers, dashes and line breaks. The steps are in ``prompt_text/``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.model.text import storable
from airflow_midjourney.describe.service.prompt_text.cleaning import clean
from airflow_midjourney.describe.service.prompt_text.folding import (
    folded,
    with_plain_breaks,
    without_invisible,
    without_quoting,
    without_rules,
)
from airflow_midjourney.describe.service.prompt_text.lists import (
    MOST_PROMPTS,
    entries,
    is_notice,
    paragraphs,
    speaks_to_reader,
    without_closing_note,
    without_heading,
)
from airflow_midjourney.describe.service.prompt_text.marks import marks_of_numbers, marks_of_signs, without_buttons
from airflow_midjourney.describe.service.prompt_text.wrappings import unwrapped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from airflow_midjourney.describe.service.prompt_text.marks import Mark

__all__ = ["MOST_PROMPTS", "PARSER_VERSION", "ParsedPrompts", "parse_prompts"]

#: Raised with every change of what :func:`parse_prompts` makes of a text; old answers can then be read again.
PARSER_VERSION: Final = 5


@dataclass(frozen=True, slots=True)
class ParsedPrompts:
    """The clean prompts of one answer.

    :param prompts: one to four, each on one line, without numbers, links and parameters.
    :param aspect_ratio: the ratio most of them named, as ``W:H``; None if none had any.
    """

    prompts: tuple[str, ...]
    aspect_ratio: str | None


def parse_prompts(text: str) -> ParsedPrompts | None:
    """Take an answer text apart; None if it holds no prompts, as when it is an error sentence.

    A text holds prompts if they are numbered with keycaps or the like, if it is a plain list ``1.`` ``2.`` …, or
    if it is a list without numbers (see :func:`~.prompt_text.lists.entries`). One sentence is no list. Never
    raises; takes time linear in the length of the text.

    :param text: the answer, as the service sent it.
    """
    text = without_closing_note(without_rules(without_invisible(storable(unwrapped(text)))))
    read = [(one.text, one.aspect_ratio) for one in map(clean, _blocks(text)) if one.text][:MOST_PROMPTS]
    if not read:
        return None
    return ParsedPrompts(tuple(prompt for prompt, _ in read), _most_common(ratio for _, ratio in read))


def _blocks(text: str) -> list[str]:
    plain = without_buttons(without_quoting(with_plain_breaks(text)))
    shadow = folded(plain)
    signs = marks_of_signs(shadow)
    numbers = [] if any(mark.begins_line for mark in signs) else marks_of_numbers(shadow)
    # Signs that stand only within the entries of a numbered list are part of them.
    begins_with_number = bool(numbers) and not plain[: numbers[0].start].strip()
    if (len(signs) > 1 and not begins_with_number) or (signs and not plain[: signs[0].start].strip()):
        return _numbered(plain, signs)
    if numbers and not is_notice(plain[: numbers[0].start]):
        return _numbered(plain, numbers)
    return _numbered(plain, signs) if signs else entries(text)


def _numbered(text: str, marks: Sequence[Mark]) -> list[str]:
    """Divide a text at its marks, in the order of their numbers; a number given twice leaves the order as it is."""
    ends = [mark.start for mark in marks[1:]] + [len(text)]
    blocks = [(mark.number, text[mark.end : end]) for mark, end in zip(marks, ends, strict=True)]
    if len({number for number, _ in blocks}) == len(blocks):
        blocks.sort(key=lambda block: block[0])
    return [*_without_mark(text[: marks[0].start], marks), *_with_lost_marks(blocks)]


def _with_lost_marks(blocks: list[tuple[int, str]]) -> Iterator[str]:
    """Divide a block into its paragraphs where these are as many as the numbers up to the next mark."""
    following = [number for number, _ in blocks[1:]]
    for (number, block), next_number in zip(blocks, [*following, 0], strict=True):
        several = paragraphs(block) if next_number > number + 1 else [block]
        yield from several if len(several) == next_number - number else [block]


def _without_mark(before: str, marks: Sequence[Mark]) -> list[str]:
    """Give the first prompt if its mark was lost: the list begins at 2, and no heading stands before it."""
    if min(mark.number for mark in marks) != 2 or len(marks) >= MOST_PROMPTS:
        return []
    before = without_heading(before).strip()
    return [before] if before and not speaks_to_reader(before) else []


def _most_common(ratios: Iterable[str | None]) -> str | None:
    counted = Counter(ratio for ratio in ratios if ratio)
    return counted.most_common(1)[0][0] if counted else None
