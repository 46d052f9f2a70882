"""Ask a person before money is spent: plan, have the price approved, then describe.

.. code-block:: bash

    airflow dags trigger spend_approval --conf '{"bucket": "photos", "prefix": "archive/2019/"}'

``plan`` lists the images and prices them; nothing is submitted. Then the run waits, without a worker, until a person
presses *Approve* or *Reject* on the run's page, under *Required Actions*. What was approved is the cap of ``submit``:
images that come meanwhile are left to the next run. No answer within two days is a no. If nothing is to be paid for,
no question is put.

The price is that of the connection (extra ``price``); without one, only the number of images is shown.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, Asset, Param, task

from airflow_midjourney.operators.describe import DescribeImagesOperator
from airflow_midjourney.sensors.describe import DescribeImagesSensor

prompts = Asset("image_prompts")

IMAGES = {"bucket": "{{ params.bucket }}", "prefix": "{{ params.prefix }}", "bot_type": "{{ params.bot_type }}"}
PLAN = "ti.xcom_pull(task_ids='plan', key='counts')['plan']"
COST = "{% if plan.cost %}, for at most {{ plan.cost }} {{ plan.currency or '' }}{% endif %}"


@task.short_circuit
def costs_something(plan: dict[str, object]) -> bool:
    """Put no question where nothing would be paid for."""
    return bool(plan["plan"]["images"])  # type: ignore[index]


with DAG(
    dag_id="spend_approval",
    description="Describe the images of a prefix with Midjourney once a person has approved the price",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    params={
        "bucket": Param("photos", type="string", minLength=1, description="The bucket with the images"),
        "prefix": Param("incoming/", type="string", minLength=1, description="Which images"),
        "bot_type": Param("MID_JOURNEY", enum=["MID_JOURNEY", "NIJI_JOURNEY"]),
    },
    tags=["midjourney"],
    doc_md=__doc__,
) as dag:
    plan = DescribeImagesOperator(task_id="plan", plan_only=True, **IMAGES)
    approve = ApprovalOperator(
        task_id="approve",
        subject="Describe images of s3://{{ params.bucket }}/{{ params.prefix }}?",
        body="{% set plan = " + PLAN + " %}At most {{ plan.images }} images are submitted" + COST + ".",
        defaults="Reject",
        response_timeout=timedelta(days=2),
    )
    submit = DescribeImagesOperator(
        task_id="submit",
        max_submissions="{{ " + PLAN + ".images }}",
        max_cost="{{ " + PLAN + ".cost }}",
        backlog="none",
        deferrable=True,
        **IMAGES,
    )
    wait = DescribeImagesSensor(task_id="wait", batch=submit.output, deferrable=True, outlets=[prompts])
    plan >> costs_something(plan.output["counts"]) >> approve >> submit >> wait
