"""Files of a bounded size, one after the other: the next is opened when the one before is full."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import TracebackType

F = TypeVar("F")


class RollingFile(Generic[F]):
    """The numbered files of one split, of which one is open.

    :param open_file: opens the file of a number, counted from 0.
    """

    def __init__(self, open_file: Callable[[int], AbstractContextManager[F]]) -> None:
        self._open = open_file
        self._number = 0
        self._stack = ExitStack()

    def __enter__(self) -> RollingFile[F]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._stack.__exit__(kind, error, trace)

    def following(self) -> F:
        """Complete the file that is open, and open the next."""
        self._stack.close()
        file = self._stack.enter_context(self._open(self._number))
        self._number += 1
        return file
