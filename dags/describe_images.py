"""Describe yesterday's images, every day.

The images of a day are expected under ``incoming/YYYY-MM-DD/`` of the bucket. The days before are looked at again for
files that came late; what has its prompts costs nothing. Another prefix, for one run:

.. code-block:: bash

    airflow dags trigger describe_images --conf '{"bucket": "photos", "prefix": "archive/2019/"}'

What failed there, once more; and what that would cost, first:

.. code-block:: bash

    airflow dags trigger describe_images --conf '{"prefix": "archive/2019/", "redescribe": "failed", "plan_only": true}'
    airflow dags trigger describe_images --conf '{"prefix": "archive/2019/", "redescribe": "failed", "max_cost": 5}'
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Asset, CronDataIntervalTimetable, Param

from airflow_midjourney.operators.describe import DescribeImagesOperator
from airflow_midjourney.sensors.describe import DescribeImagesSensor

look_back_days = 2
prompts = Asset("image_prompts")

# A run without a logical date has no data interval; it takes the day before it was asked for.
DAY = (
    "(data_interval_start if data_interval_start is defined and data_interval_start"
    " else dag_run.run_after - macros.timedelta(days=1))"
)
PREFIX = "{{ params.prefix or 'incoming/' ~ ((%s - macros.timedelta(days=%d)) | ds) ~ '/' }}"

with DAG(
    dag_id="describe_images",
    description="Describe yesterday's images with Midjourney and keep the prompts in image_prompts",
    schedule=CronDataIntervalTimetable("0 3 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    params={
        "bucket": Param("photos", type="string", minLength=1, description="The bucket with the images"),
        "prefix": Param(None, type=["null", "string"], description="Instead of the days' own prefixes"),
        "bot_type": Param("MID_JOURNEY", enum=["MID_JOURNEY", "NIJI_JOURNEY"]),
        "max_submissions": Param(
            None, type=["null", "integer"], minimum=0, description="Images that this run may pay for"
        ),
        "max_cost": Param(None, type=["null", "number"], minimum=0, description="Money that this run may spend"),
        "priority": Param(
            0, type="integer", minimum=0, maximum=1000, description="Sends before other batches that have a lower one"
        ),
        "on_cap": Param("skip", enum=["skip", "finish", "wait"], description="How a run ends that reached a cap"),
        "redescribe": Param(
            None,
            type=["null", "string"],
            enum=[None, "failed", "all", "in_doubt", "erased"],
            description="Pay again for images of the scope that ended so",
        ),
        "plan_only": Param(False, type="boolean", description="List, compare and price; submit nothing"),
        "mj_conn_id": Param("midjourney_default", type="string", minLength=1, description="The service"),
    },
    tags=["midjourney"],
    doc_md=__doc__,
) as dag:
    submit = DescribeImagesOperator(
        task_id="submit",
        bucket="{{ params.bucket }}",
        prefix=[PREFIX % (DAY, days) for days in range(look_back_days + 1)],
        bot_type="{{ params.bot_type }}",
        max_submissions="{{ params.max_submissions }}",
        max_cost="{{ params.max_cost }}",
        priority="{{ params.priority }}",
        redescribe="{{ params.redescribe }}",
        plan_only="{{ params.plan_only }}",
        mj_conn_id="{{ params.mj_conn_id }}",
        deferrable=True,
    )
    wait = DescribeImagesSensor(
        task_id="wait", batch=submit.output, on_cap="{{ params.on_cap }}", deferrable=True, outlets=[prompts]
    )
    submit >> wait
