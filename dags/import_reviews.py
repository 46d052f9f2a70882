"""Take decisions from Label Studio, and write a training set of all that people have approved.

.. code-block:: bash

    airflow dags trigger import_reviews --conf '{"prefix": "incoming/", "file": "export.json"}'

``file`` is what Label Studio's *Export* wrote, put into ``ANNOTATIONS``. Set that and ``TARGET`` below to places of
your own. They are no parameters on purpose: the right to trigger this DAG would be the right to read and write
anywhere that the workers can. The extra ``allowed_targets`` of the connection bounds both for all DAGs.

The same file once more changes nothing. The training set holds what was approved in Airflow's review page, too.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Asset, Param

from airflow_midjourney.operators.export import ExportPromptsOperator
from airflow_midjourney.operators.import_reviews import ImportReviewsOperator

training_set = Asset("image_prompts_export")

#: Where Label Studio's files are: ``s3://bucket/prefix``, or the absolute path of a folder that every worker sees.
ANNOTATIONS = "s3://photos/annotations"

#: Where the training set goes, likewise.
TARGET = "s3://photos/reviewed"

IMAGES = {"bucket": "{{ params.bucket }}", "prefix": "{{ params.prefix }}", "bot_type": "{{ params.bot_type }}"}

with DAG(
    dag_id="import_reviews",
    description="Take decisions from Label Studio and write a training set of what people have approved",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    params={
        "bucket": Param("photos", type="string", minLength=1, description="The bucket with the images"),
        "prefix": Param("incoming/", type="string", minLength=1, description="Which images"),
        "bot_type": Param("MID_JOURNEY", enum=["MID_JOURNEY", "NIJI_JOURNEY"]),
        "file": Param("export.json", type="string", pattern=r"^[\w-][\w.-]*$", description="File of Label Studio"),
        "format": Param("webdataset", enum=["imagefolder", "kohya", "webdataset", "jsonl", "parquet", "csv"]),
    },
    tags=["midjourney"],
    doc_md=__doc__,
) as dag:
    reviews = ImportReviewsOperator(task_id="import", source=f"{ANNOTATIONS}/{{{{ params.file }}}}", **IMAGES)
    export = ExportPromptsOperator(
        task_id="export",
        target=TARGET,
        format="{{ params.format }}",
        choose="reviewed",
        reviewed_only=True,
        copy_images=True,
        outlets=[training_set],
        **IMAGES,
    )
    reviews >> export
