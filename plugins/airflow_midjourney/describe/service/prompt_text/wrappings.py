"""What relays wrap an answer in: HTML, entities, escapes, wrong decoding, links with targets at the end."""

from __future__ import annotations

import html
import re
from typing import Final

from airflow_midjourney.describe.service.prompt_text.notations import texts_in

_ENTITY: Final = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,31}[0-9]{0,2});")

_INLINE: Final = re.compile(
    r"</?(?:a|b|i|u|s|em|strong|span|code|font|mark|small)(?:\s[^<>]{0,300}=[^<>]{0,300})?>", re.IGNORECASE
)
_ITEM: Final = re.compile(r"<li\b[^<>]{0,100}>([^<>]*)</li>", re.IGNORECASE)
_BLOCK: Final = re.compile(
    r"</?(?:p|div|section|li|ol|ul|dl|dt|dd|h[1-6]|html|body|results?|prompts?|items?|descriptions?|captions?)"
    r"(?:\s[^<>]{0,300})?>|<\?xml[^<>]{0,100}>|<!\[CDATA\[|\]\]>",
    re.IGNORECASE,
)
_OPENS_ITEM: Final = re.compile(r"<li\b", re.IGNORECASE)
_BREAK: Final = re.compile(r"<br ?/?>", re.IGNORECASE)
_ESCAPED_TAG: Final = re.compile(r"&lt;(?:p|div|li|ol|ul|br|h[1-6])\b", re.IGNORECASE)

#: Mentions, moments and emoji of Discord, and the small print of its bots.
_OF_DISCORD: Final = re.compile(
    r"<(?:t:\d{1,20}(?::[a-zA-Z])?|a?:\w{2,32}:\d{5,25}|@[!&]?\d{5,25}|#\d{5,25})>|^-# [^\n]*$", re.MULTILINE
)

_ESCAPED: Final = re.compile(r"\\([\\`*_{}\[\]()#+.!|>~-])")

_UNIT: Final = re.compile(r"\\u([0-9a-fA-F]{4})")

_TARGET: Final = re.compile(r"^[ \t]{0,3}\[(?P<label>[^\]\n]{1,80})\]:[ \t]*<?https?://[^\n]*\n?", re.MULTILINE)
_REFERENCE: Final = re.compile(r"\[(?P<words>[^\[\]\n]{1,400})\] ?\[(?P<label>[^\[\]\n]{0,80})\]")

_FEWEST: Final = 2

#: The number that a text begins with, whatever mark it is a part of.
_OWN_NUMBER: Final = re.compile(r"\W{0,4}([1-9])(?!\d)")

#: The frame of a keycap in UTF-8, read as if it were Latin.
_GARBLED: Final = ("\u00e2\u0083\u00a3", "\u00e2\u0192\u00a3")


def unwrapped(text: str) -> str:
    """Give an answer as the bot wrote it, as far as what wraps it can be told from its words."""
    text = _ungarbled(text)
    listed = texts_in(text)
    if len(listed) == 1:
        # JSON of one text holds the whole answer.
        text, listed = listed[0], []
    text = _OF_DISCORD.sub("", _UNIT.sub(_letter, text))
    if "<" not in text and _ESCAPED_TAG.search(text):
        text = html.unescape(text)
    text = _INLINE.sub("", text)
    prompts = listed or _items(text)
    if len(prompts) >= _FEWEST:
        text = "\n\n".join(prompts if _are_numbered(prompts) else _numbered(prompts))
    else:
        text = _BLOCK.sub("\n\n", text)
    # A relay behind a relay escapes what is escaped.
    for _ in range(2):
        text = _ENTITY.sub(lambda found: html.unescape(found[0]), text)
    return _without_references(_ESCAPED.sub(r"\1", text))


def _items(text: str) -> list[str]:
    """Give the items of a list in HTML, if each of them is closed."""
    items: list[str] = _ITEM.findall(_BREAK.sub(" ", text))
    return items if len(items) == len(_OPENS_ITEM.findall(text)) else []


def _ungarbled(text: str) -> str:
    """Decode UTF-8 that a relay took for Latin; a text that is garbled otherwise stays."""
    if not any(mark in text for mark in _GARBLED):
        return text
    try:
        return b"".join(map(_byte_of, text)).decode("utf-8")
    except UnicodeError:
        return text


def _byte_of(letter: str) -> bytes:
    try:
        return letter.encode("cp1252")
    except UnicodeEncodeError:
        return letter.encode("latin-1")


def _letter(found: re.Match[str]) -> str:
    return chr(int(found[1], 16))


def _numbered(prompts: list[str]) -> list[str]:
    return [f"{number}\ufe0f\u20e3 {prompt}" for number, prompt in enumerate(prompts, 1)]


def _are_numbered(prompts: list[str]) -> bool:
    """Say whether each text bears its own number: a relay took the list apart, and left the marks."""
    marks = (_OWN_NUMBER.match(prompt) for prompt in prompts)
    return all(mark is not None and int(mark[1]) == number for number, mark in enumerate(marks, 1))


def _without_references(text: str) -> str:
    """Make ``[words][label]`` words where the text says elsewhere what the label leads to, and leave that out."""
    labels = {found["label"].lower() for found in _TARGET.finditer(text)}
    if not labels:
        return text

    def words(found: re.Match[str]) -> str:
        return found["words"] if (found["label"] or found["words"]).lower() in labels else found[0]

    return _REFERENCE.sub(words, _TARGET.sub("", text))
