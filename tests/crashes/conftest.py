"""Places at which processes die."""

from __future__ import annotations

import itertools
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine

from airflow_midjourney.describe.table.database import engine_options
from airflow_midjourney.describe.table.migrations import ensure_tables
from tests.support.crash import HURRY, CrashingDatabase, CrashPoints
from tests.support.crash_runs import CrashSite
from tests.support.images import jpeg

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace

# It tells of every request.
logging.getLogger("werkzeug").setLevel(logging.WARNING)

_SEEDS = itertools.count(1)


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in HURRY.items():
        monkeypatch.setattr(name, seconds)


@pytest.fixture
def photos() -> Callable[[int], list[bytes]]:
    """Give so many images that no test has seen before."""
    return lambda number: [jpeg(next(_SEEDS), size=24) for _ in range(number)]


@pytest.fixture
def site_at(simulate: Callable[..., RunningSimulator], s3_url: str, bucket: str) -> Iterator[Callable[..., CrashSite]]:
    """Make sites: ``site_at(place, "trueai", scenarios=("slow_submit",), pause=0.15)``."""
    opened: list[CrashingDatabase] = []

    def make(place: MetadataPlace, dialect: str, scenarios: tuple[str, ...] = (), **settings: Any) -> CrashSite:
        chosen = {"latency": 0.08, "poll_interval": 0.1, "slots": 4} | settings
        simulator = simulate(dialect=dialect, scenarios=scenarios, **chosen)
        # Tables of its own: a run also takes up what earlier runs of its task have left over.
        own = replace(place, names=replace(place.names, table=f"prompts_{len(opened)}"))
        database = CrashingDatabase(create_engine(place.url, **engine_options(place.url)), own.names)
        database.points = CrashPoints()
        opened.append(database)
        ensure_tables(database)
        return CrashSite(own, database, simulator, s3_url, bucket, scenarios)

    yield make
    for database in opened:
        database.close()


@pytest.fixture
def make_site(place: MetadataPlace, site_at: Callable[..., CrashSite]) -> Callable[..., CrashSite]:
    """Make sites on SQLite and on Postgres: ``make_site("novicezk")``."""
    return lambda dialect, scenarios=(), **settings: site_at(place, dialect, scenarios, **settings)
