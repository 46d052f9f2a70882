"""The marks that number prompts: keycaps in every spelling, circled digits, ``1.``, ``(1)``, ``1/4``, ``一、`` …"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.service.prompt_text.labels import LABEL, full_list, numbered_alike
from airflow_midjourney.describe.service.prompt_text.lists import announces

if TYPE_CHECKING:
    from collections.abc import Sequence

# Quotes, bullets, headings and bold before a mark belong to it. Every repetition is bounded: no text takes long.
# So do pictures that a list is decorated with; digits in circles are left out, which are marks themselves.
_PICTURES: Final = "\u2190-\u23ff\u2500-\u2775\u2794-\u2bff\U0001f300-\U0001faff\ufe0f"
_AT_LINE_START: Final = f"(?P<lead>^[ \\t>|*_#~`\"'“•·▪●+{_PICTURES}—-]{{0,12}})"

# A mark may be followed by one more sign, as in "1️⃣. a boat" or "**1️⃣** a boat".
_CLOSED: Final = r"(?:[*_~`]{1,3}(?=[\s.)\]:、。,—-]))?"
_END: Final = rf"{_CLOSED}(?:[ \t]{{0,3}}(?:[.)\]:、。,]{{1,2}}(?![0-9])|[-—](?=[ \t])){_CLOSED})?"

_SELECTORS: Final = "[\ufe0e\ufe0f\u200c\u200d]"
#: A database that cannot store the frame of a keycap leaves question marks.
_KEYCAP: Final = (
    f"(?P<keycap>[0-9])(?:{_SELECTORS}*+[ \u00a0]?\u20e3{_SELECTORS}*+|[\ufe0e\ufe0f]++(?!\u20e3)[?\ufffd]?)"
)

_DIGITS_OF: Final = ("①", "⑴", "⒈", "⓵", "❶", "➀", "➊", "㈠", "㊀", "Ⅰ", "ⅰ", "Ⓐ", "ⓐ", "🅐", "🅰")
_CIRCLED: Final = {chr(ord(first) + n): n + 1 for first in _DIGITS_OF for n in range(9)}
_WORDS: Final = {
    word: n for n, word in enumerate(("one", "two", "three", "four", "five", "six", "seven", "eight", "nine"), 1)
}
_CHINESE: Final = {numeral: n for n, numeral in enumerate("一二三四五六七八九", 1)}
_NUMBER_OF: Final = _CIRCLED | _WORDS | _CHINESE | {str(n): n for n in range(10)}

#: Signs that stand for nothing but a number: they are marks inside a line, too.
_SIGNS: Final = tuple(
    re.compile(f"{_AT_LINE_START}?(?:{body}){_END}", re.MULTILINE)
    for body in (
        _KEYCAP,
        f"(?P<circled>[{''.join(_CIRCLED)}])[\ufe0e\ufe0f]?",
        f":(?:keycap_)?(?P<word>{'|'.join(_WORDS)}):|:keycap_(?P<digit>[1-9]):",
    )
)

_ARROWS: Final = ">→➜➔➡⇒»"

# What a list may be numbered with that occurs in prompts, too ("16:9", "1.5 metres", "2 boats").
_DIGIT: Final = (
    r"[(\[]?(?P<of>[1-9])[ \t]?(?:/|of)[ \t]?[1-9](?=[ \t.):\]—-])"
    r"|[(<{【〔「][ \t]?0?(?P<round>[1-9])[ \t]?[)>}】〕」]"
    r"|\[0?(?P<square>[1-9])\](?!\()"
    r"|:(?P<colons>[1-9]):(?![0-9])"
    r"|[#№][ \t]?(?P<hash>[1-9])(?=[ \t.):—-])"
    rf"|[(\[]?{LABEL}[ \t_-]{{0,2}}\#?0?(?P<label>[1-9])(?:[ \t]?(?:/|of)[ \t]?[1-9])?(?=[ \t\n.)\]:=、*—-])"
    r"|[第其][ \t]?(?P<nth>[1-9])[ \t]?[个個条條种種组組]?(?=[、.:)，,])"
    r"|(?P<counted>[1-9])(?:번|째|º|°|ª)(?=[ \t:.)])"
    r"|(?P<lost>[1-9])[?\ufffd]{1,3}(?=[ \t])"
    r"|0?(?P<plain>[1-9])[*_]{0,3}[ \t]?\\?"
    rf"(?:(?=[.)\]:、。·・](?![0-9]))|(?=[—-][ \t])|(?=[-—=]?[{_ARROWS}])|(?=[,|/][ \t])"
    r"|(?=,[\"“\u3040-\u9fff\uac00-\ud7a3]))"
)
_WEAK_END: Final = (
    rf"{_CLOSED}[ \t]{{0,3}}(?:[.)\]:、。·・,=]{{1,2}}(?![0-9])|[-—=]?[{_ARROWS}]\ufe0f?(?=[ \t])|[-—|/](?=[ \t]))?"
    rf"{_CLOSED}"
)
_NUMBERS: Final = tuple(
    re.compile(f"(?:{_AT_LINE_START}|(?<=[ \t:;。])[*_~`]{{0,3}})(?:{body}){_WEAK_END}", re.MULTILINE | re.IGNORECASE)
    for body in (
        _DIGIT,
        r"\((?P<round>[一二三四五六七八九])\)|第?(?P<plain>[一二三四五六七八九])[个条种组]?(?=[、.:)，,](?![0-9]))",
    )
)

_FULL: Final = [1, 2, 3, 4]

# A relay shows the bot's buttons below the prompts.
_BUTTONS: Final = re.compile(f"^(?:[ \t]*+{_KEYCAP.replace('?P<keycap>', '?:')}){{2,}}+[ \t]*+$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Mark:
    """A number that begins a prompt.

    :param begins_line: whether nothing but quotes, bullets and the like stands before it on its line.
    """

    number: int
    start: int
    end: int
    begins_line: bool


def without_buttons(text: str) -> str:
    """Remove lines that hold nothing but keycaps."""
    return _BUTTONS.sub("", text)


def marks_of_signs(text: str) -> list[Mark]:
    """Find the marks of a text that is numbered with keycaps or the like: those of the spelling that has most.

    The smallest number found anywhere begins the list.
    """
    lists = [_list_of_signs(_found(pattern, text)) for pattern in _SIGNS]
    return max(lists, key=len)


def marks_of_numbers(text: str) -> list[Mark]:
    """Find the marks of a plain list such as ``1.`` ``2.``; none where it is no list of prompts.

    Two or three numbers are a list where they count from 1 and the text begins with them or announces them, since an
    error has another sentence before its list. A full list may have any heading.
    """
    if labelled := _labelled(text):
        return labelled
    for pattern in _NUMBERS:
        found = _found(pattern, text)
        for marks in (_list_of_numbers(found), _squeezed(found)):
            if is_list_of_prompts([mark.number for mark in marks], text[: marks[0].start] if marks else ""):
                return marks
    return _full(text)


def _labelled(text: str) -> list[Mark]:
    """Find a list in which each number stands behind the same word, in any language, as "Вариант 1:"."""
    return [Mark(number, start, end, begins_line=True) for number, start, end in numbered_alike(text)]


def _full(text: str) -> list[Mark]:
    return [Mark(number, start, end, begins_line=True) for number, start, end in full_list(text)]


def is_list_of_prompts(numbers: Sequence[int], before: str) -> bool:
    """Say whether plain numbers number prompts.

    :param before: the text before the first of them.
    """
    if before.strip() and not announces(before):
        return list(numbers[:4]) in (_FULL, _FULL[1:])
    if len(numbers) < 3:
        return list(numbers) == [1, 2]
    return set(numbers[:4]) <= set(_FULL)


def _found(pattern: re.Pattern[str], text: str) -> list[Mark]:
    marks = []
    for match in pattern.finditer(text):
        group = next(name for name, value in match.groupdict().items() if value is not None and name != "lead")
        number = _NUMBER_OF[match[group].lower() if len(match[group]) > 1 else match[group]]
        begins_line = match.groupdict().get("lead") is not None
        marks.append(Mark(number, match.start(), match.end(), begins_line))
    return marks


def _list_of_signs(marks: list[Mark]) -> list[Mark]:
    starts = _plausible([mark for mark in marks if mark.begins_line])
    return _with_marks_inside_lines(marks, starts) if _rises(starts) else _of_any_order(starts)


def _list_of_numbers(marks: list[Mark]) -> list[Mark]:
    starts = _plausible([mark for mark in marks if mark.begins_line])
    return _with_gaps_filled(marks, starts) if _rises(starts) else _of_any_order(starts)


def _plausible(marks: list[Mark]) -> list[Mark]:
    """Keep the marks up to 4, and greater ones that another leads to: a 7️⃣ may begin a line of a prompt."""
    present = {mark.number for mark in marks}
    return [mark for mark in marks if mark.number <= 4 or mark.number - 1 in present]


def _rises(marks: Sequence[Mark]) -> bool:
    return all(one.number < next_one.number for one, next_one in pairwise(marks))


def _of_any_order(marks: list[Mark]) -> list[Mark]:
    """Choose from marks that do not count upwards: each is kept, but where more than four repeat, the rising ones."""
    if len(marks) <= 4 or len({mark.number for mark in marks}) == len(marks):
        return marks
    smallest = min(mark.number for mark in marks)
    rising: list[Mark] = []
    for mark in marks:
        if mark.number > rising[-1].number if rising else mark.number == smallest:
            rising.append(mark)
    # A list that is given twice ends where it begins again.
    again = next((mark for mark in marks if mark.number == smallest and mark.start > rising[-1].start), None)
    if again is not None and len(rising) > 3:
        rising.append(again)
    return rising if len(rising) > 1 else marks


def _with_marks_inside_lines(marks: list[Mark], starts: list[Mark]) -> list[Mark]:
    """Take marks inside lines, too, where they fit between marks that begin lines: a relay squeezed line breaks out."""
    smallest_after = _smallest_after(marks)
    begin_lines = {mark.start for mark in starts}
    limits = iter([*(mark.number for mark in starts), 10])
    limit = next(limits)
    kept: list[Mark] = []
    for mark, after in zip(marks, smallest_after, strict=True):
        last = kept[-1].number if kept else -1
        if mark.start in begin_lines:
            kept.append(mark)
            limit = next(limits)
        elif not mark.begins_line and last < mark.number < limit and mark.number <= min(after[last + 1 :], default=9):
            kept.append(mark)
    return kept


def _smallest_after(marks: list[Mark]) -> list[tuple[int, ...]]:
    """For each mark, and each number above 0: that number if it occurs after the mark, else 10."""
    seen = [10] * 10
    after: list[tuple[int, ...]] = []
    for mark in reversed(marks):
        after.append(tuple(seen))
        seen[mark.number] = mark.number
    return after[::-1]


def _with_gaps_filled(marks: list[Mark], starts: list[Mark]) -> list[Mark]:
    """Take a number inside a line only where exactly it is missing, as behind a heading on the first line."""
    following = {mark.start: at for at, mark in enumerate(starts)}
    kept: list[Mark] = []
    next_start = 0
    for mark in marks:
        if mark.start in following:
            kept.append(mark)
            next_start = following[mark.start] + 1
        elif next_start < len(starts) and not mark.begins_line:
            last = kept[-1].number if kept else 0
            if mark.number == last + 1 == starts[next_start].number - 1:
                kept.append(mark)
    return kept


def _squeezed(marks: list[Mark]) -> list[Mark]:
    """Find a full list on one line: 1 to 4, in this order."""
    kept: list[Mark] = []
    for mark in marks:
        if mark.number == len(kept) + 1 <= 4:
            kept.append(mark)
    return kept if len(kept) == 4 else []
