"""One block of an answer made plain: no links, no markdown, no parameters."""

from __future__ import annotations

import re
from typing import Final

from airflow_midjourney.describe.model.text import on_one_line
from airflow_midjourney.describe.service.prompt_text.markdown_links import without_links
from airflow_midjourney.describe.service.prompt_text.parameters import Divided, divide

# Two of these say nothing but how to show the words.
_DOUBLED: Final = re.compile(r"\*{2,}|~{2,}|\|{2,}|`{2,}|(?<!\w)_{2,}(?=\S)|(?<=[^\s_])_{2,}(?!\w)")

_TAG: Final = re.compile(r"</?(?:b|i|u|s|em|strong|p|span|code|li|ol|ul)>", re.IGNORECASE)

_AT_START: Final = re.compile(r"(?:(?:>{1,3}|#{1,6}|[-–—*+•·▪●‣→➤➢►▶◆◇■□★☆✅✔☑✨🔹🔸🔷🔶👉📌🎨]\ufe0f?|\[[ xX]\])\s+)+")

#: How a prompt is given to the bot, or called by those who list some.
_COMMAND: Final = re.compile(
    r"/imagine\b\s*(?:prompt\b)?\s*:?\s*|(?:prompt|caption|description|提示词)\s?[:：]\s*", re.IGNORECASE
)

_ESCAPED: Final = re.compile(r"\\([\\`*_{}\[\]()#+.!|>~-])")

_OPENING: Final = {
    "*": re.compile(r"(?<![\w*])\*(?=[^\s*.,;:!?)\]}])"),
    "_": re.compile(r"(?<!\w)_(?=[^\s_.,;:!?)\]}])"),
}
_CLOSING: Final = {
    "*": re.compile(r"(?<=[^\s*])\*(?![\w*])"),
    "_": re.compile(r"(?<=[^\s_])_(?!\w)"),
}

_QUOTES: Final = {
    pair[0]: pair[1]
    for pair in ('""', "''", "“”", "‘’", "„“", "‟”", "‚‘", "«»", "‹›", "「」", "『』", "《》", "【】", "[]")
}

#: What a cut pair of markdown or a selector without its keycap leaves at the ends.
_LEFTOVERS: Final = " *~`|"


def clean(block: str) -> Divided:
    """Turn one block into its prompt and the aspect ratio that it names."""
    line = _plain(without_links(on_one_line(block)))
    divided = divide(line)
    text = " ".join(divided.text.lstrip("\ufe0e\ufe0f").strip(_LEFTOVERS).split())
    return Divided(_unquoted(text), divided.aspect_ratio, divided.ends_in_ratio)


def _plain(line: str) -> str:
    line = _AT_START.sub("", _TAG.sub("", line), count=1) if _AT_START.match(line) else _TAG.sub("", line)
    line = _DOUBLED.sub("", line)
    if (command := _COMMAND.match(line)) and command.end() < len(line):
        line = line[command.end() :]
    if line.count("`") % 2 == 0:
        line = line.replace("`", "")
    for sign in "*_":
        line = _without_pairs(line, sign)
    return _ESCAPED.sub(r"\1", line.lstrip("\ufe0e\ufe0f").strip(_LEFTOVERS))


def _without_pairs(line: str, sign: str) -> str:
    """Remove the signs of italics where each that opens has one that closes."""
    if sign not in line:
        return line
    opening = [found.start() for found in _OPENING[sign].finditer(line)]
    closing = [found.start() for found in _CLOSING[sign].finditer(line)]
    if len(opening) != len(closing) or any(one >= other for one, other in zip(opening, closing, strict=True)):
        return line
    cut = {*opening, *closing}
    return "".join(character for at, character in enumerate(line) if at not in cut)


def _unquoted(text: str) -> str:
    """Take off the quotation marks that hold a whole prompt."""
    closing = _QUOTES.get(text[:1])
    quoted = text.rstrip(",;").removesuffix(".")
    if closing is None or len(quoted) < 3 or not quoted.endswith(closing):
        return text
    inner = quoted[1:-1]
    return text if text[0] in inner or closing in inner else inner.strip()
