"""A JSON array, read while it arrives: its items one by one, with little more than one of them in memory."""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Generator

_BEFORE_AN_ITEM: Final = re.compile(r"[\s,]*(?=[^\s,])")

#: Whole numbers stay text: ids may have more digits than a number keeps.
_DECODER: Final = json.JSONDecoder(parse_int=str)

#: Characters of one item: what is longer is none.
_LONGEST_ITEM: Final = 4 * 1024 * 1024


class JsonItems:
    """Takes the bytes of a JSON array as they come, and gives its items.

    :ivar has_begun: whether the bytes are an array at all.
    :ivar has_ended: whether the array has been read to its end.
    """

    def __init__(self) -> None:
        self._text = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._left = ""
        self.has_begun = False
        self.has_ended = False

    @property
    def is_stuck(self) -> bool:
        """Whether what has arrived since the last item is too long to become one."""
        return len(self._left) > _LONGEST_ITEM

    def take(self, part: bytes) -> Generator[object]:
        """Read on, and give the items that are whole; an item that is not asked for is not read."""
        self._left += self._text.decode(part)
        if not self.has_begun:
            self._left = self._left.lstrip()
            self.has_begun = self._left.startswith("[")
            self._left = self._left[1:] if self.has_begun else self._left
        if self.has_begun:
            yield from self._items()

    def _items(self) -> Generator[object]:
        at = 0
        try:
            while item := _BEFORE_AN_ITEM.match(self._left, at):
                at = item.end()
                if self._left[at] == "]":
                    self.has_ended = True
                    return
                try:
                    value, at = _DECODER.raw_decode(self._left, at)
                except (ValueError, RecursionError):
                    # The rest of it is still to come, or it is no JSON.
                    return
                yield value
        finally:
            self._left = self._left[at:]
