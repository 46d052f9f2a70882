"""Checks of single scenarios, registered by name."""

from __future__ import annotations

from collections.abc import Callable

from simulator_client import SimulatorClient

Check = Callable[[SimulatorClient], None]
ALL = ("novicezk", "trueai", "new-api")


class Checks(list[tuple[str, str, Check]]):
    """Name of a scenario, dialect, and what must hold while it plays."""

    def plays(self, name: str, *dialects: str) -> Callable[[Check], Check]:
        """Register a check."""

        def register(check: Check) -> Check:
            self.extend((name, dialect, check) for dialect in dialects)
            return check

        return register
