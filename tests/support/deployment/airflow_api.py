"""Airflow's REST API, as far as tests use it: what a person would do in the UI."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from tests.support.deployment.service import local_client

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds in which a run has to end.
RUN_LIMIT = 300.0

_TICK = 0.3

#: Seconds for which what Airflow cannot read at the moment is asked for again.
_PATIENCE = 60.0


class RunError(AssertionError):
    """A run is not where it should be."""


class TroubleError(RunError):
    """Airflow has an error of its own."""


@dataclass
class AirflowApi:
    """A person with all rights.

    :param root: the address of the api-server.
    """

    root: str
    _key: str = field(default="", init=False)

    def is_up(self) -> bool:
        """Say whether the api-server answers."""
        return self._health() is not None

    def is_healthy(self, part: str) -> bool:
        """Say whether a part of Airflow (``scheduler``, ``triggerer``, ``dag_processor``) has been heard lately."""
        health = self._health()
        return health is not None and health.get(part, {}).get("status") == "healthy"

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """Read something; while Airflow has lost a connection to its own database, say, again."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                return self.ask("GET", path, params=query)
            except TroubleError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(_TICK)

    def ask(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        """Ask for something under ``/api/v2``.

        :raises TroubleError: if Airflow has an error of its own.
        :raises RunError: if it says no.
        """
        answer = local_client().request(
            method, f"{self.root}/api/v2/{path}", headers={"Authorization": f"Bearer {self._login()}"}, **arguments
        )
        if answer.is_error:
            kind = TroubleError if answer.is_server_error else RunError
            raise kind(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return dict(answer.json()) if answer.content else {}

    def set_connection(self, conn_id: str, **fields: Any) -> None:
        """Make a connection, or replace it."""
        body = {"connection_id": conn_id, **fields}
        if self._exists(f"connections/{conn_id}"):
            self.ask("PATCH", f"connections/{conn_id}", json=body)
        else:
            self.ask("POST", "connections", json=body)

    def has_dag(self, dag_id: str) -> bool:
        """Say whether the DAG has been parsed."""
        return self._exists(f"dags/{dag_id}")

    def wait_for_dag(self, dag_id: str, limit: float = RUN_LIMIT) -> None:
        """Wait until the DAG has been parsed.

        :raises RunError: if it is not.
        """
        deadline = time.monotonic() + limit
        while not self.has_dag(dag_id):
            if time.monotonic() > deadline:
                raise RunError(f"{dag_id} is not there after {limit:.0f} s.")
            time.sleep(_TICK)

    def unpause(self, dag_id: str, *, paused: bool = False) -> None:
        """Let the DAG run."""
        self.ask("PATCH", f"dags/{dag_id}", json={"is_paused": paused})

    def trigger(self, dag_id: str, run_id: str, conf: dict[str, Any] | None = None) -> None:
        """Start a run by hand."""
        body = {"dag_run_id": run_id, "conf": conf or {}, "logical_date": None}
        self.ask("POST", f"dags/{dag_id}/dagRuns", json=body)

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """Give a run."""
        return self.get(f"dags/{dag_id}/dagRuns/{run_id}")

    def runs(self, dag_id: str, **query: Any) -> list[dict[str, Any]]:
        """Give the runs of a DAG."""
        return list(self.get(f"dags/{dag_id}/dagRuns", limit=100, **query)["dag_runs"])

    def task(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
        """Give a task instance."""
        return self.get(f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}")

    def tries(self, dag_id: str, run_id: str, task_id: str) -> list[dict[str, Any]]:
        """Give all tries of a task."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/tries"
        return list(self.get(path)["task_instances"])

    def xcoms(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
        """Give what a task left for others, by key."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries"
        keys = [entry["key"] for entry in self.get(path)["xcom_entries"]]
        return {key: self.get(f"{path}/{key}")["value"] for key in keys}

    def mark_task(self, dag_id: str, run_id: str, task_id: str, state: str) -> None:
        """Set a task's state, as a click on it does."""
        body = {"new_state": state}
        self.ask("PATCH", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}", json=body)

    def mark_run(self, dag_id: str, run_id: str, state: str) -> None:
        """Set a run's state, as a click on it does."""
        self.ask("PATCH", f"dags/{dag_id}/dagRuns/{run_id}", json={"state": state})

    def clear_tasks(self, dag_id: str, **choice: Any) -> None:
        """Clear task instances: ``dag_run_id=``, ``task_ids=``, ``start_date=``, ``end_date=``."""
        body = {"dry_run": False, "reset_dag_runs": True, "only_failed": False, **choice}
        self.ask("POST", f"dags/{dag_id}/clearTaskInstances", json=body)

    def clear_run(self, dag_id: str, run_id: str) -> None:
        """Clear a whole run."""
        self.ask("POST", f"dags/{dag_id}/dagRuns/{run_id}/clear", json={"dry_run": False, "only_failed": False})

    def wait_for_run(
        self, dag_id: str, run_id: str, limit: float = RUN_LIMIT, meanwhile: Callable[[], None] = lambda: None
    ) -> str:
        """Wait until a run has ended and give its state.

        :param meanwhile: is called again and again.
        :raises RunError: if it takes longer.
        """
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            try:
                state = str(self.run(dag_id, run_id)["state"])
            except httpx.TransportError:
                state = "not known: the api-server is away"
            if state in ("success", "failed"):
                return state
            meanwhile()
            time.sleep(_TICK)
        raise RunError(f"{dag_id} {run_id} is {state} after {limit:.0f} s: {self._states(dag_id, run_id)}")

    def wait_for_a_run(self, dag_id: str, limit: float = RUN_LIMIT) -> dict[str, Any]:
        """Wait until a run of a DAG is there.

        :raises RunError: if none comes.
        """
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            if runs := self.runs(dag_id):
                return runs[0]
            time.sleep(_TICK)
        raise RunError(f"{dag_id} has no run after {limit:.0f} s.")

    def wait_for_backfills(self, dag_id: str, limit: float = RUN_LIMIT) -> None:
        """Wait until all backfills of a DAG are complete.

        :raises RunError: if they take longer.
        """
        deadline = time.monotonic() + limit
        while not all(one["completed_at"] for one in self.get("backfills", dag_id=dag_id)["backfills"]):
            if time.monotonic() > deadline:
                raise RunError(f"A backfill of {dag_id} is not complete after {limit:.0f} s.")
            time.sleep(_TICK)

    def wait_for_task(self, dag_id: str, run_id: str, task_id: str, *states: str, limit: float = RUN_LIMIT) -> str:
        """Wait until a task is in one of these states and give that.

        :raises RunError: if it takes longer.
        """
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            state = str(self.task(dag_id, run_id, task_id)["state"])
            if state in states:
                return state
            time.sleep(_TICK)
        raise RunError(f"{task_id} of {run_id} is {state} after {limit:.0f} s: {self._states(dag_id, run_id)}")

    def _states(self, dag_id: str, run_id: str) -> dict[str, str]:
        instances = self.get(f"dags/{dag_id}/dagRuns/{run_id}/taskInstances")["task_instances"]
        return {one["task_id"]: one["state"] for one in instances}

    def _exists(self, path: str) -> bool:
        try:
            self.get(path)
        except RunError as error:
            if " 404 " in str(error):
                return False
            raise
        return True

    def _health(self) -> dict[str, Any] | None:
        try:
            answer = local_client().get(f"{self.root}/api/v2/monitor/health", timeout=30)
            return dict(answer.raise_for_status().json())
        except (httpx.HTTPError, ValueError):
            return None

    def _login(self) -> str:
        if not self._key:
            answer = local_client().get(f"{self.root}/auth/token").raise_for_status()
            self._key = str(answer.json()["access_token"])
        return self._key
