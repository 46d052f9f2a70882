"""Describe files as they arrive: each event of the asset ``incoming_photos`` names the objects that landed.

A run takes all events since the last one, however many they are. Whatever writes the files says so, for instance by the
REST API (``asset_id`` is what ``airflow assets list`` or the UI shows):

.. code-block:: bash

    curl -X POST "$AIRFLOW/api/v2/assets/events" \\
      -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\
      -d '{"asset_id": 1, "extra": {"bucket": "photos", "key": "incoming/a.jpg"}}'

An upstream DAG says it with its outlet event: ``outlet_events[incoming].extra = {"bucket": …, "keys": […]}``. By hand,
without an event:

.. code-block:: bash

    airflow dags trigger describe_on_arrival --conf '{"bucket": "photos", "keys": ["incoming/a.jpg"]}'

When it is done, the asset ``image_prompts`` has an event with the batch ids and counts.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, Asset, Param, task

from airflow_midjourney.arrivals import arrivals
from airflow_midjourney.operators.describe import DescribeImagesOperator
from airflow_midjourney.sensors.describe import DescribeImagesSensor

if TYPE_CHECKING:
    from airflow_midjourney.arrivals import Arrivals

incoming = Asset("incoming_photos")
prompts = Asset("image_prompts")


def arrived(events: Any, params: Any) -> list[Arrivals]:
    """Give what the run is about: by bucket, in parts of at most 1,000 keys."""
    extras = [event.extra for of_asset in events.values() for event in of_asset]
    return arrivals([{"bucket": params["bucket"], "keys": params["keys"]}, *extras])


with DAG(
    dag_id="describe_on_arrival",
    description="Describe images with Midjourney as soon as they arrive",
    schedule=[incoming],
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    params={
        "bucket": Param(None, type=["null", "string"], description="By hand: the bucket with the images"),
        "keys": Param([], type="array", items={"type": "string"}, description="By hand: their keys"),
        "bot_type": Param("MID_JOURNEY", enum=["MID_JOURNEY", "NIJI_JOURNEY"]),
    },
    user_defined_macros={"arrived": arrived},
    tags=["midjourney"],
    doc_md=__doc__,
) as dag:

    @task
    def buckets(params: Any = None, triggering_asset_events: Any = None) -> list[str]:
        """Give one bucket per batch; the keys stay where they are."""
        return [part.bucket for part in arrived(triggering_asset_events, params)]

    submit = DescribeImagesOperator.partial(
        task_id="submit",
        keys="{{ arrived(triggering_asset_events, params)[ti.map_index].keys | list | tojson }}",
        bot_type="{{ params.bot_type }}",
        deferrable=True,
    ).expand(bucket=buckets())
    wait = DescribeImagesSensor(task_id="wait", batch=submit.output, deferrable=True, outlets=[prompts])
    submit >> wait
