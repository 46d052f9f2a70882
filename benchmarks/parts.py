"""Finding the parts: every module beside this one that can ``measure(*, quick)``."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import benchmarks

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.figures import Figure


@dataclass(frozen=True)
class Part:
    """One part.

    :param name: of its module.
    :param title: the first line of what its module says of itself.
    """

    name: str
    title: str
    measure: Callable[..., list[Figure]]


def find_parts() -> dict[str, Part]:
    """Give all parts by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.name != "__main__")
    found = {name: _part(name) for name in names}
    return {name: part for name, part in found.items() if part is not None}


def _part(name: str) -> Part | None:
    module = importlib.import_module(f"benchmarks.{name}")
    measure = getattr(module, "measure", None)
    if measure is None or "quick" not in inspect.signature(measure).parameters:
        return None
    return Part(name, (module.__doc__ or name).strip().splitlines()[0], measure)
