"""Services whose answers last until something has happened, so that no test depends on how fast a machine is."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from airflow_midjourney.testing.simulator.serving import UNTIL_HURRIED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_midjourney.testing.simulator.serving import RunningSimulator

#: Seconds between two looks.
_OFTEN: Final = 0.1


@contextmanager
def hurried_once(simulator: RunningSimulator, happened: Callable[[], object]) -> Iterator[None]:
    """Let no task end within the block before something has happened, and each at once after it."""
    over = threading.Event()

    def hurry() -> None:
        while not over.wait(_OFTEN):
            if happened():
                simulator.change(latency=_OFTEN)
                simulator.hurry()

    simulator.change(latency=UNTIL_HURRIED)
    watching = threading.Thread(target=hurry)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()
