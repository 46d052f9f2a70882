"""Where the processor time of an image goes: measured in the threads that spend it."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from airflow_midjourney.describe.engine.reading import image_reader
from airflow_midjourney.describe.imaging import prepare
from airflow_midjourney.describe.storage.objects import ImageStore
from airflow_midjourney.describe.table.database import Database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Costs:
    """Seconds of processor time by what they were spent on."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._lock = threading.Lock()

    def add(self, name: str, seconds: float) -> None:
        """Count some."""
        with self._lock:
            self.seconds[name] += seconds

    def of(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Give a function that counts what each call takes of its thread's time."""

        def measured(*args: Any, **kwargs: Any) -> Any:
            began = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                self.add(name, time.thread_time() - began)

        return measured

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count what the engine spends on each part of its work, in this process, within the block.

        ``sending`` is the event loop: HTTP, and keeping everything going.
        """
        began_loop = time.thread_time()
        began = time.process_time()
        with (
            patch.object(ImageStore, "read", self.of("reading", ImageStore.read)),
            patch.object(prepare, "_despite_metadata", self.of("checking", prepare._despite_metadata)),
            patch.object(image_reader, "prepare", self.of("preparing", prepare.prepare)),
            patch.object(Database, "_until_done", self.of("recording", Database._until_done)),
        ):
            yield
        self.seconds["encoding"] = self.seconds.pop("preparing") - self.seconds["checking"]
        self.seconds["sending"] = time.thread_time() - began_loop
        self.seconds["other"] = time.process_time() - began - sum(self.seconds.values())
