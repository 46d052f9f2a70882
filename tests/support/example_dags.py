"""The DAGs that users copy, as Airflow loads them."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.models.dag import DagModel
from airflow.sdk import DAG
from airflow.utils.session import create_session
from sqlalchemy import update

from airflow_midjourney.operators.describe import DescribeImagesOperator
from tests.support.airflow_home import REPOSITORY


def load_example(name: str) -> DAG:
    """Load ``dags/<name>.py``; its tasks are tried again at once."""
    bag = DagBag(dag_folder=str(REPOSITORY / "dags" / f"{name}.py"))
    assert not bag.import_errors
    dag = bag.dags[name]
    for task in dag.tasks:
        if not task.is_mapped:
            task.retry_delay = timedelta(0)
    return dag


def known_to_airflow(dag_id: str, task_id: str, schedule: str | None = "@daily", **values: Any) -> None:
    """Let Airflow know a DAG with one task that describes images; other values of its row last."""
    with DAG(dag_id, schedule=schedule, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        DescribeImagesOperator(task_id=task_id, bucket="photos", prefix="archive/")
    bag = DagBag(dag_folder=os.devnull)
    bag.bag_dag(dag)
    sync_bag_to_db(bag, "dags-folder", None)
    with create_session() as session:
        row = {"is_paused": False, "is_stale": False} | values
        session.execute(update(DagModel).where(DagModel.dag_id == dag_id).values(row))
