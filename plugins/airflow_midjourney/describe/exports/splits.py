"""Dividing images into splits: by content, so that the same bytes are never in two of them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.exports.selection import fraction
from airflow_midjourney.describe.model.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class Splits:
    """Names and shares. Which split an image is in depends on its bytes and the seed, not on the other images.

    :param shares: names, and shares that add up to 1; one split without a name is no split.
    """

    shares: tuple[tuple[str, float], ...] = (("", 1.0),)

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in their order."""
        return tuple(name for name, _ in self.shares)

    def of(self, identity: str, seed: int) -> str:
        """Say in which split an image is."""
        at, end = fraction("split", seed, identity), 0.0
        for name, share in self.shares:
            end += share
            if at < end:
                return name
        return self.shares[-1][0]


def read_splits(value: str | Mapping[str, float] | None) -> Splits:
    """Read what a user gives.

    :param value: a name for one split, or names with shares such as ``{"train": 0.9, "validation": 0.1}``; None for
        no splits.
    :raises SettingsError: if a name is no name, or the shares do not add up to 1.
    """
    if value is None or value == "":
        return Splits()
    given: Mapping[str, float] = {value: 1.0} if isinstance(value, str) else value
    shares = tuple((str(name), _share(name, share)) for name, share in given.items())
    for name, _ in shares:
        if not _NAME.fullmatch(name):
            raise SettingsError(f"splits: {name!r} is no name of a split: letters, digits and underscores only.")
    total = sum(share for _, share in shares)
    if not math.isclose(total, 1.0, abs_tol=1e-6):
        raise SettingsError(f"splits: the shares add up to {total:g}; they must add up to 1.")
    return Splits(shares)


def _share(name: str, value: object) -> float:
    try:
        share = float(str(value))
    except ValueError:
        share = math.nan
    if not 0 < share <= 1:
        raise SettingsError(f"splits: the share of {name!r} must be above 0 and at most 1, not {value!r}.")
    return share
