"""A list of tasks, read while it arrives: novicezk lists all that it knows, which may be tens of megabytes."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from airflow_midjourney.describe.model.errors import ServiceProtocolError
from airflow_midjourney.describe.model.json_items import JsonItems

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_midjourney.describe.service.tasks import RemoteTask


class ListReading:
    """Takes the bytes of a JSON array as they come, and shows its tasks one by one; holds little more than one.

    :param look: is shown each task, and says whether it has seen enough.
    :param parse: makes a task of an item, or raises what it is instead.
    :ivar has_seen_enough: whether ``look`` has.
    :ivar malformed: how many items are no tasks.
    """

    def __init__(self, look: Callable[[RemoteTask], bool], parse: Callable[[object], RemoteTask]) -> None:
        self._look = look
        self._parse = parse
        self._items = JsonItems()
        self.has_seen_enough = False
        self.malformed = 0

    @property
    def has_begun(self) -> bool:
        """Whether the bytes are an array at all."""
        return self._items.has_begun

    @property
    def has_ended(self) -> bool:
        """Whether the array has been read to its end."""
        return self._items.has_ended

    def take(self, part: bytes) -> bool:
        """Read on.

        :return: False if the rest is not wanted.
        """
        with closing(self._items.take(part)) as items:
            for item in items:
                self._show(item)
                if self.has_seen_enough:
                    break
        return not (self.has_seen_enough or self.has_ended or self._items.is_stuck)

    def _show(self, item: object) -> None:
        try:
            task = self._parse(item)
        except ServiceProtocolError:
            self.malformed += 1
            return
        self.has_seen_enough = self._look(task)
