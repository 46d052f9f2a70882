"""Pause or resume the account of a connection. Run by hand, or before and after work on the service.

.. code-block:: bash

    airflow dags trigger midjourney_pause
    airflow dags trigger midjourney_pause --conf '{"action": "resume"}'
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, Param

from airflow_midjourney.operators.pause import PauseAccountOperator

with DAG(
    dag_id="midjourney_pause",
    description="Stop all submissions over an account, or let them go on",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    params={
        "action": Param("pause", enum=["pause", "resume"], description="What to do"),
        "mj_conn_id": Param("midjourney_default", type="string", minLength=1, description="Whose account"),
    },
    tags=["midjourney"],
    doc_md=__doc__,
) as dag:
    PauseAccountOperator(task_id="pause", action="{{ params.action }}", mj_conn_id="{{ params.mj_conn_id }}")
