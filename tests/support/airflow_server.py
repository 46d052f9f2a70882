"""Fixtures: Airflow's own API server with the plugin, users of several kinds, and the table that it reads.

A conftest takes them by importing them, after :func:`tests.support.airflow_home.use_temporary_airflow`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.describe.table.migrations import ensure_tables
from tests.support import airflow_connections as connections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastapi import FastAPI
    from starlette.testclient import TestClient

    from airflow_midjourney.describe.table.database import Database
    from tests.support.places import MetadataPlace

__all__ = ["_airflow_database", "airflow_app", "api", "as_user", "log_in", "table"]


@pytest.fixture(scope="session", autouse=True)
def _airflow_database() -> None:
    """Make Airflow's own database, once per process."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.utils.db import initdb

    initdb()
    DagBundlesManager().sync_bundles_to_db()


@pytest.fixture(scope="session")
def airflow_app(_airflow_database: None) -> FastAPI:
    """Airflow's own API server, once per process."""
    return make_app()


def make_app() -> FastAPI:
    """Make Airflow's own API server with its plugins and an auth manager that knows single DAGs.

    All servers of a process share Airflow's one auth manager: another kind would take the rights of those before away.
    """
    from airflow.api_fastapi.app import create_app

    from tests.support.dag_by_dag import CLASS_PATH

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__CORE__AUTH_MANAGER", CLASS_PATH)
        return create_app(apps="core")


@pytest.fixture(scope="session")
def api(airflow_app: FastAPI) -> TestClient:
    """The server without the network."""
    from starlette.testclient import TestClient

    return TestClient(airflow_app, base_url="http://testserver")


@pytest.fixture(scope="session")
def log_in(airflow_app: FastAPI) -> Callable[..., str]:
    """Give what a browser has in its cookie ``_token``: ``log_in("viewer")``, ``log_in(name=name_of(reads="a"))``."""

    def signed(role: str | None = None, name: str = "somebody") -> str:
        from airflow.api_fastapi.app import get_auth_manager
        from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

        return get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=name, role=role))

    return signed


@pytest.fixture(scope="session")
def as_user(log_in: Callable[..., str]) -> Callable[..., dict[str, str]]:
    """Give the headers of a user: ``as_user("viewer")``, or with none of the roles ``as_user(None)``."""

    def headers(role: str | None = None, name: str = "somebody") -> dict[str, str]:
        return {"Authorization": f"Bearer {log_in(role, name)}"}

    return headers


@pytest.fixture
def table(sqlite_place: MetadataPlace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A table that the API server reads."""
    monkeypatch.setenv("AIRFLOW_CONN_IMAGE_PROMPTS_DB", connections.metadata(sqlite_place))
    database = open_database(sqlite_place.url, sqlite_place.names)
    ensure_tables(database)
    yield database
    database.close()
