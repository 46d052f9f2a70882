"""Running a DAG to its end in this process, with databases of its own."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from airflow.sdk import DAG

_BUNDLE: Final = "dags-folder"


@dataclass(frozen=True, slots=True)
class DescribedRow:
    """One image as the metadata table has it after a run.

    :param prompts: one to four if it was described, else none.
    """

    image_uri: str
    status: str
    reason: str | None
    prompts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DescribedRun:
    """What a run of a DAG came to.

    :param state: of the DAG run: ``success`` or ``failed``.
    :param tasks: the state of each task by its id; of a mapped task, that of its last instance.
    :param rows: of the metadata table, in the order of their URIs.
    """

    state: str
    tasks: dict[str, str | None]
    rows: list[DescribedRow]


def connections(service: str, images: str, table: Path) -> dict[str, str]:
    """Give the variables of the three connections that a DAG uses.

    :param service: the address of the service.
    :param images: the endpoint of the S3 server.
    :param table: the SQLite file of the metadata table.
    """
    aws = {
        "conn_type": "aws",
        "login": "testing",
        "password": "testing",
        "extra": {"endpoint_url": images, "region_name": "us-east-1"},
    }
    return {
        "AIRFLOW_CONN_MIDJOURNEY_DEFAULT": json.dumps({"conn_type": "midjourney", "host": service}),
        "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(aws),
        "AIRFLOW_CONN_IMAGE_PROMPTS_DB": json.dumps({"conn_type": "sqlite", "host": str(table)}),
        "AIRFLOW__MIDJOURNEY__POLL_INTERVAL": "0.1",
    }


@contextmanager
def airflow_database(folder: Path) -> Iterator[None]:
    """Let Airflow use an empty SQLite database of its own instead of the configured one.

    Airflow may be imported already, since DAG files are: what it has read of its configuration is read again.
    """
    variables = {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder}/airflow.db",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    try:
        with patch.dict(os.environ, variables):
            _read_configuration_again()
            from airflow.dag_processing.bundles.manager import DagBundlesManager
            from airflow.utils.db import initdb

            initdb()
            DagBundlesManager().sync_bundles_to_db()  # type: ignore[no-untyped-call]
            yield
    finally:
        _read_configuration_again()


def _read_configuration_again() -> None:
    from airflow import settings

    settings.dispose_orm()
    settings.configure_vars()  # type: ignore[no-untyped-call]
    settings.configure_orm()  # type: ignore[no-untyped-call]


def run_dag(dag: DAG, table: Path, conf: Mapping[str, Any] | None = None) -> DescribedRun:
    """Run a DAG to its end; its tasks are tried again at once.

    :param table: the SQLite file of the metadata table.
    """
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

    for task in dag.tasks:
        if hasattr(task, "retry_delay"):
            task.retry_delay = timedelta(0)
    bag = DagBag(dag_folder=os.devnull)
    bag.bag_dag(dag)
    sync_bag_to_db(bag, _BUNDLE, None)
    run = dag.test(run_conf=dict(conf or {}))
    states = {instance.task_id: instance.state for instance in run.get_task_instances()}
    return DescribedRun(str(run.state), states, read_table(table))


def read_table(table: Path) -> list[DescribedRow]:
    """Read what the metadata table holds; nothing where no task has made it."""
    from sqlalchemy import select

    from airflow_midjourney.describe.table.database import open_database

    if not table.exists():
        return []
    database = open_database(f"sqlite:///{table}")
    try:
        with database.reading() as tx:
            images = tx.tables.images.c
            columns = (images.prompt_1, images.prompt_2, images.prompt_3, images.prompt_4)
            found = tx.connection.execute(
                select(images.image_uri, images.status, images.reason, *columns).order_by(images.image_uri)
            )
            return [
                DescribedRow(uri, status, reason, tuple(filter(None, texts))) for uri, status, reason, *texts in found
            ]
    finally:
        database.close()
