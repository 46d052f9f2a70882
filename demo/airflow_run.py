"""Airflow: its database, and one run of the DAG."""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from demo.airflow_log import LogLine, read_line
from demo.folder import shown
from demo.processes import ProcessError, last_lines, read_lines, wait_for_end

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from demo.folder import DemoFolder
    from demo.interruption import Interruption
    from demo.processes import Child, Children

DAG_ID: Final = "describe_images"

#: Seconds that the database, or a run over the demo's own images, may take.
LIMIT: Final = 300.0


class RunError(ProcessError):
    """The run of the DAG did not end well."""


@dataclass(frozen=True, slots=True)
class Airflow:
    """Airflow as this demo runs it.

    :param repository: the folder with ``dags/`` and ``plugins/``.
    """

    folder: DemoFolder
    repository: Path
    children: Children
    interruption: Interruption

    def start_migration(self) -> Child | None:
        """Start to make Airflow's own database; None where this Airflow has made it already."""
        if self._migrated_with.exists() and self._migrated_with.read_text(encoding="utf-8") == _version():
            return None
        self._database.unlink(missing_ok=True)
        return self.children.start(
            "airflow db migrate",
            (sys.executable, "-m", "airflow", "db", "migrate"),
            log=self.folder.airflow_log,
            environment=self._environment({}),
            folder=self.folder.airflow_home,
        )

    def finish_migration(self, migration: Child | None) -> None:
        """Wait for the database.

        :raises ProcessError: if it cannot be made.
        """
        if migration is not None:
            wait_for_end(migration, LIMIT, self.interruption)
            self._migrated_with.write_text(_version(), encoding="utf-8")

    def run_dag(
        self,
        conf: Mapping[str, object],
        variables: Mapping[str, str],
        on_line: Callable[[LogLine], None],
        on_tick: Callable[[], None],
        limit: float | None = None,
    ) -> None:
        """Run the DAG over the images once.

        :param conf: its parameters.
        :param variables: connections and settings, as environment variables.
        :param on_line: gets each line that Airflow writes.
        :param on_tick: is called a few times a second.
        :param limit: seconds that it may take; None for as long as it goes on.
        :raises RunError: if a task fails; the demo does not wait for Airflow's retries.
        """
        child = self._start_run(conf, variables)
        failures: list[LogLine] = []
        deadline = time.monotonic() + (limit or float("inf"))
        with self.folder.airflow_log.open("a", encoding="utf-8") as log:
            for lines in read_lines(child, self.interruption):
                for line in map(read_line, lines):
                    print(line.as_text(), file=log, flush=True)
                    on_line(line)
                    failures += [line] if line.is_failure else []
                on_tick()
                if failures:
                    raise RunError(self._explained(failures))
                if time.monotonic() > deadline:
                    raise RunError(f"The run took more than {limit:.0f} seconds.\n{self._explained([])}")
        if child.process.returncode != 0:
            raise RunError(self._explained([]))

    def start_all(self, variables: Mapping[str, str]) -> Child:
        """Start all processes of an Airflow with its UI.

        :param variables: connections, ports and the like.
        """
        return self.children.start(
            "airflow standalone",
            (sys.executable, "-m", "airflow", "standalone"),
            log=self.folder.airflow_log,
            # It starts its processes by the name of the command.
            environment=self._environment(
                {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}", **variables}
            ),
            folder=self.folder.airflow_home,
        )

    def _start_run(self, conf: Mapping[str, object], variables: Mapping[str, str]) -> Child:
        dag_file = self.repository / "dags" / f"{DAG_ID}.py"
        given = ("-f", str(dag_file), "--conf", json.dumps(conf))
        return self.children.start_with_pipe(
            "airflow dags test",
            (sys.executable, "-m", "airflow", "dags", "test", DAG_ID, *given),
            log=self.folder.airflow_log,
            environment=self._environment({"AIRFLOW__LOGGING__JSON_LOGS": "True", **variables}),
            folder=self.folder.airflow_home,
        )

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        return os.environ | {
            "AIRFLOW_HOME": str(self.folder.airflow_home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.repository / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(self.repository / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__MIDJOURNEY__POLL_INTERVAL": "1",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            **more,
        }

    def _explained(self, failures: list[LogLine]) -> str:
        if failures:
            told = "\n".join(dict.fromkeys(line.errors[0] for line in failures))
        else:
            told = last_lines(self.folder.airflow_log)
        return (
            f"The run of {DAG_ID} failed:\n{told}\nAll that Airflow said: {shown(self.folder.airflow_log)}\n"
            f"{self.folder.way_out}"
        )

    @property
    def _database(self) -> Path:
        return self.folder.airflow_home / "airflow.db"

    @property
    def _migrated_with(self) -> Path:
        return self.folder.airflow_home / "migrated-with"


def _version() -> str:
    return importlib.metadata.version("apache-airflow")
