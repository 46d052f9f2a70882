"""A list of tasks, read while it arrives: novicezk lists all that it knows, which may be tens of megabytes."""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.model.errors import ServiceProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_midjourney.describe.service.tasks import RemoteTask

_BEFORE_AN_ITEM: Final = re.compile(r"[\s,]*(?=[^\s,])")

_DECODER: Final = json.JSONDecoder(parse_int=str)

#: Characters of one task: what is longer is no task.
_LONGEST_TASK: Final = 4 * 1024 * 1024


class ListReading:
    """Takes the bytes of a JSON array as they come, and shows its tasks one by one; holds little more than one.

    :param look: is shown each task, and says whether it has seen enough.
    :param parse: makes a task of an item, or raises what it is instead.
    :ivar has_begun: whether the bytes are an array at all.
    :ivar has_ended: whether the array has been read to its end.
    :ivar has_seen_enough: whether ``look`` has.
    :ivar malformed: how many items are no tasks.
    """

    def __init__(self, look: Callable[[RemoteTask], bool], parse: Callable[[object], RemoteTask]) -> None:
        self._look = look
        self._parse = parse
        self._text = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._left = ""
        self.has_begun = False
        self.has_ended = False
        self.has_seen_enough = False
        self.malformed = 0

    def take(self, part: bytes) -> bool:
        """Read on.

        :return: False if the rest is not wanted.
        """
        self._left += self._text.decode(part)
        if not self.has_begun:
            self._left = self._left.lstrip()
            self.has_begun = self._left.startswith("[")
            self._left = self._left[1:] if self.has_begun else self._left
        if self.has_begun:
            self._read_items()
        return not (self.has_seen_enough or self.has_ended or len(self._left) > _LONGEST_TASK)

    def _read_items(self) -> None:
        at = 0
        while not self.has_seen_enough and (item := _BEFORE_AN_ITEM.match(self._left, at)):
            at = item.end()
            if self._left[at] == "]":
                self.has_ended = True
                break
            try:
                value, at = _DECODER.raw_decode(self._left, at)
            except (ValueError, RecursionError):
                # The rest of it is still to come, or it is no JSON.
                break
            self._show(value)
        self._left = self._left[at:]

    def _show(self, item: object) -> None:
        try:
            task = self._parse(item)
        except ServiceProtocolError:
            self.malformed += 1
            return
        self.has_seen_enough = self._look(task)
