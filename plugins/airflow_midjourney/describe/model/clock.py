"""A clock that runs on while the machine sleeps: ``time.monotonic`` stands still then, on Linux."""

from __future__ import annotations

import time


def awake_or_asleep() -> float:
    """Give seconds that can be compared within this process, sleep of the machine included."""
    boot_time = getattr(time, "CLOCK_BOOTTIME", None)
    return time.time() if boot_time is None else time.clock_gettime(boot_time)
