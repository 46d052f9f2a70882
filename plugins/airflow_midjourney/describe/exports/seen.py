"""What an export has seen already, on disk: a million names and hashes take no memory."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Seen:
    """Remembers who took what first. Use :func:`open_seen`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def take(self, kind: str, what: str, who: str = "") -> str | None:
        """Take something, unless another taker has it.

        :return: who has taken it before; None if it was free.
        """
        digest = _digest(kind, what)
        taken = self._connection.execute(
            "INSERT INTO taken VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING 1", (digest, who)
        )
        if taken.fetchone():
            return None
        (former,) = self._connection.execute("SELECT who FROM taken WHERE digest = ?", (digest,)).fetchone()
        return str(former)

    def holds(self, kind: str, what: str) -> bool:
        """Say whether it was taken."""
        return self.holder(kind, what) is not None

    def holder(self, kind: str, what: str) -> str | None:
        """Say who has taken something; None if it is free."""
        found = self._connection.execute("SELECT who FROM taken WHERE digest = ?", (_digest(kind, what),)).fetchone()
        return None if found is None else str(found[0])

    def release(self, kind: str, what: str) -> None:
        """Let another taker have it."""
        self._connection.execute("DELETE FROM taken WHERE digest = ?", (_digest(kind, what),))


def _digest(kind: str, what: str) -> bytes:
    return hashlib.sha256(f"{kind}\0{what}".encode()).digest()[:20]


@contextmanager
def open_seen() -> Iterator[Seen]:
    """Open an empty memory of what was seen; its file is gone with it."""
    # An empty name is a database in a temporary file that the operating system removes.
    connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=OFF")
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA temp_store=FILE")
        connection.execute("CREATE TABLE taken (digest BLOB PRIMARY KEY, who TEXT NOT NULL) WITHOUT ROWID")
        connection.execute("BEGIN")
        yield Seen(connection)
    finally:
        connection.close()
