"""A metadata table that Airflow's API server reads, on either database."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.describe.table.migrations import ensure_tables
from tests.support import airflow_connections as connections

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from airflow_midjourney.describe.table.database import Database
    from tests.support.places import MetadataPlace


@contextmanager
def table_on(place: MetadataPlace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """Make the tables, and let the API server find them."""
    monkeypatch.setenv("AIRFLOW_CONN_IMAGE_PROMPTS_DB", connections.metadata(place))
    monkeypatch.setenv("AIRFLOW__MIDJOURNEY__SCHEMA", place.names.schema or "")
    database = open_database(place.url, place.names)
    ensure_tables(database)
    yield database
    database.close()
