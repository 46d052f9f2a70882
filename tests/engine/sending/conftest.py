"""A worker with three listed images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.sending import Scene

if TYPE_CHECKING:
    from airflow_midjourney.describe.table.database import Database


@pytest.fixture
def scene(database: Database) -> Scene:
    return Scene(database)
