"""Describe the images that a manifest names, however many they are: a list of keys, or an S3 Inventory.

.. code-block:: bash

    airflow dags trigger describe_manifest --conf '{"manifest": "s3://photos/lists/2019.txt"}'
    airflow dags trigger describe_manifest --conf '{"manifest":
      "s3://lists/photos/all/2026-03-01T01-00Z/manifest.json", "max_submissions": 500}'

A manifest is an object with one key or ``s3://bucket/key`` a line; or CSV, with a header that names ``key``, or bucket
and URL-encoded key as S3 writes them; or the ``manifest.json`` of an S3 Inventory in CSV. Each may be gzipped. All
images are of one bucket: ``bucket``, or the one that the first line names, or the manifest's own. Do not change it
while it is listed.

What ``max_submissions`` leaves is submitted by the next run, whatever its manifest. When all is done, the asset
``image_prompts`` has an event with the batch id and counts.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Asset, Param

from airflow_midjourney.operators.describe import DescribeImagesOperator
from airflow_midjourney.sensors.describe import DescribeImagesSensor

prompts = Asset("image_prompts")

with DAG(
    dag_id="describe_manifest",
    description="Describe the images of a list with Midjourney and keep the prompts in image_prompts",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    params={
        "manifest": Param(type="string", pattern="^s3://[^/]+/.+", description="The list, as s3://bucket/key"),
        "bucket": Param(None, type=["null", "string"], description="The bucket with the images, if not the list's"),
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
        manifest="{{ params.manifest }}",
        bucket="{{ params.bucket }}",
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
