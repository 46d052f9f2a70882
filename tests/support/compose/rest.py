"""Airflow's REST API as a person uses it who logs in with a password."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")

_LIMIT: Final = 300.0

_TICK: Final = 0.3


@dataclass
class Rest:
    """A person with a password.

    :param root: the address of the api-server.
    """

    root: str
    user: str
    password: str
    _key: str = field(default="", init=False)

    def unpause(self, dag_id: str) -> None:
        """Let a DAG run, as soon as the dag-processor has found it."""
        self._until(lambda: self.ask("GET", f"dags/{dag_id}", missing_ok=True), f"{dag_id} is not found")
        self.ask("PATCH", f"dags/{dag_id}", json={"is_paused": False})

    def trigger(self, dag_id: str, run_id: str, conf: dict[str, Any]) -> None:
        """Start a run."""
        body = {"dag_run_id": run_id, "conf": conf, "logical_date": None}
        self.ask("POST", f"dags/{dag_id}/dagRuns", json=body)

    def wait_for_run(self, dag_id: str, run_id: str) -> str:
        """Wait until a run has ended and give its state."""
        return self._wait_for_state(f"dags/{dag_id}/dagRuns/{run_id}", "success", "failed")

    def wait_for_task(self, dag_id: str, run_id: str, task_id: str, *states: str) -> str:
        """Wait until a task is in one of these states and give that."""
        return self._wait_for_state(f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}", *states)

    def ask(self, method: str, path: str, *, missing_ok: bool = False, **arguments: Any) -> dict[str, Any]:
        """Ask for something under ``/api/v2``; nothing at all if it may be missing and is."""
        with httpx.Client(base_url=self.root, timeout=60, trust_env=False) as client:
            if not self._key:
                login = client.post("/auth/token", json={"username": self.user, "password": self.password})
                self._key = login.raise_for_status().json()["access_token"]
            authorization = {"Authorization": f"Bearer {self._key}"}
            answer = client.request(method, f"/api/v2/{path}", headers=authorization, **arguments)
        if missing_ok and answer.status_code == httpx.codes.NOT_FOUND:
            return {}
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text[:300]}"
        return dict(answer.json())

    def _wait_for_state(self, path: str, *states: str) -> str:
        def state() -> str | None:
            now = self.ask("GET", path)["state"]
            return now if now in states else None

        return str(self._until(state, f"{path} is in none of the states {states}"))

    def _until(self, look: Callable[[], Result | None], otherwise: str) -> Result:
        deadline = time.monotonic() + _LIMIT
        while not (found := look()):
            assert time.monotonic() < deadline, f"after {_LIMIT:.0f} s, {otherwise}"
            time.sleep(_TICK)
        return found
