"""Decide about images whose submission had no answer. Run by hand.

First see which there are, then decide:

.. code-block:: bash

    airflow dags trigger midjourney_resolve --conf '{"bucket": "photos", "prefix": "incoming/"}'
    airflow dags trigger midjourney_resolve --conf '{"bucket": "photos", "prefix": "incoming/", "action": "release"}'
    airflow dags trigger midjourney_resolve --conf '{"bucket": "photos", "prefix": "incoming/a.jpg", "action": "adopt",
      "remote_task_id": "1754207000123456"}'
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, Param

from airflow_midjourney.operators.resolve import ResolveDoubtsOperator

with DAG(
    dag_id="midjourney_resolve",
    description="List, release, fail or adopt images that may have been taken and billed",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    params={
        "bucket": Param("photos", type="string", minLength=1, description="The bucket with the images"),
        "prefix": Param("incoming/", type="string", minLength=1, description="Which images"),
        "bot_type": Param("MID_JOURNEY", enum=["MID_JOURNEY", "NIJI_JOURNEY"]),
        "action": Param("list", enum=["list", "release", "fail", "adopt"], description="What to do about them"),
        "remote_task_id": Param(None, type=["null", "string"], description="For adopt: the service's task"),
    },
    tags=["midjourney"],
    doc_md=__doc__,
) as dag:
    ResolveDoubtsOperator(
        task_id="resolve",
        bucket="{{ params.bucket }}",
        prefix="{{ params.prefix }}",
        bot_type="{{ params.bot_type }}",
        action="{{ params.action }}",
        remote_task_id="{{ params.remote_task_id }}",
    )
