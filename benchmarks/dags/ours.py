"""Our two tasks, as the example DAG has them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Param

from airflow_midjourney.operators.describe import DescribeImagesOperator
from airflow_midjourney.sensors.describe import DescribeImagesSensor

with DAG(
    dag_id="ours",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    is_paused_upon_creation=False,
    default_args={"retries": 3, "retry_delay": timedelta(seconds=2)},
    params={"prefix": Param("in/", type="string")},
) as dag:
    submit = DescribeImagesOperator(task_id="submit", bucket="photos", prefix="{{ params.prefix }}", deferrable=True)
    wait = DescribeImagesSensor(task_id="wait", batch=submit.output, deferrable=True)
    submit >> wait
