"""The DAGs that users copy, as Airflow loads them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.dag_processing.dagbag import DagBag

from tests.support.airflow_home import REPOSITORY

if TYPE_CHECKING:
    from airflow.sdk import DAG


def load_example(name: str) -> DAG:
    """Load ``dags/<name>.py``; its tasks are tried again at once."""
    bag = DagBag(dag_folder=str(REPOSITORY / "dags" / f"{name}.py"))
    assert not bag.import_errors
    dag = bag.dags[name]
    for task in dag.tasks:
        if not task.is_mapped:
            task.retry_delay = timedelta(0)
    return dag
