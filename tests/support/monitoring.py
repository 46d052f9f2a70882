"""Programs that read what is in ``deploy/monitoring``: promtool from Debian, an exporter from Go's module proxy."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
import urllib.request
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.airflow_home import REPOSITORY
from tests.support.go_programs import go_program
from tests.support.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDER: Final = REPOSITORY / "deploy" / "monitoring"

#: A series as Prometheus is told it: ``name{label="value"} 1``.
_SERIES: Final = re.compile(r"^(airflow_\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


def promtool(*words: str | Path) -> str:
    """Run promtool, or leave the test out; CI has to have it."""
    found = shutil.which("promtool")
    if found is None:
        told = "There is no promtool on this machine: apt-get install prometheus"
        if os.environ.get("CI") == "true":
            pytest.fail(told)
        pytest.skip(told)
    done = subprocess.run([found, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass(frozen=True)
class Exporter:
    """A running statsd_exporter.

    :param port: where StatsD sends to.
    """

    port: int
    address: str

    def series(self) -> dict[tuple[str, str], float]:
        """Give what Prometheus would read: values by name and labels."""
        text = urllib.request.urlopen(f"{self.address}/metrics", timeout=60).read().decode()
        return {(name, labels): float(value) for name, labels, value in _SERIES.findall(text)}


@contextmanager
def running_exporter(folder: Path) -> Iterator[Exporter]:
    """Start statsd_exporter with our mappings."""
    udp, (web,) = _free_port_of_datagrams(), free_ports(1)
    words = [
        go_program("statsd_exporter"),
        f"--statsd.mapping-config={FOLDER / 'statsd-exporter.yml'}",
        f"--statsd.listen-udp=127.0.0.1:{udp}",
        "--statsd.listen-tcp=",
        f"--web.listen-address=127.0.0.1:{web}",
    ]
    log = folder / "exporter.log"
    with log.open("wb") as output:
        process = subprocess.Popen(words, stdout=output, stderr=output)
    try:
        exporter = Exporter(udp, f"http://127.0.0.1:{web}")
        _wait_for(exporter, process, log)
        yield exporter
    finally:
        process.terminate()
        process.wait(60)


def _wait_for(exporter: Exporter, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()[-2000:]
        try:
            exporter.series()
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"statsd_exporter does not answer: {log.read_text()[-2000:]}")


def _free_port_of_datagrams() -> int:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port
