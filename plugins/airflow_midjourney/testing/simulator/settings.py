"""Everything about a simulator that can be chosen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final


class DialectName(StrEnum):
    """Which service the simulator behaves like; ``new-api`` is the module ``dialects/new_api.py``, and so on."""

    NOVICEZK = "novicezk"
    TRUEAI = "trueai"
    NEW_API = "new-api"
    NEW_API_2026 = "new-api-2026"


class Layout(StrEnum):
    """How the bot lays out its four prompts: lists with ``--ar`` (2023) or sentences without it (2025)."""

    BOTS_OF_2023 = "2023"
    BOTS_OF_2025 = "2025"


class SettingError(ValueError):
    """A setting does not exist, or its value is not of its kind."""


@dataclass(frozen=True, slots=True)
class SimulatorSettings:
    """How one simulator behaves.

    :param key: the API key asked for; empty lets everybody in (novicezk without a key, trueai's guest mode).
    :param latency: seconds from the start of a task to its answer, about a third of it for the upload.
    :param latency_spread: how far single tasks stray from ``latency``, as a share of it.
    :param slots: tasks that run at once (novicezk and trueai default: 3).
    :param queue: tasks that may wait (novicezk and trueai default: 10).
    :param poll_interval: seconds between two looks of the gateway at its upstream (new-api: 15).
    :param body_limit: largest accepted request in bytes, None for the dialect's own (trueai: 30 MB).
    :param hang: seconds for which a scenario that never answers stays silent.
    :param pause: seconds of a scenario that is slow, late or hides something for a while.
    :param administrator: trueai only: the key belongs to an administrator, who may cancel.
    :param forwards_hooks: new-api only: ``notifyHook`` reaches the upstream (there off by default).
    :param price: what one description costs, for the counters.
    :param seed: makes identifiers and latencies repeatable.
    """

    dialect: DialectName = DialectName.NOVICEZK
    host: str = "127.0.0.1"
    port: int = 0
    key: str = ""
    latency: float = 6.0
    latency_spread: float = 0.2
    slots: int = 3
    queue: int = 10
    poll_interval: float = 15.0
    layout: Layout = Layout.BOTS_OF_2023
    body_limit: int | None = None
    hang: float = 60.0
    pause: float = 20.0
    administrator: bool = False
    forwards_hooks: bool = False
    price: float = 0.05
    seed: int | None = None
    scenarios: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if min(self.latency, self.poll_interval, self.hang, self.pause, self.queue, self.price) < 0:
            raise SettingError("Times, prices and the queue cannot be negative.")
        if self.slots < 1:
            raise SettingError("At least one slot is needed.")
        if not 0 <= self.latency_spread <= 1:
            raise SettingError("latency_spread is a share between 0 and 1.")


#: What may be changed while the simulator runs.
CHANGEABLE: Final = frozenset(
    {
        "key",
        "latency",
        "latency_spread",
        "slots",
        "queue",
        "poll_interval",
        "layout",
        "body_limit",
        "hang",
        "pause",
        "administrator",
        "forwards_hooks",
        "price",
    }
)


def changed(settings: SimulatorSettings, changes: dict[str, Any]) -> SimulatorSettings:
    """Apply changes that came over the control plane.

    :raises SettingError: for a name that cannot be changed while running, or a value of the wrong kind.
    """
    unknown = sorted(set(changes) - CHANGEABLE)
    if unknown:
        raise SettingError(f"Cannot change {', '.join(unknown)}; can change {', '.join(sorted(CHANGEABLE))}.")
    return replace(settings, **{name: _converted(name, value) for name, value in changes.items()})


def _converted(name: str, value: Any) -> Any:
    default = getattr(SimulatorSettings(), name)
    if name == "body_limit":
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        raise SettingError("body_limit is a number of bytes or null.")
    if isinstance(default, bool) != isinstance(value, bool):
        raise SettingError(f"{name} is {'true or false' if isinstance(default, bool) else 'not a boolean'}.")
    try:
        return type(default)(value)
    except (TypeError, ValueError) as error:
        raise SettingError(f"{name} cannot be {value!r}.") from error
