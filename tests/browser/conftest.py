"""Airflow and a browser for the tests of this folder. Nothing may import Airflow before its folder is chosen."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.airflow_home import use_temporary_airflow

use_temporary_airflow()

import pytest  # noqa: E402

from tests.support.airflow_server import _airflow_database, airflow_app, log_in, table  # noqa: E402, F401
from tests.support.browser import browser, complaints, open_page, picture, server_url  # noqa: E402, F401

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Pass over what Airflow's own modules are warned of."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore::DeprecationWarning"))


@pytest.fixture(autouse=True)
def _no_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AIRFLOW_CONN_")]:
        monkeypatch.delenv(name)
