"""Starting and stopping simulators, in this process or in the foreground."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any, Final

import httpx
import uvicorn

from airflow_midjourney.testing.simulator.app import make_app, make_service
from airflow_midjourney.testing.simulator.connections import protocol_reporting_to
from airflow_midjourney.testing.simulator.settings import DialectName, SimulatorSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_midjourney.testing.simulator.service import SimulatedService

# On a busy machine a thread may get no processor for long.
_START_LIMIT: Final = 60.0
_STOP_LIMIT: Final = 60.0

#: Seconds of a pause or a latency that :meth:`RunningSimulator.hurry` is to end.
UNTIL_HURRIED: Final = 3600.0

#: What every start says, so that no reader takes it for the real thing.
NOTICE: Final = "SIMULATOR: no real Midjourney, nothing is billed, prompts are computed from pixels"


class StartError(RuntimeError):
    """The simulator did not start to listen."""


class StopError(RuntimeError):
    """The simulator did not end in time."""


class AnnouncingServer(uvicorn.Server):
    """uvicorn's server, which says when it listens.

    :param announce: called once from the server's thread, when connections are accepted.
    """

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen, then announce it."""
        await super().startup(sockets)
        if not self.should_exit:
            self._announce()


def serve(settings: SimulatorSettings, ready_file: Path | None = None) -> None:
    """Serve in the foreground until interrupted.

    :param ready_file: gets the URL written to it once the simulator listens.
    :raises OSError: if the port is taken.
    """
    listener = _listener(settings)
    service = make_service(settings)
    service.lifecycle.public_url = url = _url(settings, listener)

    def announce() -> None:
        if ready_file is not None:
            _write_at_once(ready_file, f"{url}\n")
        print(f"{NOTICE} - {settings.dialect} at {url}/mj", flush=True)
        print(f"listening on {url}", flush=True)

    _server(service, announce).run(sockets=[listener])


class RunningSimulator:
    """A simulator that runs in a thread of this process.

    :param settings: how it behaves.
    """

    def __init__(self, settings: SimulatorSettings) -> None:
        self.settings = settings
        self._listener = _listener(settings)
        self.root = _url(settings, self._listener)
        # Plain HTTP only, so no certificates need to be loaded, which takes longer than all the rest.
        without_certificates = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._control = httpx.Client(
            base_url=f"{self.root}/_simulator", timeout=60, trust_env=False, verify=without_certificates
        )
        self._listening = threading.Event()
        self._server: AnnouncingServer | None = None
        self._thread = threading.Thread(target=self._run, name="simulator", daemon=True)

    @property
    def url(self) -> str:
        """The address as a client wants it, ending in ``/mj``."""
        return f"{self.root}/mj"

    def start(self) -> None:
        """Start and wait until it listens.

        :raises StartError: if it does not.
        """
        self._thread.start()
        if not self._listening.wait(_START_LIMIT):
            raise StartError("The simulator did not start to listen.")

    def stop(self) -> None:
        """Stop, whatever is under way; does nothing the second time.

        :raises StopError: if it goes on all the same.
        """
        if self._server is not None:
            self._server.should_exit = True
        self._thread.join(_STOP_LIMIT)
        self._control.close()
        if self._thread.is_alive():
            raise StopError("The simulator did not end in time.")

    def counters(self) -> dict[str, Any]:
        """What was asked, accepted and billed so far."""
        return self._ask("GET", "/counters")

    def tasks(self) -> list[dict[str, Any]]:
        """All tasks as they really are."""
        answer: list[dict[str, Any]] = self._control.get("/tasks").raise_for_status().json()
        return answer

    def set_scenarios(self, scenarios: list[str]) -> None:
        """Replace the scenarios that are set.

        :param scenarios: such as ``["happy"]`` or ``["queue_full:first=2", "banned_image:share=0.1"]``.
        :raises httpx.HTTPStatusError: for one that does not exist.
        """
        self._ask("POST", "/scenario", {"scenarios": scenarios})

    def change(self, **settings: Any) -> None:
        """Change settings while it runs, such as ``latency`` or ``slots``."""
        self._ask("POST", "/settings", settings)

    def restart_service(self) -> None:
        """Let the simulated service start again; this simulator goes on."""
        self._ask("POST", "/restart")

    def age(self, seconds: float) -> None:
        """Make all tasks of by now so much older."""
        self._ask("POST", "/age", {"seconds": seconds})

    def hurry(self) -> None:
        """Let tasks and answers that are under way come to their end at once."""
        self._ask("POST", "/hurry")

    def reset(self) -> None:
        """Forget tasks, counts and scenarios."""
        self._ask("POST", "/reset")

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer: dict[str, Any] = self._control.request(method, path, json=body).raise_for_status().json()
        return answer

    def _run(self) -> None:
        service = make_service(self.settings)
        service.lifecycle.public_url = self.root
        self._server = _server(service, self._listening.set)
        self._server.run(sockets=[self._listener])


@contextlib.contextmanager
def running_simulator(dialect: str = DialectName.NOVICEZK, **settings: Any) -> Iterator[RunningSimulator]:
    """Run a simulator beside the caller, on a free port.

    :param dialect: one of :class:`~airflow_midjourney.testing.simulator.settings.DialectName`.
    :param settings: fields of :class:`~airflow_midjourney.testing.simulator.settings.SimulatorSettings`.
    """
    simulator = RunningSimulator(SimulatorSettings(dialect=DialectName(dialect), **settings))
    simulator.start()
    try:
        yield simulator
    finally:
        simulator.stop()


def _server(service: SimulatedService, announce: Callable[[], None]) -> AnnouncingServer:
    config = uvicorn.Config(
        make_app(service),
        http=protocol_reporting_to(service.connections),
        lifespan="on",
        log_level="critical",
        access_log=False,
        timeout_graceful_shutdown=0,
        timeout_keep_alive=60,
        server_header=False,
    )
    return AnnouncingServer(config, announce)


def _listener(settings: SimulatorSettings) -> socket.socket:
    return socket.create_server((settings.host, settings.port), backlog=512)


def _url(settings: SimulatorSettings, listener: socket.socket) -> str:
    host = "127.0.0.1" if settings.host in {"0.0.0.0", ""} else settings.host  # noqa: S104 - compared, not bound
    return f"http://{host}:{listener.getsockname()[1]}"


def _write_at_once(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
