"""Describe the images of a prefix, then write a training set of them.

.. code-block:: bash

    airflow dags trigger describe_then_export --conf '{"bucket": "photos", "prefix": "incoming/", "format": "kohya"}'

Set ``TARGET`` below to a place of your own. It is no parameter on purpose: the right to trigger this DAG would be the
right to write anywhere that the workers can. The extra ``allowed_targets`` of the connection bounds it for all DAGs.

The export holds all images of the prefix that have their prompts, those of earlier runs too, each once even if its
bytes are there under several keys. It is a new folder below ``TARGET``; ``latest.json`` there names it, and so does the
task's XCom. Readers see the export before until then.

When it is written, the asset ``image_prompts_export`` has an event that says where, so other DAGs can train on it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Asset, Param

from airflow_midjourney.operators.describe import DescribeImagesOperator
from airflow_midjourney.operators.export import ExportPromptsOperator
from airflow_midjourney.sensors.describe import DescribeImagesSensor

prompts = Asset("image_prompts")
training_set = Asset("image_prompts_export")

#: Where the training set goes: ``s3://bucket/prefix``, or the absolute path of a folder that every worker sees.
TARGET = "s3://photos/training"

IMAGES = {"bucket": "{{ params.bucket }}", "prefix": "{{ params.prefix }}", "bot_type": "{{ params.bot_type }}"}

with DAG(
    dag_id="describe_then_export",
    description="Describe the images of a prefix with Midjourney and write a training set of them",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    params={
        "bucket": Param("photos", type="string", minLength=1, description="The bucket with the images"),
        "prefix": Param("incoming/", type="string", minLength=1, description="Which images"),
        "bot_type": Param("MID_JOURNEY", enum=["MID_JOURNEY", "NIJI_JOURNEY"]),
        "format": Param(
            "imagefolder", enum=["imagefolder", "kohya", "webdataset", "jsonl", "labelstudio", "parquet", "csv"]
        ),
        "prompt": Param("first", enum=["first", "longest", "random", "all"], description="Which of an image's prompts"),
    },
    tags=["midjourney"],
    doc_md=__doc__,
) as dag:
    submit = DescribeImagesOperator(task_id="submit", deferrable=True, **IMAGES)
    wait = DescribeImagesSensor(task_id="wait", batch=submit.output, deferrable=True, outlets=[prompts])
    export = ExportPromptsOperator(
        task_id="export",
        target=TARGET,
        format="{{ params.format }}",
        prompt="{{ params.prompt }}",
        copy_images=True,
        outlets=[training_set],
        **IMAGES,
    )
    submit >> wait >> export
