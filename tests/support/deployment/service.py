"""The simulator and the S3 server as processes of a deployment."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
import httpx

from tests.support.airflow_home import REPOSITORY
from tests.support.deployment.components import Component, clean_environment
from tests.support.ports import free_ports, listens

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

    from tests.support.deployment.components import Keeper


@cache
def local_client() -> httpx.Client:
    """Give a client for servers of this machine; it is made once, and loads no certificates."""
    return httpx.Client(timeout=60, trust_env=False, verify=False)


@dataclass(frozen=True)
class Simulator:
    """The service's stand-in in a process of its own, and what it says of itself.

    :param root: its address without ``/mj``.
    """

    component: Component
    root: str

    def counters(self) -> dict[str, Any]:
        """What was asked, accepted and billed since it was reset."""
        return dict(self._ask("GET", "counters"))

    def totals(self) -> dict[str, Any]:
        """The same without single images, for who asks often."""
        return dict(self._ask("GET", "counters?images=0"))

    def billed_per_image(self) -> list[int]:
        """How often each image was paid for, in no order."""
        images: dict[str, dict[str, int]] = self.counters()["images"]
        return [image["billed"] - image["refunded"] for image in images.values()]

    def tasks(self) -> list[dict[str, Any]]:
        """All tasks as they really are."""
        return list(self._ask("GET", "tasks"))

    def change(self, **settings: Any) -> None:
        """Change settings while it runs, such as ``latency`` or ``slots``."""
        self._ask("POST", "settings", settings)

    def play(self, *scenarios: str) -> None:
        """Replace the scenarios that are set."""
        self._ask("POST", "scenario", {"scenarios": list(scenarios)})

    def reset(self) -> None:
        """Forget tasks, counts and scenarios."""
        self._ask("POST", "reset")

    def hurry(self) -> None:
        """Let all that is under way come to its end, whatever its latency."""
        self._ask("POST", "hurry")

    def restart_service(self) -> None:
        """Let the simulated service start again as it really does."""
        self._ask("POST", "restart")

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        answer = local_client().request(method, f"{self.root}/_simulator/{path}", json=body)
        return answer.raise_for_status().json()


def start_simulator(
    keeper: Keeper, folder: Path, key: str, options: Sequence[str] = (), name: str = "simulator"
) -> Simulator:
    """Start a simulator.

    :param key: the API key that it asks for.
    :param options: more of its command line.
    :param name: of its process and log.
    """
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "airflow_midjourney.testing", "--port", str(port), "--key", key, *options]
    return Simulator(_start(keeper, folder, name, command, port), f"http://127.0.0.1:{port}")


def start_s3(keeper: Keeper, folder: Path) -> tuple[Component, str]:
    """Start an S3 server; give it and its URL."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    return _start(keeper, folder, "s3", command, port), f"http://127.0.0.1:{port}"


def s3_client(url: str) -> S3Client:
    """Give a client for the S3 server."""
    return boto3.client(
        "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="id", aws_secret_access_key="word"
    )


def _start(keeper: Keeper, folder: Path, name: str, command: list[str], port: int) -> Component:
    component = Component(
        name,
        keeper,
        command,
        clean_environment() | {"PYTHONPATH": str(REPOSITORY / "plugins")},
        REPOSITORY,
        folder / f"{name}.log",
        is_ready=lambda: listens(port),
    )
    component.start()
    return component
