"""Prompts written as values of a program: JSON, JSON in JSON, one object a line, lists as Python prints them."""

from __future__ import annotations

import ast
import json
import re
from typing import Any, Final

from airflow_midjourney.describe.service.prompt_text.lists import is_long_enough

_FENCE: Final = re.compile(r"```[a-z]{0,12}[ \t]*\r?\n(?P<inside>[^`]*)```", re.IGNORECASE)

#: A value behind the words that announce it.
_ANNOUNCED: Final = re.compile(r"[^\[{]{1,400}[:：]\s*(?=[\[{])")

#: With what a value begins, text and bytes as Python prints them among them.
_BEGINNINGS: Final = ("[", "{", "(", '"', "'", "b'", 'b"')

#: Characters of a value that are read; four prompts have a few thousand.
_LONGEST: Final = 100_000

#: Values within values that are looked into.
_DEEPEST: Final = 4

#: What relays call a prompt in an object.
_NAMES: Final = ("prompt", "text", "content", "description", "caption", "prompts", "answer", "result")

#: An object that has one of these says what went wrong.
_COMPLAINTS: Final = frozenset({"error", "errors", "warnings", "detail", "details"})

#: What they call a list of them, beside lists of something else.
_LISTS: Final = ("prompts", "descriptions", "captions")

_NUMBERED_NAME: Final = re.compile(r"(?:(?:prompt|description|caption|option|text)[ _-]?)?([1-9])", re.IGNORECASE)


def texts_in(text: str) -> list[str]:
    """Give the texts of a list or an object, or the one text that they hold; nothing for every other text.

    :param text: the answer. The value may stand in a code fence, or behind words that announce it.
    """
    return _texts_of_text(text, 0)


def _texts_of_text(text: str, depth: int) -> list[str]:
    for inside in _candidates(text):
        value = _value(inside)
        if value is not None and (found := _texts_of(value, depth)):
            return found
    return []


def _candidates(text: str) -> list[str]:
    """Give what may be a value: the text, what a fence holds, and what stands behind an announcement."""
    bare = text.strip().lstrip("\ufeff")
    if len(bare) > _LONGEST:
        return []
    if bare.startswith(_BEGINNINGS):
        return [bare]
    fenced = _FENCE.search(bare)
    announced = _ANNOUNCED.match(bare)
    found = [fenced["inside"].strip()] if fenced else []
    return [*found, bare[announced.end() :]] if announced else found


def _value(text: str) -> Any:
    """Read a value; None where a text is none."""
    if not text.startswith(_BEGINNINGS):
        return None
    for read in (json.loads, _objects_a_line, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
    return None


def _objects_a_line(text: str) -> list[Any]:
    return [json.loads(line.rstrip().rstrip(",")) for line in text.splitlines() if line.strip()]


def _texts_of(value: Any, depth: int) -> list[str]:
    if depth > _DEEPEST:
        return []
    if isinstance(value, str | bytes):
        text = _text_of(value, depth)
        return _texts_of_text(text, depth + 1) or [text] if text else []
    if isinstance(value, list | tuple):
        return _texts_of_list(list(value), depth)
    return _texts_of_object(value, depth) if isinstance(value, dict) else []


def _texts_of_list(items: list[Any], depth: int) -> list[str]:
    """Give texts, or what objects call their prompt; nothing if one of several items is no description."""
    if len(items) == 1:
        return _texts_of(items[0], depth + 1)
    found = [_text_of(item, depth) for item in items]
    texts = [text for text in found if is_long_enough(text)]
    return texts if len(texts) == len(items) else []


def _texts_of_object(value: dict[Any, Any], depth: int) -> list[str]:
    """Give the values of numbered names, the only list or object within, or else what is called a prompt."""
    numbered = {int(found[1]): value[name] for name in value if (found := _NUMBERED_NAME.fullmatch(str(name)))}
    if len(numbered) > 1:
        in_order = sorted(numbered) == list(range(1, len(numbered) + 1))
        return _texts_of_list([numbered[number] for number in sorted(numbered)], depth) if in_order else []
    inside = [one for one in value.values() if isinstance(one, list | tuple | dict)]
    if _COMPLAINTS.intersection(map(str, value)):
        return []
    named = next((value[name] for name in _LISTS if isinstance(value.get(name), list | tuple)), None)
    if named is not None:
        return _texts_of(named, depth + 1)
    if len(inside) == 1:
        return _texts_of(inside[0], depth + 1)
    whole = _prompt_of(value) if not inside else None
    return _texts_of(whole, depth + 1) if isinstance(whole, str) else []


def _text_of(item: Any, depth: int) -> str:
    """Give the text that an item is, that it calls its prompt, or that a list of one holds; else nothing."""
    if isinstance(item, bytes):
        return item.decode("utf-8", "replace")
    if isinstance(item, str) or depth > _DEEPEST:
        return item if isinstance(item, str) else ""
    if isinstance(item, list | tuple):
        return _text_of(item[0], depth + 1) if len(item) == 1 else ""
    return _text_of(_prompt_of(item), depth + 1) if isinstance(item, dict) else ""


def _prompt_of(item: dict[Any, Any]) -> Any:
    return next((item[name] for name in _NAMES if name in item), None)
