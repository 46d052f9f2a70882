"""From the places inside containers to places on this machine: hosts, ports and folders."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tests.support.airflow_home import REPOSITORY
from tests.support.ports import free_ports

if TYPE_CHECKING:
    from pathlib import Path

HERE: Final = "127.0.0.1"

#: Where services listen in their containers.
CONTAINER_PORTS: Final = {
    "postgres": 5432,
    "redis": 6379,
    "s3": 7070,
    "simulator": 9876,
    "airflow-apiserver": 8080,
    "airflow-scheduler": 8974,
}

_ADDRESS: Final = re.compile(rf"(?<![\w.-])({'|'.join(map(re.escape, CONTAINER_PORTS))}):(\d+)")


@dataclass
class Places:
    """Free ports for all services, and a folder in the place of each container's file system."""

    folder: Path
    ports: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.ports = dict(zip(CONTAINER_PORTS, free_ports(len(CONTAINER_PORTS)), strict=True))

    def url(self, service: str) -> str:
        """Give the address of a service."""
        return f"http://{HERE}:{self.ports[service]}"

    def home(self, container: str) -> Path:
        """Give the folder that stands for ``/opt/airflow`` of a container: DAGs of the repository, logs of all."""
        home = self.folder / container
        logs = self.folder / "airflow-logs"
        logs.mkdir(exist_ok=True)
        if not home.exists():
            home.mkdir()
            (home / "dags").symlink_to(REPOSITORY / "dags")
            (home / "logs").symlink_to(logs)
        return home

    def environment(self, service: str, values: dict[str, str]) -> dict[str, str]:
        """Translate what a service gets as its environment."""
        return {name: self._value(service, value) for name, value in values.items()}

    def command(self, service: str, words: list[str]) -> list[str]:
        """Translate a command that runs in the container of a service."""
        return [self._word(service, word) for word in words]

    def _value(self, service: str, value: str) -> str:
        if value.startswith("{"):
            return self._json(value)
        if service in self.ports and value == f":{CONTAINER_PORTS[service]}":
            return f"{HERE}:{self.ports[service]}"
        return self._addresses(value)

    def _json(self, text: str) -> str:
        try:
            return json.dumps(self._connection(json.loads(text)))
        except json.JSONDecodeError:
            # A test of what happens then.
            return text

    def _connection(self, fields: dict[str, object]) -> dict[str, object]:
        host = fields.get("host")
        if host in CONTAINER_PORTS and fields.get("port") == CONTAINER_PORTS[str(host)]:
            return {**fields, "host": HERE, "port": self.ports[str(host)]}
        return {
            name: self._connection(value)
            if isinstance(value, dict)
            else self._addresses(value)
            if isinstance(value, str)
            else value
            for name, value in fields.items()
        }

    def _addresses(self, text: str) -> str:
        def moved(found: re.Match[str]) -> str:
            assert int(found[2]) == CONTAINER_PORTS[found[1]], f"{found[0]}: no server listens there"
            return f"{HERE}:{self.ports[found[1]]}"

        return _ADDRESS.sub(moved, text)

    def _word(self, service: str, word: str) -> str:
        word = self._addresses(word).replace("/opt/deploy/", f"{REPOSITORY}/deploy/")
        if service in self.ports:
            word = re.sub(rf"\b{CONTAINER_PORTS[service]}\b", str(self.ports[service]), word)
        return {"0.0.0.0": HERE, "python": sys.executable}.get(word, word)
