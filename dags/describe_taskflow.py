"""Describe the latest folder of a bucket, with functions as tasks: one works out the prefix, one takes the prompts.

.. code-block:: bash

    airflow dags trigger describe_taskflow --conf '{"bucket": "photos", "root": "shoots/"}'

The folders below ``root`` have names that can be sorted, such as dates. ``describe_images_group`` makes two tasks,
which submit and wait; ``described.output`` is the batch, and a task that takes it runs when the prompts are there.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Asset, Param, dag, task
from airflow.sdk.exceptions import AirflowSkipException

from airflow_midjourney.operators.describe_group import describe_images_group

log = logging.getLogger(__name__)

prompts = Asset("image_prompts")


@task
def latest_folder(params: Any = None) -> str:
    """Give the prefix of the folder below ``root`` whose name is the last one."""
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    folders: list[str] = S3Hook("aws_default").list_prefixes(params["bucket"], params["root"], "/")
    if not folders:
        raise AirflowSkipException(f"There is no folder in s3://{params['bucket']}/{params['root']}")
    return max(folders)


@task
def take_prompts(prefix: str, batch: str, params: Any = None) -> int:
    """Log the first prompt of each image of the folder, and give their number."""
    from airflow_midjourney import read_prompts

    log.info("Batch %s has ended.", batch)
    rows = list(read_prompts(bucket=params["bucket"], prefix=prefix))
    for row in rows:
        log.info("%s: %s", row.key, row.prompts[0])
    return len(rows)


@dag(
    description="Describe the images of the latest folder with Midjourney, with functions as tasks",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    params={
        "bucket": Param("photos", type="string", minLength=1, description="The bucket with the images"),
        "root": Param("incoming/", type="string", minLength=1, description="Whose latest folder"),
        "max_submissions": Param(
            None, type=["null", "integer"], minimum=0, description="Images that this run may pay for"
        ),
    },
    tags=["midjourney"],
    doc_md=__doc__,
)
def describe_taskflow() -> None:
    """Chain the tasks: each takes what the one before it gives."""
    prefix = latest_folder()
    described = describe_images_group(
        bucket="{{ params.bucket }}",
        prefix=prefix,
        max_submissions="{{ params.max_submissions }}",
        deferrable=True,
        outlets=[prompts],
    )
    take_prompts(prefix, described.output)


describe_taskflow()
