"""The configuration of an Airflow whose processes are killed in tests: whatever waits, waits for seconds only."""

from __future__ import annotations

import base64
import json
import secrets
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.support.airflow_home import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

#: Airflow's own way to change the tasks of all DAGs: the example DAG waits a minute before it tries again.
POLICY = """
from datetime import timedelta


def task_policy(task):
    task.retry_delay = timedelta(seconds=2)
"""

#: What is added to the policy where workers are killed: graces of minutes last for seconds.
HURRY = """
import sys

sys.path.insert(0, {plugins!r})

from airflow_midjourney.describe.model.account import DOUBT_GRACE, AccountSettings

AccountSettings.__init__.__defaults__ = tuple(
    5.0 if value == DOUBT_GRACE else value for value in AccountSettings.__init__.__defaults__
)
"""

#: Seconds without a heartbeat after which a task's process counts as dead.
HEARTBEAT_TIMEOUT = 10

_IMPATIENT = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "2",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": f"{HEARTBEAT_TIMEOUT}",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "2",
    "AIRFLOW__SCHEDULER__JOB_HEARTBEAT_SEC": "2",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "10",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "10",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "2",
    "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "5",
    "AIRFLOW__MIDJOURNEY__POLL_INTERVAL": "1",
}


@dataclass(frozen=True)
class AirflowSettings:
    """What all processes of one Airflow read from their environment.

    :param home: its folder, made by :meth:`prepare`.
    :param database: the SQLAlchemy URL of its own database.
    :param api_port: where the api-server listens.
    :param log_ports: where workers (or the scheduler) and the triggerer serve their logs.
    :param executor: ``LocalExecutor`` or ``CeleryExecutor``.
    :param dags: folders with DAG files beside the repository's ``dags/``.
    :param more: further variables; these win.
    """

    home: Path
    database: str
    api_port: int
    log_ports: tuple[int, int]
    executor: str
    dags: tuple[Path, ...] = ()
    more: dict[str, str] = field(default_factory=dict)
    fernet_key: str = field(default_factory=lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
    signing_key: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    def prepare(self, *, hurry: bool) -> None:
        """Make the home with the policy, the plugin and the example DAGs: copied, as users install them.

        :param hurry: True to wait for seconds, not minutes, for what a killed worker held.
        """
        policy = POLICY + (HURRY.format(plugins=str(self.home / "plugins")) if hurry else "")
        for name in ("dags", "plugins"):
            shutil.copytree(REPOSITORY / name, self.home / name, ignore=shutil.ignore_patterns("__pycache__"))
        (self.home / "config").mkdir()
        (self.home / "config" / "airflow_local_settings.py").write_text(policy, encoding="utf-8")

    def variables(self) -> dict[str, str]:
        """Give the environment variables."""
        return {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.home / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(self.home / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": self.executor,
            "AIRFLOW__CORE__PARALLELISM": "6",
            "AIRFLOW__CORE__FERNET_KEY": self.fernet_key,
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{self.api_port}/execution/",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": f"{self.api_port}",
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{self.api_port}/",
            "AIRFLOW__API__SECRET_KEY": self.signing_key,
            "AIRFLOW__API_AUTH__JWT_SECRET": self.signing_key,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.database,
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(self._bundles()),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": f"{self.log_ports[0]}",
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": f"{self.log_ports[1]}",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            **_IMPATIENT,
            **self.more,
        }

    def _bundles(self) -> list[dict[str, object]]:
        folders = [self.home / "dags", *self.dags]
        return [
            {
                "name": f"bundle-{number}",
                "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
                "kwargs": {"path": str(folder), "refresh_interval": 5},
            }
            for number, folder in enumerate(folders)
        ]
