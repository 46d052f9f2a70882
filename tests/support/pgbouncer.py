"""A PgBouncer before a Postgres of the tests; with TLS where it is asked for."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.support.postgres import RunningPostgres

_PROGRAM: Final = shutil.which("pgbouncer")

needs_pgbouncer: Final = pytest.mark.skipif(
    _PROGRAM is None, reason="There is no pgbouncer on this machine; .ci/run installs it."
)

_CONFIGURATION: Final = """
[databases]
* = host={sockets} port=5432 user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {size}
logfile = {folder}/pgbouncer.log
"""

_NOTHING: Final[Mapping[str, bytes]] = {}


@contextmanager
def running_pgbouncer(
    server: RunningPostgres, files: Mapping[str, bytes] = _NOTHING, *, mode: str = "transaction", size: int = 2
) -> Iterator[int]:
    """Start a PgBouncer, and give its port.

    :param mode: when a server connection goes to another client: after a session, a transaction or a statement.
    :param size: its server connections.
    :param files: settings that are the name of a file, and what is in it, such as ``client_tls_key_file``.
    """
    assert _PROGRAM is not None
    (port,) = free_ports(1)
    # Not among pytest's folders, which no other user may enter: PgBouncer refuses to be root.
    folder = Path(tempfile.mkdtemp(prefix="tests-pgbouncer-"))
    text = _CONFIGURATION.format(sockets=server.sockets, port=port, folder=folder, mode=mode, size=size)
    for name, content in files.items():
        (folder / name).write_bytes(content)
        text += f"{name} = {folder / name}\n"
    if "client_tls_key_file" in files:
        text += "client_tls_sslmode = require\n"
    configuration = folder / "pgbouncer.ini"
    configuration.write_text(text)
    user = "pgserver" if os.geteuid() == 0 else None
    if user:
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, user)
        folder.chmod(0o755)
    with subprocess.Popen([_PROGRAM, "-q", configuration], user=user) as process:
        _wait_for(port)
        yield port
        process.terminate()
    shutil.rmtree(folder)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail("PgBouncer does not take connections.")
