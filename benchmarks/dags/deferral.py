"""The same two tasks twice: freeing their worker while they wait, and not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Param

from airflow_midjourney.operators.describe import DescribeImagesOperator
from airflow_midjourney.sensors.describe import DescribeImagesSensor


def make_dag(dag_id: str, *, deferrable: bool) -> DAG:
    """Make one of the two."""
    with DAG(
        dag_id=dag_id,
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        is_paused_upon_creation=False,
        default_args={"retries": 3, "retry_delay": timedelta(seconds=2)},
        params={"prefix": Param("in/", type="string")},
    ) as dag:
        submit = DescribeImagesOperator(
            task_id="submit", bucket="photos", prefix="{{ params.prefix }}", deferrable=deferrable
        )
        wait = DescribeImagesSensor(task_id="wait", batch=submit.output, deferrable=deferrable, poke_interval=5)
        submit >> wait
    return dag


deferring = make_dag("deferral_on", deferrable=True)
staying = make_dag("deferral_off", deferrable=False)
