"""S3 servers that are neither AWS nor moto, each over a folder: built from Go's module proxy, not from PyPI."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.go_programs import go_program
from tests.support.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: Who may do anything there.
LOGIN: Final = "an-access-id"
PASSWORD: Final = "an-access-word"


@dataclass(frozen=True, slots=True)
class S3Program:
    """A server of S3.

    :param name: of the program.
    :param words: its arguments, for a folder and an address.
    :param login_name: the environment variable with the login.
    :param password_name: the one with the password.
    """

    name: str
    words: Callable[[Path, str], list[str]]
    login_name: str
    password_name: str

    @contextmanager
    def running(self, folder: Path) -> Iterator[str]:
        """Start a server over an empty folder, and give its endpoint."""
        (port,) = free_ports(1)
        words = [go_program(self.name), *self.words(folder, f"127.0.0.1:{port}")]
        logins = {self.login_name: LOGIN, self.password_name: PASSWORD}
        log = folder / "server.log"
        with (
            log.open("w") as written,
            subprocess.Popen(words, env=os.environ | logins, stdout=written, stderr=written) as process,
        ):
            try:
                self._wait_for(port, process, log)
                yield f"http://127.0.0.1:{port}"
            finally:
                process.terminate()

    def _wait_for(self, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        pytest.fail(f"{self.name} does not take connections: {log.read_text()[-2000:]}")


def _versity(folder: Path, address: str) -> list[str]:
    data, versions = folder / "data", folder / "versions"
    data.mkdir()
    versions.mkdir()
    return ["--port", address, "--quiet", "posix", "--versioning-dir", str(versions), str(data)]


def _minio(folder: Path, address: str) -> list[str]:
    return ["server", "--quiet", "--address", address, str(folder / "data")]


VERSITY: Final = S3Program("versitygw", _versity, "ROOT_ACCESS_KEY", "ROOT_SECRET_KEY")
MINIO: Final = S3Program("minio", _minio, "MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD")
