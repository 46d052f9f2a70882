"""Text from strangers, made fit for a database column, a log line or an error message."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_CONTROLS_AND_SPACES: Final = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_KEY_FRAGMENT: Final = re.compile(r"\bsk-[\w*.-]+")
_DATA_URI: Final = re.compile(r"data:[\w/+.;=-]{0,100}base64,[\w+/=-]*")
_HIDDEN: Final = "…"


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
    :param hidden: what must not be repeated, for instance the key.
    """
    line = on_one_line(text)
    for part in hidden:
        if part.strip():
            line = line.replace(part.strip(), _HIDDEN)
    return shortened(_DATA_URI.sub(_HIDDEN, _KEY_FRAGMENT.sub(_HIDDEN, line)), limit)
