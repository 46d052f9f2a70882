"""Describe a folder a day as a partition: its run, its asset event and what comes after it have the day as their key.

The images of a day are expected under ``incoming/YYYY-MM-DD/``. The run of a night has the day before as its
``partition_key``, and takes that folder. A backfill makes a run for each day that it names:

.. code-block:: bash

    airflow backfill create --dag-id describe_partitions --from-date 2026-01-01 --to-date 2026-01-31

By hand, the REST API and the UI take a key, ``{"partition_key": "2026-01-05", "logical_date": null}``; the command line
takes none, and a run without one takes the day before. Another prefix, for one run:

.. code-block:: bash

    airflow dags trigger describe_partitions --conf '{"bucket": "photos", "prefix": "archive/2019/"}'

When a day is done, the asset ``image_prompts_of_day`` has an event with the same key. It starts DAGs that are scheduled
on partitions, ``schedule=PartitionedAssetTimetable(assets=Asset("image_prompts_of_day"))``, and no others: hence an
asset of its own beside ``image_prompts``.

Airflow 3.2 and 3.3. In 3.2 keys are days in UTC whatever the time zone of the timetable; so this one has UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Asset, CronPartitionTimetable, Param

from airflow_midjourney.operators.describe_group import describe_images_group

prompts_of_day = Asset("image_prompts_of_day")

PREFIX = (
    "{{ params.prefix or 'incoming/'"
    " ~ (dag_run.partition_key or (dag_run.run_after - macros.timedelta(days=1)) | ds) ~ '/' }}"
)

with DAG(
    dag_id="describe_partitions",
    description="Describe the images of a day with Midjourney, with the day as the partition of run and asset",
    schedule=CronPartitionTimetable("0 3 * * *", timezone="UTC", run_offset=-1, key_format="%Y-%m-%d"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    params={
        "bucket": Param("photos", type="string", minLength=1, description="The bucket with the images"),
        "prefix": Param(None, type=["null", "string"], description="Instead of the day's own prefix"),
        "max_submissions": Param(
            None, type=["null", "integer"], minimum=0, description="Images that this run may pay for"
        ),
    },
    tags=["midjourney"],
    doc_md=__doc__,
) as dag:
    describe_images_group(
        bucket="{{ params.bucket }}",
        prefix=PREFIX,
        max_submissions="{{ params.max_submissions }}",
        deferrable=True,
        outlets=[prompts_of_day],
    )
