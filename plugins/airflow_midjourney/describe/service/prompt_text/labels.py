"""Marks that are words or letters, which occur in prompts, too: only a full list in their order is one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

LABEL: Final = (
    "(?:prompt|option|description|caption|version|variation|image|picture|idea|concept|scene"
    "|提示词|提示|选项|方案|描述)"
)

_LEAD: Final = "^[ \\t>|*_#~`\"'“•·▪●+—-]{0,12}"
_CLOSED: Final = "[*_~`]{0,3}"
_END: Final = rf"{_CLOSED}[ \t]{{0,2}}[.):、,—-]{_CLOSED}"

_WORDS: Final = ("one", "two", "three", "four")
_ORDINALS: Final = ("first", "second", "third", "fourth")
_SHORT_ORDINALS: Final = ("1st", "2nd", "3rd", "4th")
_ROMAN: Final = ("i", "ii", "iii", "iv")

#: What may stand for one to four, and the text in which ``N`` is one of these.
_FORMS: Final[tuple[tuple[Iterable[str], str], ...]] = (
    ("1234", rf"0?N{_CLOSED}[ \t]{{1,4}}(?=[^ \t\n])"),
    ("1234", rf"{_CLOSED}N{_CLOSED}[ \t]{{1,4}}(?=[^ \t\n])"),
    ("abcd", r"\(?N(?:[.):、]\s?|[ \t]?[—-][ \t])(?=[^ \t\n.])"),
    (_ROMAN, r"\(?N[.):]\s?(?=[^ \t\n.])"),
    ("abcd", rf"{LABEL}[ \t]{{1,2}}N{_END}"),
    (_WORDS, rf"{LABEL}[ \t]{{1,2}}N{_END}"),
    (_WORDS, rf"N{_END}"),
    (_ORDINALS, rf"(?:the[ \t])?N(?:[ \t]{LABEL})?{_END}"),
    (_SHORT_ORDINALS, rf"(?:the[ \t])?N(?:[ \t]{LABEL})?{_END}"),
    ("一二三四", rf"(?:{LABEL}|其|第)N[个条种组]?{_END}"),
    ("壹贰叁肆", rf"N{_END}"),
    ("壹貳參肆", rf"N{_END}"),
    ("甲乙丙丁", rf"N{_END}"),
)


def _compiled(numerals: Iterable[str], form: str) -> tuple[tuple[str, ...], re.Pattern[str]]:
    known = tuple(numerals)
    # The longest first: "iii" begins with "i".
    one_of = "|".join(sorted(map(re.escape, known), key=len, reverse=True))
    return known, re.compile(_LEAD + form.replace("N", f"(?P<numeral>{one_of})"), re.MULTILINE | re.IGNORECASE)


_FULL_LISTS: Final = tuple(_compiled(numerals, form) for numerals, form in _FORMS)
_FROM_ZERO: Final = re.compile(rf"{_LEAD}(?P<numeral>[0-3]){_CLOSED}[.):][ \t]", re.MULTILINE)

_ALIKE: Final = re.compile(
    rf"{_LEAD}(?P<name>[^\W\d_]{{1,20}}(?: [^\W\d_]{{1,20}}){{0,2}}[.º°]?)[ \t]{{0,2}}"
    rf"#?0?(?P<number>[1-9]){_CLOSED}[ \t]{{0,2}}[:.)—-](?![0-9]){_CLOSED}",
    re.MULTILINE,
)

#: A number, and where its mark begins and ends.
NumberMark = tuple[int, int, int]


def full_list(text: str) -> list[NumberMark]:
    """Find one to four in words, letters or bare digits, with which a text begins; also nought to three."""
    for numerals, pattern in _FULL_LISTS:
        found = list(pattern.finditer(text))
        if [match["numeral"].lower() for match in found] == list(numerals) and _begins(text, found):
            return [(number, match.start(), match.end()) for number, match in enumerate(found, 1)]
    found = list(_FROM_ZERO.finditer(text))
    if [match["numeral"] for match in found] == list("0123") and _begins(text, found):
        return [(number, match.start(), match.end()) for number, match in enumerate(found)]
    return []


def numbered_alike(text: str) -> list[NumberMark]:
    """Find one to four behind one and the same word, such as "No. 1:" or "Вариант 1:"."""
    found = list(_ALIKE.finditer(text))
    if len({match["name"].casefold() for match in found}) != 1 or [match["number"] for match in found] != list("1234"):
        return []
    return [(int(match["number"]), match.start(), match.end()) for match in found]


def _begins(text: str, found: list[re.Match[str]]) -> bool:
    return not text[: found[0].start()].strip()
