"""The same job of stock parts: HttpOperator and HttpSensor, mapped over the images, and an INSERT at the end.

Written to do well: an image's two tasks form a mapped group, so that no image waits for another; a full queue, which
the service says with HTTP 200, is told from success and tried again; the sensor hands on the answer that it has seen.
``deferrable=True`` would not help: with a ``response_check``, the sensor ignores it and keeps its worker.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.http.operators.http import HttpOperator
from airflow.providers.http.sensors.http import HttpSensor
from airflow.sdk import DAG, Param, PokeReturnValue, task, task_group

if TYPE_CHECKING:
    from requests import Response

#: Answers that mean "taken": submitted, and queued at the service.
TAKEN = (1, 22)

TABLE = "CREATE TABLE IF NOT EXISTS prompts_by_stock_parts (image_key text PRIMARY KEY, prompts text NOT NULL)"


def was_taken(response: Response) -> bool:
    """Say whether the service took the image; a full queue is a code in a successful answer."""
    return response.json()["code"] in TAKEN


def task_id_of(response: Response) -> str:
    """Give the id of the service's task."""
    return str(response.json()["result"])


def has_ended(response: Response) -> PokeReturnValue:
    """Say whether the service's task has ended, and hand on its answer."""
    found = response.json()
    if found["status"] == "FAILURE":
        raise ValueError(f"{found['id']}: {found['failReason']}")
    answer = {"image_key": found["state"], "prompts": found["prompt"]}
    return PokeReturnValue(found["status"] == "SUCCESS", answer)


@task
def list_images(params: dict[str, Any]) -> list[str]:
    """Read the images and give what is to be posted for each."""
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    hook = S3Hook()
    bodies = []
    for key in hook.list_keys("photos", prefix=params["prefix"]) or []:
        content = base64.b64encode(hook.get_key(key, "photos").get()["Body"].read()).decode()
        bodies.append(json.dumps({"base64": f"data:image/jpeg;base64,{content}", "state": key}))
    return bodies


@task_group
def describe(body: str) -> Any:
    """Submit one image and wait for its prompts."""
    submit = HttpOperator(
        task_id="submit",
        http_conn_id="describe_service",
        endpoint="mj/submit/describe",
        data=body,
        response_check=was_taken,
        response_filter=task_id_of,
        retries=50,
    )
    wait = HttpSensor(
        task_id="wait",
        http_conn_id="describe_service",
        method="GET",
        endpoint="mj/task/{{ ti.xcom_pull('describe.submit', map_indexes=ti.map_index) }}/fetch",
        response_check=has_ended,
        mode="reschedule",
        poke_interval=5,
    )
    submit >> wait
    return wait.output


@task
def save(answers: list[dict[str, str]]) -> None:
    """Write all answers."""
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    hook = PostgresHook("image_prompts_db")
    hook.run(TABLE)
    rows = [(answer["image_key"], answer["prompts"]) for answer in answers]
    hook.insert_rows(
        "prompts_by_stock_parts", rows, ["image_key", "prompts"], replace=True, replace_index=["image_key"]
    )


with DAG(
    dag_id="stock_parts",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    is_paused_upon_creation=False,
    default_args={"retries": 3, "retry_delay": timedelta(seconds=2)},
    params={"prefix": Param("in/", type="string")},
) as dag:
    save(describe.expand(body=list_images()))
