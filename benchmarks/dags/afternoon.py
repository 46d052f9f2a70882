"""The same job as an afternoon's work: one task, httpx, a semaphore, and an INSERT for each answer.

Written to do well: what has its row is left out when Airflow runs the task again. What was on its way when it was
killed is submitted and paid for once more: only the process knew of it.
"""

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, Param, task

if TYPE_CHECKING:
    import httpx
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook
    from airflow.providers.postgres.hooks.postgres import PostgresHook

AT_ONCE = 12
POLL_INTERVAL = 1.0

#: Answers that mean "taken": submitted, and queued at the service.
TAKEN = (1, 22)

TABLE = "CREATE TABLE IF NOT EXISTS prompts_of_an_afternoon (image_key text PRIMARY KEY, prompts text NOT NULL)"
DONE = "SELECT image_key FROM prompts_of_an_afternoon"
INSERT = "INSERT INTO prompts_of_an_afternoon VALUES (%s, %s) ON CONFLICT DO NOTHING"


@task
def describe_all(params: dict[str, Any]) -> int:
    """Describe all images under the prefix."""
    return asyncio.run(_describe_all(params["prefix"]))


async def _describe_all(prefix: str) -> int:
    import httpx
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook
    from airflow.providers.postgres.hooks.postgres import PostgresHook
    from airflow.sdk import BaseHook

    s3, postgres = S3Hook(), PostgresHook("image_prompts_db")
    connection = BaseHook.get_connection("describe_service")
    postgres.run(TABLE)
    done = {row[0] for row in postgres.get_records(DONE)}
    keys = [key for key in s3.list_keys("photos", prefix=prefix) or [] if key not in done]
    gate = asyncio.Semaphore(AT_ONCE)
    root = f"http://{connection.host}:{connection.port}"
    async with httpx.AsyncClient(base_url=root, headers=connection.extra_dejson, timeout=30) as client:
        await asyncio.gather(*(_describe(key, gate, client, s3, postgres) for key in keys))
    return len(keys)


async def _describe(
    key: str, gate: asyncio.Semaphore, client: httpx.AsyncClient, s3: S3Hook, postgres: PostgresHook
) -> None:
    async with gate:
        content = await asyncio.to_thread(lambda: s3.get_key(key, "photos").get()["Body"].read())
        body = {"base64": f"data:image/jpeg;base64,{base64.b64encode(content).decode()}"}
        while (taken := (await client.post("/mj/submit/describe", json=body)).json())["code"] not in TAKEN:
            await asyncio.sleep(POLL_INTERVAL)
        while True:
            await asyncio.sleep(POLL_INTERVAL)
            found = (await client.get(f"/mj/task/{taken['result']}/fetch")).json()
            if found["status"] == "SUCCESS":
                break
            if found["status"] == "FAILURE":
                raise ValueError(f"{key}: {found['failReason']}")
    await asyncio.to_thread(postgres.run, INSERT, parameters=(key, found["prompt"]))


with DAG(
    dag_id="afternoon",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    is_paused_upon_creation=False,
    default_args={"retries": 3, "retry_delay": timedelta(seconds=2)},
    params={"prefix": Param("in/", type="string")},
) as dag:
    describe_all()
