"""One spelling for each sign, so that the other steps look for one only."""

from __future__ import annotations

import re
from typing import Final

#: Marks of direction and signs without width. Joiners are apart: emoji and some scripts need them.
_INVISIBLE: Final = re.compile("[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]+")

_JOINERS: Final = re.compile("[\u200c\u200d]+")

_LINE_BREAK: Final = re.compile("\r\n|[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]|<br ?/?>", re.IGNORECASE)

_QUOTING: Final = re.compile(r"^[ \t]{0,8}>{1,3}[ \t]?", re.MULTILINE)

_HYPHENS: Final = "‐‑﹣⁃－"
_DASHES: Final = "‒–—―−﹘⸺⸻─━"
_COLONS: Final = "：∶꞉﹕ː"

#: The zeros of scripts that count with other digits, and of the mathematical alphabets.
_ZEROS: Final = "٠۰०০๐𝟎𝟘𝟢𝟬𝟶"

_RULE: Final = re.compile(r"^[ \t]{0,8}(?:-{3,40}|\*{3,40}|_{3,40}|={3,40}|—{1,20})[ \t\r]*$", re.MULTILINE)

_FOLDED: Final = (
    {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
    | {ord(zero) + n: str(n) for zero in _ZEROS for n in range(10)}
    | dict.fromkeys(map(ord, _HYPHENS), "-")
    | dict.fromkeys(map(ord, _DASHES), "—")
    | dict.fromkeys(map(ord, _COLONS), ":")
    | dict.fromkeys(map(ord, "\u00a0\u2002\u2003\u2007\u2009\u202f\u3000"), " ")
)


def folded(text: str) -> str:
    """Give a text of the same length in which every dash, colon and full-width sign is written in one way.

    Positions found in it hold for the text itself, which keeps its own signs.
    """
    return text.translate(_FOLDED)


def without_invisible(text: str) -> str:
    """Remove signs that no reader sees; joiners stay inside emoji and words of scripts that need them."""
    return _JOINERS.sub(_joiner, _INVISIBLE.sub("", text))


def _joiner(found: re.Match[str]) -> str:
    text, before, after = found.string, found.start() - 1, found.end()
    joins = before >= 0 and after < len(text) and all(_takes_joiner(text[at]) for at in (before, after))
    return found[0][0] if joins else ""


def _takes_joiner(character: str) -> bool:
    return ord(character) > 0x2FF and not character.isspace()


def without_quoting(text: str) -> str:
    """Remove the ``>`` that each line of a quotation begins with."""
    return _QUOTING.sub("", text)


def without_rules(text: str) -> str:
    """Remove lines that are drawn between prompts; empty ones stay in their place."""
    return _RULE.sub("", text)


def with_plain_breaks(text: str) -> str:
    """Write every line break as LF; a relay's ``\\n`` in two letters counts where there is no other."""
    text = _LINE_BREAK.sub("\n", text)
    return text if "\n" in text else text.replace("\\r\\n", "\n").replace("\\n", "\n")
