"""What relays wrap an answer in: lists of JSON or HTML, entities, escaped markdown, links with targets at the end."""

from __future__ import annotations

import html
import json
import re
from typing import Any, Final

_FENCE: Final = re.compile(r"\s*```(?:json)?\s*\n(?P<inside>.*)\n\s*```\s*", re.DOTALL | re.IGNORECASE)

_ENTITY: Final = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,31}[0-9]{0,2});")

_ITEM: Final = re.compile(r"<li\b[^<>]{0,100}>([^<>]*)</li>", re.IGNORECASE)

_ESCAPED: Final = re.compile(r"\\([\\`*_{}\[\]()#+.!|>~-])")

_TARGET: Final = re.compile(r"^[ \t]{0,3}\[(?P<label>[^\]\n]{1,80})\]:[ \t]*<?https?://[^\n]*\n?", re.MULTILINE)
_REFERENCE: Final = re.compile(r"\[(?P<words>[^\[\]\n]{1,400})\] ?\[(?P<label>[^\[\]\n]{0,80})\]")

#: Characters of a list that are read; four prompts have a few thousand.
_LONGEST_LIST: Final = 100_000

_FEWEST: Final = 2

#: Objects within objects that are looked into.
_DEEPEST: Final = 3

#: What relays call a prompt in a list of objects.
_NAMES: Final = ("prompt", "text", "content", "description")

#: The number that a text begins with, whatever mark it is a part of.
_OWN_NUMBER: Final = re.compile(r"\W{0,4}([1-9])(?!\d)")


def unwrapped(text: str) -> str:
    """Give an answer as the bot wrote it, as far as what wraps it can be told from its words."""
    prompts = _in_list(text) or _ITEM.findall(text)
    if len(prompts) >= _FEWEST:
        text = "\n\n".join(prompts if _are_numbered(prompts) else _numbered(prompts))
    # A relay behind a relay escapes what is escaped.
    for _ in range(2):
        text = _ENTITY.sub(lambda found: html.unescape(found[0]), text)
    return _without_references(_ESCAPED.sub(r"\1", text))


def _in_list(text: str) -> list[str]:
    """Give the prompts of a list in JSON; nothing for every other text."""
    fenced = _FENCE.fullmatch(text)
    inside = (fenced["inside"] if fenced else text).strip()
    if not inside.startswith(("[", "{")) or len(inside) > _LONGEST_LIST:
        return []
    try:
        return _prompts_in(json.loads(inside))
    except (ValueError, RecursionError):
        return []


def _numbered(prompts: list[str]) -> list[str]:
    return [f"{number}\ufe0f\u20e3 {prompt}" for number, prompt in enumerate(prompts, 1)]


def _are_numbered(prompts: list[str]) -> bool:
    """Say whether each text bears its own number: a relay took the list apart, and left the marks."""
    marks = (_OWN_NUMBER.match(prompt) for prompt in prompts)
    return all(mark is not None and int(mark[1]) == number for number, mark in enumerate(marks, 1))


def _prompts_in(value: Any, depth: int = 0) -> list[str]:
    """Give the texts of a list, of an object with the keys 1, 2, …, or of the only one of these within an object."""
    if isinstance(value, list):
        return _texts(value)
    if not isinstance(value, dict) or depth == _DEEPEST:
        return []
    if list(value) == [str(number) for number in range(1, len(value) + 1)]:
        return _texts(list(value.values()))
    inside = [one for one in value.values() if isinstance(one, list | dict)]
    return _prompts_in(inside[0], depth + 1) if len(inside) == 1 else []


def _texts(items: list[Any]) -> list[str]:
    """Give texts, or what objects call their prompt; nothing if one of the items has none."""
    found = [_prompt_of(item) if isinstance(item, dict) else item for item in items]
    texts = [text for text in found if isinstance(text, str)]
    return texts if len(texts) == len(items) else []


def _prompt_of(item: dict[str, Any]) -> Any:
    return next((item[name] for name in _NAMES if name in item), None)


def _without_references(text: str) -> str:
    """Make ``[words][label]`` words where the text says elsewhere what the label leads to, and leave that out."""
    labels = {found["label"].lower() for found in _TARGET.finditer(text)}
    if not labels:
        return text

    def words(found: re.Match[str]) -> str:
        return found["words"] if (found["label"] or found["words"]).lower() in labels else found[0]

    return _REFERENCE.sub(words, _TARGET.sub("", text))
