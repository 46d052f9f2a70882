"""The services of docker-compose.yml as processes of this machine, started in their order."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.support.compose import stand_ins
from tests.support.compose.mapping import HERE, Places
from tests.support.compose.reading import Service, read_env, services
from tests.support.deployment.components import Component, ComponentError, Keeper, clean_environment
from tests.support.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Mapping


_STAND_INS: Final = {"postgres": stand_ins.postgres, "redis": stand_ins.redis, "s3": stand_ins.store}

_HEALTH_LIMIT: Final = 300.0


@dataclass
class ComposeRun:
    """A run of all services.

    :param wheel: a folder with our installed wheel.
    """

    keeper: Keeper
    places: Places
    wheel: Path
    env_file: Path
    components: dict[str, Component] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.values = read_env(self.env_file)
        self.services = services(self.values)

    def up(self, *workers: str) -> None:
        """Start everything as ``docker compose up`` would, one worker for each name."""
        for name in ("postgres", "redis", "s3"):
            self.components[name] = _STAND_INS[name](self.keeper, self.services[name], self.places)
        self._start(self.services["simulator"], "simulator")
        for name in ("postgres", "redis", "simulator", *(("s3",) if shutil.which("versitygw") else ())):
            self.wait_until_healthy(name, name)
        self.run_once("airflow-init")
        self.run_once("demo-images")
        for name in ("airflow-apiserver", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"):
            self._start(self.services[name], name)
        for worker in workers:
            self._start(self.services["airflow-worker"], worker)

    def wait_until_healthy(self, name: str, container: str) -> None:
        """Wait until the service's own health check passes.

        :raises ComponentError: if it does not, or the process ends.
        """
        component = self.components[container]
        deadline = time.monotonic() + _HEALTH_LIMIT
        while self.health(name, container).returncode != 0:
            if not component.is_alive or time.monotonic() > deadline:
                said = self.health(name, container)
                raise ComponentError(f"{container} is not healthy: {said.stdout} {component.last_lines()}")
            time.sleep(1)

    def health(self, name: str, container: str) -> subprocess.CompletedProcess[str]:
        """Run the health check of a service once."""
        service = self.services[name]
        return self._run(self.places.command(name, service.check), self.environment(service, container))

    def run_once(
        self, name: str, values: Mapping[str, str] | None = None, *, expect: int = 0
    ) -> subprocess.CompletedProcess[str]:
        """Run a service that ends by itself, with the variables of ``.env`` or others.

        :raises AssertionError: if it ends with another status.
        """
        service = self.services[name] if values is None else services(values)[name]
        done = self._run(self._command(service), self.environment(service, name))
        assert done.returncode == expect, done.stdout
        return done

    def environment(self, service: Service, container: str) -> dict[str, str]:
        """Give what a process in a container sees."""
        programs = [str(Path(sys.executable).parent), str(stand_ins.postgres_programs()), os.environ["PATH"]]
        log_server, trigger_log_server = free_ports(2)
        port = self.places.ports
        return (
            clean_environment()
            | {"PATH": os.pathsep.join(programs), "PYTHONPATH": str(self.wheel)}
            | {"AIRFLOW_HOME": str(self.places.home(container)), "HOSTNAME": container}
            | {"AIRFLOW__API__HOST": HERE, "AIRFLOW__API__PORT": str(port["airflow-apiserver"])}
            | {"AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(port["airflow-scheduler"])}
            | {"AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(log_server)}
            | {"AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(trigger_log_server)}
            | self.places.environment(service.name, service.environment)
        )

    def stop(self, container: str) -> int:
        """Stop a container as Docker does: the init process passes the signal to the whole group.

        :return: seconds that the container has before it is killed.
        """
        process = self.components[container].process
        assert process is not None
        os.killpg(process.pid, signal.SIGTERM)
        return int(self.services["airflow-worker"].raw["stop_grace_period"].removesuffix("s"))

    def _start(self, service: Service, container: str) -> None:
        component = Component(
            container,
            self.keeper,
            self._command(service),
            self.environment(service, container),
            self.places.home(container),
            self.places.folder / f"{container}.log",
            is_ready=lambda: True,
        )
        component.start()
        self.components[container] = component

    def _command(self, service: Service) -> list[str]:
        """Do what the entrypoint of Airflow's image does."""
        words = self.places.command(service.name, service.command)
        return words if service.command[0] in ("bash", "python") else [sys.executable, "-m", "airflow", *words]

    def _run(self, command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env=environment,
            cwd=self.places.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_HEALTH_LIMIT,
        )
