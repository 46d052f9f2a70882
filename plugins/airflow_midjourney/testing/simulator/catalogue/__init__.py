"""All scenarios by name, each with one line that says what it plays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_midjourney.testing.simulator.catalogue.answers import ANSWERS
from airflow_midjourney.testing.simulator.catalogue.doors import DOORS
from airflow_midjourney.testing.simulator.catalogue.readings import READINGS
from airflow_midjourney.testing.simulator.catalogue.tasks import TASKS

if TYPE_CHECKING:
    from airflow_midjourney.testing.simulator.scenario import Scenario

#: Every scenario there is, in the order in which they are listed.
CATALOGUE: Final[dict[str, Scenario]] = {scenario.name: scenario for scenario in (*TASKS, *ANSWERS, *DOORS, *READINGS)}
