"""Describe each folder of a bucket as a batch of its own: a group of tasks that is expanded over prefixes.

.. code-block:: bash

    airflow dags trigger describe_folders --conf '{"bucket": "photos", "root": "customers/"}'

Each folder below ``root`` has its own verdict: one with too many failures fails alone, and what comes after the others
goes on. All of them share the account's slots, and ``max_submissions`` holds over all of them. Where one verdict over
all is enough, expand the operator alone, and give its outputs to one sensor: that is one waiting task instead of many.

Airflow expands to 1,024 at most (``[core] max_map_length``).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Asset, Param, task, task_group

from airflow_midjourney.operators.describe_group import describe_images_group

prompts = Asset("image_prompts")


@task
def folders(params: Any = None) -> list[str]:
    """Give the prefix of each folder below ``root``."""
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    found: list[str] = S3Hook("aws_default").list_prefixes(params["bucket"], params["root"], "/")
    return found


@task
def count_prompts(prefix: str, batch: str, params: Any = None) -> dict[str, Any]:
    """Say how many images of a folder have their prompts; it runs when those of its batch are there."""
    from airflow_midjourney import read_prompts

    rows = read_prompts(bucket=params["bucket"], prefix=prefix)
    return {"folder": prefix, "batch": batch, "described": sum(1 for _ in rows)}


@task_group
def one_folder(prefix: str) -> None:
    """Describe one folder, and count its prompts."""
    described = describe_images_group(
        bucket="{{ params.bucket }}",
        prefix=prefix,
        max_submissions="{{ params.max_submissions }}",
        deferrable=True,
        outlets=[prompts],
    )
    count_prompts(prefix, described.output)


with DAG(
    dag_id="describe_folders",
    description="Describe each folder under a prefix with Midjourney as a batch of its own",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    params={
        "bucket": Param("photos", type="string", minLength=1, description="The bucket with the images"),
        "root": Param("incoming/", type="string", minLength=1, description="Whose folders"),
        "max_submissions": Param(
            None, type=["null", "integer"], minimum=0, description="Images that this run may pay for"
        ),
    },
    tags=["midjourney"],
    doc_md=__doc__,
) as dag:
    one_folder.expand(prefix=folders())
