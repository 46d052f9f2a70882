"""The Versity S3 Gateway, an S3 server of its own kind before a folder: built from Go's module proxy, not from PyPI."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.airflow_home import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Who may do anything there.
LOGIN: Final = "an-access-id"
PASSWORD: Final = "an-access-word"

_BUILT: Final = REPOSITORY / "build" / "go" / "versitygw"


def _program() -> Path:
    """Give the program, or leave the test out; CI has to build it where Go is."""
    found = str(_BUILT) if _BUILT.exists() else shutil.which("versitygw")
    if found:
        return Path(found)
    if os.environ.get("CI") == "true" and shutil.which("go"):
        pytest.fail("There is no versitygw, though Go is there: make versitygw")
    pytest.skip("There is no versitygw on this machine; make versitygw builds it where Go is.")


@contextmanager
def running_versity(folder: Path) -> Iterator[str]:
    """Start a server over an empty folder, with versions, and give its endpoint."""
    program = _program()
    data, versions = folder / "data", folder / "versions"
    data.mkdir()
    versions.mkdir()
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    words = [program, "--port", f"127.0.0.1:{port}", "--quiet", "posix", "--versioning-dir", versions, data]
    logins = {"ROOT_ACCESS_KEY": LOGIN, "ROOT_SECRET_KEY": PASSWORD}
    log = folder / "server.log"
    with (
        log.open("w") as written,
        subprocess.Popen(words, env=os.environ | logins, stdout=written, stderr=written) as process,
    ):
        try:
            _wait_for(port, process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"versitygw does not take connections: {log.read_text()[-2000:]}")
