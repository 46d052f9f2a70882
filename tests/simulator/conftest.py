from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from simulator_client import SimulatorClient

from airflow_midjourney.testing.simulator.serving import RunningSimulator, running_simulator

DEFAULTS: dict[str, Any] = {
    "key": "",
    "latency": 0.06,
    "latency_spread": 0.0,
    "slots": 3,
    "queue": 10,
    "poll_interval": 0.03,
    "layout": "2023",
    "body_limit": None,
    "hang": 0.3,
    "pause": 0.3,
    "administrator": False,
    "forwards_hooks": False,
}

Running = Callable[..., SimulatorClient]


@pytest.fixture(scope="session")
def simulators() -> Iterator[Callable[[str], RunningSimulator]]:
    """One simulator per dialect for the whole session; starting them is most of the time of a test."""
    with contextlib.ExitStack() as stack:
        running: dict[str, RunningSimulator] = {}

        def get(dialect: str) -> RunningSimulator:
            if dialect not in running:
                running[dialect] = stack.enter_context(running_simulator(dialect))
            return running[dialect]

        yield get


@pytest.fixture
def simulate(simulators: Callable[[str], RunningSimulator]) -> Iterator[Running]:
    """Gives a client of a fresh simulator: dialect, scenarios, changed settings."""
    with contextlib.ExitStack() as stack:

        def get(dialect: str, *scenarios: str, **settings: Any) -> SimulatorClient:
            sim = simulators(dialect)
            sim.reset()
            sim.change(**{**DEFAULTS, **settings})
            sim.set_scenarios(list(scenarios))
            # Without certificates to load, a client is made ten times as fast.
            http = httpx.Client(base_url=sim.url, timeout=60, trust_env=False, verify=False)
            return SimulatorClient(sim, stack.enter_context(http))

        yield get
