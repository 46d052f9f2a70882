"""Reading docker-compose.yml and its env files as Compose does, as far as ours use it."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import yaml

from tests.support.airflow_home import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

COMPOSE_FILE: Final = REPOSITORY / "docker-compose.yml"

_PLACE: Final = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\}|(?P<bare>\w+))")


class MissingVariableError(Exception):
    """A variable is not set, and the file insists on it."""


@dataclass(frozen=True)
class Variable:
    """A variable that a file asks for.

    :param required: whether the file refuses to be used without it.
    :param default: what stands in for it; None where nothing does.
    """

    name: str
    required: bool
    default: str | None


@dataclass(frozen=True)
class Service:
    """A service with all variables filled in.

    :param ports: where it is reached on the host, as the file writes it.
    :param check: its health check, as a command; empty where it has none.
    """

    name: str
    command: list[str]
    environment: dict[str, str]
    ports: list[str]
    check: list[str]
    needs: dict[str, str]
    raw: dict[str, Any]


def variables(text: str) -> Iterator[Variable]:
    """Give every place for a variable in a text."""
    for found in _PLACE.finditer(text):
        if not found["dollar"]:
            kind = found["kind"]
            yield Variable(found["name"] or found["bare"], kind == "?", found["rest"] if kind == "-" else None)


def filled(text: str, values: Mapping[str, str]) -> str:
    """Fill in the variables of a text.

    :raises MissingVariableError: with the file's own words.
    """

    def fill(found: re.Match[str]) -> str:
        if found["dollar"]:
            return "$"
        value = values.get(found["name"] or found["bare"], "")
        if not value and found["kind"] == "?":
            raise MissingVariableError(f"{found['name']}: {found['rest']}")
        return value or (found["rest"] or "" if found["kind"] == "-" else "")

    return _PLACE.sub(fill, text)


def read_env(path: Path) -> dict[str, str]:
    """Read an env file whose values stand in single quotes or in none."""
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = [line.partition("=") for line in lines if line.strip() and not line.startswith("#")]
    return {name: value[1:-1] if value.startswith("'") else value for name, _, value in pairs}


def load() -> dict[str, Any]:
    """Give the file as YAML, with its anchors resolved and its variables still open."""
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE_FILE.read_text(encoding="utf-8"))
    return loaded


def services(values: Mapping[str, str]) -> dict[str, Service]:
    """Give all services, of every profile.

    :raises MissingVariableError: if a value is missing.
    """
    return {name: _service(name, _filled(raw, values), values) for name, raw in load()["services"].items()}


def _service(name: str, raw: dict[str, Any], values: Mapping[str, str]) -> Service:
    shared = read_env(REPOSITORY / raw["env_file"]) if "env_file" in raw else {}
    own = {key: str(value) for key, value in raw.get("environment", {}).items()}
    command = raw.get("command", [])
    return Service(
        name=name,
        command=shlex.split(command) if isinstance(command, str) else list(command),
        environment={key: filled(value, values) for key, value in shared.items()} | own,
        ports=raw.get("ports", []),
        check=_check(raw.get("healthcheck", {}).get("test", [])),
        needs={key: value["condition"] for key, value in raw.get("depends_on", {}).items()},
        raw=raw,
    )


def _check(test: list[str]) -> list[str]:
    if not test:
        return []
    return ["/bin/sh", "-c", test[1]] if test[0] == "CMD-SHELL" else test[1:]


def _filled(node: Any, values: Mapping[str, str]) -> Any:
    if isinstance(node, str):
        return filled(node, values)
    if isinstance(node, dict):
        return {key: _filled(value, values) for key, value in node.items()}
    return [_filled(value, values) for value in node] if isinstance(node, list) else node
