"""Lists without numbers: told from sentences by how they are divided and how they end."""

from __future__ import annotations

import re
from typing import Final

from airflow_midjourney.describe.service.prompt_text.cleaning import clean
from airflow_midjourney.describe.service.prompt_text.folding import with_plain_breaks

#: The bot gives four; of a longer list only these are kept, since every reader counts on four.
MOST_PROMPTS: Final = 4

#: Entries of a list that has no numbers, and is longer than it should be.
_MANY: Final = 8

# A description does not speak to its reader. What exactly a service complains of is for the dialects to say.
_NOTICE: Final = re.compile(
    r"\b(?:please|sorry|try again|you (?:have|are|can|cannot|must|need|may|do|were)"
    r"|your (?:account|image|prompt|request|subscription|plan|job|message|link)"
    r"|(?:could|can|did|was|were|is|do|does) ?not|cannot|(?:could|can|did|was|do)n['’]t"
    r"|unable to|failed|not allowed|invalid|denied|status code|moderation|acknowledge)\b"
    r"|抱歉|失败|无法|请稍后|请重试|请先|错误",
    re.IGNORECASE,
)

#: A description counts up what there is to see.
_PLAIN_SENTENCE: Final = re.compile(r"[^,，、;；]*[.!?。！？]\s*")

_ANNOUNCEMENT: Final = re.compile(r"\b(?:prompts|descriptions|captions)\b|提示词|描述", re.IGNORECASE)

_BULLET: Final = re.compile(r"^[ \t]{0,8}([-*+•·▪●‣–—→➤➢►▶◆◇■□★☆✅✔☑✨🔹🔸🔷🔶👉📌🎨])\ufe0f?[ \t]+", re.MULTILINE)

#: With what a chat ends its answer, in a paragraph of its own.
_CLOSING_NOTE: Final = re.compile(
    r"(?:\r?\n[ \t]{0,8}){2,4}[*_]{0,2}(?:let me know|feel free|(?:i )?hope (?:this|these|that)|enjoy!|would you like"
    r"|want me to|if you(?: would|['’]d)? (?:like|want|need|prefer)|generated (?:by|with)"
    r"|these (?:prompts|descriptions)|希望这些|如需|如果您)[^\r\n]{0,400}\s*\Z",
    re.IGNORECASE,
)

_PARAGRAPHS: Final = re.compile(r"\n[ \t]*+\n\s*+")

_HEADING_ENDS: Final = (":", "：", ":**", "：**")


def is_notice(before: str) -> bool:
    """Say whether the text before a list speaks of something else than prompts, as an error does before its steps."""
    return speaks_to_reader(before) and _ANNOUNCEMENT.search(before) is None


def speaks_to_reader(text: str) -> bool:
    """Say whether a text addresses its reader, as an error or an explanation does and a prompt does not."""
    return _NOTICE.search(text) is not None


def announces(before: str) -> bool:
    """Say whether the text before a list announces prompts, and nothing that went wrong."""
    heading = before.rstrip().endswith(_HEADING_ENDS)
    return heading and _ANNOUNCEMENT.search(before) is not None and not speaks_to_reader(before)


def without_closing_note(text: str) -> str:
    """Remove the paragraph with which a chat takes leave of its reader."""
    return _CLOSING_NOTE.sub("", text)


def without_heading(text: str) -> str:
    """Remove the lines up to the last that ends in a colon."""
    lines = text.split("\n")
    headings = [at for at, line in enumerate(lines) if line.rstrip().endswith(_HEADING_ENDS)]
    return "\n".join(lines[headings[-1] + 1 :]) if headings else text


def paragraphs(text: str) -> list[str]:
    """Divide a text at its empty lines."""
    return _PARAGRAPHS.split(text.strip())


def entries(text: str) -> list[str]:
    """Divide a list without numbers; empty where the text is none, as when it is a sentence.

    It is one where each entry ends in an aspect ratio, where CR LF divides two to four entries as trueai's partner
    accounts do, where each line has a bullet, or where there are just four lines or paragraphs. The last three are
    none if they speak to the reader; of a full list one entry may, as where it tells what a sign says.
    """
    text = text.strip()
    plain = _below_heading(with_plain_breaks(text))
    if blocks := _ended_by_ratios(plain):
        return blocks
    found = _divided_by_crlf(text) or _bulleted(plain) or _four(plain)
    return found if not speaks_to_reader(text) or _describes_address(found, text) else []


def _describes_address(found: list[str], text: str) -> bool:
    """Say whether just one of four descriptions has words that a notice has, such as "you are" on a sign.

    A notice begins with such words, has them in its heading or in several of its lines, or is made of whole sentences.
    """
    speaking = [_NOTICE.findall(entry) for entry in found]
    return (
        len(found) == MOST_PROMPTS
        and sum(map(bool, speaking)) == 1
        and sum(map(len, speaking)) == len(_NOTICE.findall(text))
        and all(map(is_long_enough, found))
        and not any(map(_NOTICE.match, found))
        and not any(map(_PLAIN_SENTENCE.fullmatch, found))
    )


def _below_heading(text: str) -> str:
    first, _, rest = text.partition("\n")
    return rest.strip() if rest.strip() and first.rstrip().endswith(_HEADING_ENDS) else text


def _ended_by_ratios(text: str) -> list[str]:
    """Divide after each line that ends in an aspect ratio; an entry may have several lines."""
    blocks: list[str] = []
    lines: list[str] = []
    for line in text.split("\n"):
        if not line.strip():
            continue
        lines.append(line)
        if clean(line).ends_in_ratio:
            blocks.append("\n".join(lines))
            lines = []
    if lines or not blocks:
        return []
    several_lines = any("\n" in block for block in blocks)
    return [] if several_lines and speaks_to_reader(text) else blocks


def _divided_by_crlf(text: str) -> list[str]:
    """Divide the list that trueai's partner accounts send: CR LF between the entries, nothing else.

    The bot's own sentences are divided by LF alone; only a full list may have an LF in it.
    """
    lines = [line for line in text.split("\r\n") if line.strip()]
    if "\r\n" not in text:
        return []
    if len(lines) > MOST_PROMPTS:
        blocks = [block for block in re.split(r"\r\n[ \t]*+\r\n\s*+", text) if block.strip()]
        if len(blocks) == 1 and len(lines) <= _MANY and all(map(_is_a_line_of_its_own, lines)):
            return lines
        lines = blocks
    whole = len(lines) == MOST_PROMPTS or not any("\n" in line for line in lines)
    return lines if 2 <= len(lines) <= MOST_PROMPTS and whole else []


def _bulleted(text: str) -> list[str]:
    bullets = list(_BULLET.finditer(text))
    if len(bullets) < 2 or bullets[0].start() or len({bullet[1] for bullet in bullets}) > 1:
        return []
    ends = [bullet.start() for bullet in bullets[1:]] + [len(text)]
    return [text[bullet.end() : end] for bullet, end in zip(bullets, ends, strict=True)]


def _four(text: str) -> list[str]:
    blocks = paragraphs(text)
    lines = [line for line in text.split("\n") if line.strip()]
    found = blocks if len(blocks) == MOST_PROMPTS else lines
    return found if len(found) == MOST_PROMPTS and all(map(is_long_enough, found)) else []


def _is_a_line_of_its_own(line: str) -> bool:
    return "\n" not in line and is_long_enough(line)


def is_long_enough(entry: str) -> bool:
    """Tell a description from a word or two; where words are not divided, its letters are counted."""
    return len(entry.split()) >= 3 or sum(character > "\u2e7f" for character in entry) >= 4
