"""Text from strangers, made fit for a database column, a log line or an error message."""

from __future__ import annotations

import base64
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_CONTROLS_AND_SPACES: Final = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_KEY_FRAGMENT: Final = re.compile(r"\bsk-[\w*.-]+", re.IGNORECASE)
_DATA_URI: Final = re.compile(r"data:[\w/+.;=-]{0,100}base64,[\w+/=-]*")
_HIDDEN: Final = "…"

#: A piece of base64 that is shorter may be anything.
_TELLING: Final = 6

#: What begins an escaped letter, in any of the codings that are known.
_ESCAPES: Final = ("%", "\\u", "&#")

#: Characters of a key that is no part of a description by chance; of letters alone it has to have more.
_SHORTEST_KEY: Final = 6
_LONGEST_WORD: Final = 12


def storable(text: str) -> str:
    """Remove what no database takes: NUL and lone surrogates.

    :param text: any text, for instance a JSON string with half a surrogate pair in it.
    """
    return text.encode("utf-8", "ignore").decode("utf-8").replace("\x00", "")


def shortened(text: str, limit: int) -> str:
    """Cut a text to at most ``limit`` characters; a cut text ends in an ellipsis.

    :param limit: the most characters, at least 1.
    """
    if len(text) <= limit:
        return text
    return text[: max(limit, 1) - 1].rstrip() + "…"


def on_one_line(text: str) -> str:
    """Replace every run of white space and control characters by one space; NUL and surrogates go."""
    return _CONTROLS_AND_SPACES.sub(" ", storable(text)).strip()


def presentable(text: str, *, limit: int = 200, hidden: Iterable[str] = ()) -> str:
    """Make a stranger's text fit for a message: one line, cut, and without what was sent.

    new-api quotes the first and last letters of a key in some errors, so whatever begins like one is hidden,
    as is a data URI.

    :param limit: the most characters.
    :param hidden: what must not be repeated, see :func:`without`.
    """
    line = without(on_one_line(text), hidden)
    return shortened(_DATA_URI.sub(_HIDDEN, _KEY_FRAGMENT.sub(_HIDDEN, line)), limit)


def without(text: str, hidden: Iterable[str]) -> str:
    """Hide in a stranger's text what must not be repeated.

    :param hidden: for instance the key: in no case, escaped for no URL, JSON or page, and not in base64.
    """
    for part in map(on_one_line, hidden):
        # Whatever the coding, it makes nothing shorter.
        if part and len(part) <= len(text) and _may_hold(text, part):
            text = re.sub(_in_any_coding(part), _HIDDEN, text, flags=re.IGNORECASE)
    return text


def may_be_a_word(key: str) -> bool:
    """Tell whether a key could stand in the description of an image by chance."""
    key = key.strip()
    return len(key) < _SHORTEST_KEY or (key.isalpha() and len(key) < _LONGEST_WORD)


def _may_hold(text: str, part: str) -> bool:
    """Rule out quickly what nearly every text is: one that has neither the part nor anything that is escaped."""
    folded = text.casefold()
    return (
        part.casefold() in folded
        or any(sign in folded for sign in _ESCAPES)
        or any(piece.casefold() in folded for piece in _in_base64(part))
    )


@lru_cache(maxsize=64)
def _in_any_coding(part: str) -> str:
    """Give a pattern of a text as it may be quoted: letter by letter, each escaped or not, or in base64."""
    letters = (f"(?:{re.escape(letter)}|{'|'.join(_escaped(ord(letter)))})" for letter in part)
    pieces = (re.escape(piece) for piece in _in_base64(part))
    return "|".join(["".join(letters), *(f"[\\w+/-]?{piece}[\\w+/-]{{0,2}}=*" for piece in pieces)])


def _escaped(code: int) -> tuple[str, ...]:
    return f"%(?:25)?{code:02x}", rf"\\u{code:04x}", f"&#0*{code};", f"&#x0*{code:x};"


@lru_cache(maxsize=64)
def _in_base64(part: str) -> frozenset[str]:
    """Give what base64 makes of a text wherever it begins, but for letters that hang on their neighbours."""
    pieces: set[str] = set()
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + part.encode()).decode().rstrip("=")
        whole = encoded[-(-before * 4 // 3) : (before + len(part.encode())) * 4 // 3]
        pieces |= {whole, whole.translate(str.maketrans("+/", "-_"))}
    return frozenset(piece for piece in pieces if len(piece) >= _TELLING)
