"""One account's rows, and a service that lists its tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.task_lists import Service, Table

if TYPE_CHECKING:
    from airflow_midjourney.describe.table.database import Database


@pytest.fixture
def table(database: Database) -> Table:
    return Table(database, Service())
