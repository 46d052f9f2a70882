"""Scenarios that are set: which, for whom and how often."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_midjourney.testing.simulator.catalogue import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_midjourney.testing.simulator.scenario import Scenario
    from airflow_midjourney.testing.simulator.settings import DialectName

EffectKind = TypeVar("EffectKind")


class ScenarioError(ValueError):
    """There is no such scenario, or its options are malformed."""


@dataclass(slots=True)
class ActiveScenario:
    """A scenario that is set.

    :param first: it plays for the first so many occasions only.
    :param share: it plays for this share of the images, chosen by a hash of their bytes.
    :param times: it plays so many times for each image.
    :param every: it plays on each so manieth occasion, whichever image it concerns.
    """

    scenario: Scenario
    first: int | None = None
    share: float | None = None
    times: int | None = None
    every: int | None = None
    occasions: int = 0
    played: int = 0
    played_for: Counter[str] = field(default_factory=Counter)

    @classmethod
    def parse(cls, text: str) -> ActiveScenario:
        """Read ``name``, ``name:first=2``, ``name:every=10``, ``name:share=0.1`` or ``name:share=0.1:times=1``.

        :raises ScenarioError: for an unknown name or option.
        """
        name, *options = text.strip().split(":")
        if name not in CATALOGUE:
            raise ScenarioError(f"There is no scenario {name!r}; --list-scenarios shows them all.")
        scenario = CATALOGUE[name]
        active = cls(scenario, first=scenario.first)
        for option in options:
            active._set(option)
        return active

    def comes_up(self) -> bool:
        """Count an occasion, and say whether it plays on this one."""
        self.occasions += 1
        return self.every is None or self.occasions % self.every == 0

    def applies_to(self, subject: str) -> bool:
        """Whether it would play now for this image (or, where there is none, this request)."""
        if self.first is not None and self.played >= self.first:
            return False
        if self.times is not None and self.played_for[subject] >= self.times:
            return False
        return self.share is None or _fraction(self.scenario.name, subject) < self.share

    def play(self, subject: str) -> None:
        """Count that it played."""
        self.played += 1
        if self.times is not None:
            self.played_for[subject] += 1

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        limits = {"first": self.first, "share": self.share, "times": self.times, "every": self.every}
        given = {name: value for name, value in limits.items() if value is not None}
        return {"name": self.scenario.name, "played": self.played, **given}

    def _set(self, option: str) -> None:
        name, _, value = option.partition("=")
        try:
            if name == "first":
                self.first = int(value)
            elif name == "times":
                self.times = int(value)
            elif name == "every":
                self.every = max(1, int(value))
            elif name == "share":
                self.share = float(value)
            else:
                raise ScenarioError(f"A scenario has no option {name!r}; there are first, every, share and times.")
        except ValueError as error:
            if isinstance(error, ScenarioError):
                raise
            raise ScenarioError(f"{option!r} needs a number.") from error


class ScenarioBook:
    """The scenarios that are set at the moment.

    :param dialect: scenarios that only other dialects can play are refused.
    """

    def __init__(self, dialect: DialectName, texts: Iterable[str] = ()) -> None:
        self._dialect = dialect
        self.active: list[ActiveScenario] = []
        self.set(texts)

    def set(self, texts: Iterable[str]) -> None:
        """Replace all that are set.

        :param texts: each as :meth:`ActiveScenario.parse` reads it, or several divided by commas.
        :raises ScenarioError: and changes nothing, if one of them cannot be read or played.
        """
        singles = [part for text in texts for part in text.split(",") if part.strip()]
        active = [ActiveScenario.parse(single) for single in singles]
        for each in active:
            if self._dialect not in each.scenario.dialects:
                raise ScenarioError(f"{self._dialect} cannot play {each.scenario.name!r}.")
        self.active = active

    def playing(
        self,
        kind: type[EffectKind],
        subject: str,
        where: Callable[[EffectKind], bool] = lambda effect: True,
    ) -> list[EffectKind]:
        """The effects of one kind that play now, counted as played.

        :param subject: SHA-256 of the image concerned, or whatever stands for it.
        :param where: leaves out effects that have nothing to do with the occasion.
        """
        found: list[EffectKind] = []
        for active in self.active:
            effect = active.scenario.effect
            if isinstance(effect, kind) and where(effect) and active.comes_up() and active.applies_to(subject):
                active.play(subject)
                found.append(effect)
        return found

    def playing_in_list(self, kind: type[EffectKind], subjects: list[str]) -> list[tuple[EffectKind, frozenset[int]]]:
        """The effects of one kind that play now for a list, and which of its items each of them hits.

        :param subjects: of the items; those of the scenario's share are hit, or else just the first.
        """
        found: list[tuple[EffectKind, frozenset[int]]] = []
        for active in self.active:
            effect = active.scenario.effect
            if not isinstance(effect, kind) or not active.comes_up():
                continue
            hit = frozenset(place for place, subject in enumerate(subjects) if active.applies_to(subject))
            if hit:
                active.play(subjects[min(hit)])
                found.append((effect, hit if active.share is not None else frozenset({min(hit)})))
        return found


def _fraction(name: str, subject: str) -> float:
    digest = hashlib.sha256(f"{name}:{subject}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
