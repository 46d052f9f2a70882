"""What relays wrap an answer in: JSON, entities of HTML, escaped markdown, links whose targets stand at the end."""

from __future__ import annotations

import html
import json
import re
from typing import Any, Final

_FENCE: Final = re.compile(r"\s*```(?:json)?\s*\n(?P<inside>.*)\n\s*```\s*", re.DOTALL | re.IGNORECASE)

_ENTITY: Final = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,31}[0-9]{0,2});")

_ESCAPED: Final = re.compile(r"\\([\\`*_{}\[\]()#+.!|>~-])")

_TARGET: Final = re.compile(r"^[ \t]{0,3}\[(?P<label>[^\]\n]{1,80})\]:[ \t]*<?https?://[^\n]*\n?", re.MULTILINE)
_REFERENCE: Final = re.compile(r"\[(?P<words>[^\[\]\n]{1,400})\] ?\[(?P<label>[^\[\]\n]{0,80})\]")

#: Characters of JSON that are read; four prompts have a few thousand.
_LONGEST_JSON: Final = 100_000

_FEWEST: Final = 2


def unwrapped(text: str) -> str:
    """Give an answer as the bot wrote it, as far as what wraps it can be told from its words."""
    listed = _from_json(text)
    text = text if listed is None else listed
    text = _ENTITY.sub(lambda found: html.unescape(found[0]), text)
    return _without_references(_ESCAPED.sub(r"\1", text))


def _from_json(text: str) -> str | None:
    """Write a JSON list of prompts as a numbered list; None for everything else."""
    fenced = _FENCE.fullmatch(text)
    inside = (fenced["inside"] if fenced else text).strip()
    if not inside.startswith(("[", "{")) or len(inside) > _LONGEST_JSON:
        return None
    try:
        value: Any = json.loads(inside)
    except (ValueError, RecursionError):
        return None
    prompts = _prompts_in(value)
    if len(prompts) < _FEWEST:
        return None
    return "\n\n".join(f"{number}\ufe0f\u20e3 {prompt}" for number, prompt in enumerate(prompts, 1))


def _prompts_in(value: Any) -> list[str]:
    """Give the texts of a list, of the only list in an object, or of a list of objects that have a prompt each."""
    if isinstance(value, dict):
        lists = [one for one in value.values() if isinstance(one, list)]
        return _prompts_in(lists[0]) if len(lists) == 1 else []
    if not isinstance(value, list):
        return []
    texts = [one.get("prompt") if isinstance(one, dict) else one for one in value]
    return [text for text in texts if isinstance(text, str)] if all(isinstance(text, str) for text in texts) else []


def _without_references(text: str) -> str:
    """Make ``[words][label]`` words where the text says elsewhere what the label leads to, and leave that out."""
    labels = {found["label"].lower() for found in _TARGET.finditer(text)}
    if not labels:
        return text

    def words(found: re.Match[str]) -> str:
        return found["words"] if (found["label"] or found["words"]).lower() in labels else found[0]

    return _REFERENCE.sub(words, _TARGET.sub("", text))
