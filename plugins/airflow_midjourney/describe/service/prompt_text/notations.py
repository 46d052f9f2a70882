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

#: Characters of a value that are read; four prompts have a few thousand.
_LONGEST: Final = 100_000

#: Values within values that are looked into.
_DEEPEST: Final = 4

#: What relays call a prompt in an object.
_NAMES: Final = ("prompt", "text", "content", "description", "caption", "prompts", "answer", "result")

#: An object that has one of these says what went wrong.
_COMPLAINTS: Final = frozenset({"error", "errors", "warnings", "detail", "details"})

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
    if bare.startswith(("[", "{", "(", '"')):
        return [bare]
    fenced = _FENCE.search(bare)
    announced = _ANNOUNCED.match(bare)
    found = [fenced["inside"].strip()] if fenced else []
    return [*found, bare[announced.end() :]] if announced else found


def _value(text: str) -> Any:
    """Read a value; None where a text is none."""
    if not text.startswith(("[", "{", "(", '"')):
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
    if isinstance(value, str):
        return _texts_of_text(value, depth + 1) or [value]
    if isinstance(value, list | tuple):
        return _texts_of_list(list(value), depth)
    return _texts_of_object(value, depth) if isinstance(value, dict) else []


def _texts_of_list(items: list[Any], depth: int) -> list[str]:
    """Give texts, or what objects call their prompt; nothing if one of several items is no description."""
    if len(items) == 1:
        return _texts_of(items[0], depth + 1)
    found = [_prompt_of(item) if isinstance(item, dict) else item for item in items]
    texts = [text for text in found if isinstance(text, str) and is_long_enough(text)]
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
    if len(inside) == 1:
        return _texts_of(inside[0], depth + 1)
    whole = _prompt_of(value) if not inside else None
    return _texts_of(whole, depth + 1) if isinstance(whole, str) else []


def _prompt_of(item: dict[Any, Any]) -> Any:
    return next((item[name] for name in _NAMES if name in item), None)
