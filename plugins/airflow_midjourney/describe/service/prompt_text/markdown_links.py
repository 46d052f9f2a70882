"""Links made words: ``[words](target)``, ``<https://…>`` and bare addresses."""

from __future__ import annotations

import re
from typing import Final

_ADDRESS: Final = re.compile(r"\s?(?:<https?://[^\s<>]*>|(?<![^\s(\[\"'“])https?://[^\s<>]*)", re.IGNORECASE)

_BEHIND_ADDRESSES: Final = ".,;:!?)]\"'”。，；"


def without_links(text: str) -> str:
    """Replace every ``[words](target)`` by ``words``, and remove addresses that stand alone.

    :param text: one prompt, on one line.
    """
    return _ADDRESS.sub(_behind_address, _words_of_links(text))


def _behind_address(found: re.Match[str]) -> str:
    address = found[0]
    return address[len(address.rstrip(_BEHIND_ADDRESSES)) :]


def _words_of_links(text: str) -> str:
    """Replace every ``[words](target)`` by ``words``.

    Brackets may be nested, and the target may hold parentheses that match. Where the target's parentheses do
    not match, it ends at the last closing one before the next white space. What never closes stays as it is.

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
                kept[opened_at] = kept[-1] = ""
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
