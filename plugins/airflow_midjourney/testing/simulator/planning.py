"""Decides what will happen to a task before it starts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from airflow_midjourney.testing.simulator.effects import PAUSE, PlanChange
from airflow_midjourney.testing.simulator.model import TaskPlan

if TYPE_CHECKING:
    from airflow_midjourney.testing.simulator.identifiers import IdentifierSource
    from airflow_midjourney.testing.simulator.scenarios import ScenarioBook
    from airflow_midjourney.testing.simulator.settings import SimulatorSettings

_UPLOAD_SHARE: Final = 0.3


def plan_task(
    settings: SimulatorSettings, identifiers: IdentifierSource, scenarios: ScenarioBook, image_sha256: str
) -> TaskPlan:
    """The plan for a task with this image, with every scenario that plays for it."""
    total = identifiers.spread(settings.latency, settings.latency_spread)
    plan = TaskPlan(
        upload=total * _UPLOAD_SHARE,
        work=total * (1 - _UPLOAD_SHARE),
        layout=settings.layout,
    )
    for change in scenarios.playing(PlanChange, image_sha256):
        values: dict[str, Any] = {
            name: settings.pause if value == PAUSE and isinstance(value, float) else value
            for name, value in change.values.items()
        }
        plan = replace(plan, **values)
    return plan
