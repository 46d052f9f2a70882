"""The pictures that tasks point to, kept for a while like Discord's ephemeral attachments."""

from __future__ import annotations

from typing import Final

_KEEP_BYTES: Final = 64_000_000


class Attachments:
    """A bounded store of image bytes by task id; the oldest go first."""

    def __init__(self, keep_bytes: int = _KEEP_BYTES) -> None:
        self._keep_bytes = keep_bytes
        self._contents: dict[str, tuple[bytes, str]] = {}
        self._size = 0

    def put(self, task_id: str, content: bytes, media_type: str) -> None:
        """Keep the picture of a task."""
        self.drop(task_id)
        self._contents[task_id] = (content, media_type)
        self._size += len(content)
        while self._size > self._keep_bytes and len(self._contents) > 1:
            self.drop(next(iter(self._contents)))

    def get(self, task_id: str) -> tuple[bytes, str] | None:
        """The picture and its media type; None once it has gone."""
        return self._contents.get(task_id)

    def drop(self, task_id: str) -> None:
        """Forget one picture."""
        content = self._contents.pop(task_id, None)
        if content is not None:
            self._size -= len(content[0])
