"""docker-compose.yml at work: each service's own command, environment and health check, as processes of this machine.

Postgres, Redis and the store are stand-ins with the services' own settings; all else is what the containers run. It is
one test, since it needs a whole deployment, and pytest-xdist would give each of its tests one of their own.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import boto3
import httpx
import psycopg2  # type: ignore[import-untyped]
import pytest

from tests.support.compose.mapping import Places
from tests.support.compose.rest import Rest
from tests.support.compose.running import ComposeRun
from tests.support.compose.stand_ins import need_binaries
from tests.support.deployment.components import Keeper
from tests.support.images import jpeg

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.core

DAG = "describe_images"
WORKERS = ("worker-1", "worker-2")
SAMPLES = 12

#: What can be wrong in ``.env``, and what is to be said of it.
MISTAKES = (
    ("POSTGRES_PASSWORD", "another", "Its volume was made with another .env"),
    ("MIDJOURNEY_KEY", "another", "Check MIDJOURNEY_URL, MIDJOURNEY_KEY"),
    ("MIDJOURNEY_EXTRA", "{not json", "MIDJOURNEY_EXTRA must be a JSON object"),
    ("MIDJOURNEY_EXTRA", json.dumps({"prize": 1}), "unknown extra prize"),
)


@pytest.fixture
def compose(tmp_path: Path, env_file: Path, installed_wheel: Path) -> Iterator[ComposeRun]:
    need_binaries()
    with Keeper() as keeper:
        run = ComposeRun(keeper, Places(tmp_path), installed_wheel, env_file)
        run.up(*WORKERS)
        yield run


@pytest.mark.timeout(900)
def test_up_describe_stop_and_what_can_be_wrong(compose: ComposeRun) -> None:
    every_service_is_healthy_by_its_own_check(compose)
    api = Rest(compose.places.url("airflow-apiserver"), "admin", compose.values["ADMIN_PASSWORD"])
    the_sample_images_are_described_and_each_is_billed_once(compose, api)
    a_stopped_worker_finishes_its_posts_and_another_goes_on(compose, api)
    init_again_changes_nothing_and_does_not_wait_for_the_service(compose)
    for name, value, advice in MISTAKES:
        what_is_wrong_in_env_is_said_once_and_clearly(compose, name, value, advice)


def rows(compose: ComposeRun, prefix: str) -> list[tuple[Any, ...]]:
    """Read the metadata table with the login of the connection."""
    connection = psycopg2.connect(
        host="127.0.0.1",
        port=compose.places.ports["postgres"],
        user="image_prompts",
        password=compose.values["IMAGE_PROMPTS_DB_PASSWORD"],
        dbname="image_prompts",
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT key, status, prompt_4 IS NOT NULL FROM image_prompts WHERE key LIKE %s", (f"{prefix}%",))
        found: list[tuple[Any, ...]] = cursor.fetchall()
    connection.close()
    return found


def simulator(compose: ComposeRun, **settings: Any) -> dict[str, Any]:
    """Change settings of the simulator, and give its counters."""
    root = f"{compose.places.url('simulator')}/_simulator"
    with httpx.Client(trust_env=False, timeout=60) as client:
        if settings:
            client.post(f"{root}/settings", json=settings).raise_for_status()
        return dict(client.get(f"{root}/counters").raise_for_status().json())


def run(compose: ComposeRun, api: Rest, run_id: str, prefix: str) -> None:
    api.unpause(DAG)
    api.trigger(DAG, run_id, {"bucket": "photos", "prefix": prefix})


def every_service_is_healthy_by_its_own_check(compose: ComposeRun) -> None:
    for name in ("airflow-apiserver", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"):
        compose.wait_until_healthy(name, name)
    for worker in WORKERS:
        compose.wait_until_healthy("airflow-worker", worker)


def the_sample_images_are_described_and_each_is_billed_once(compose: ComposeRun, api: Rest) -> None:
    simulator(compose, latency=0.5)

    run(compose, api, "samples", "demo/")

    assert api.wait_for_run(DAG, "samples") == "success"
    assert sorted({(status, has_prompts) for _, status, has_prompts in rows(compose, "demo/")}) == [("succeeded", True)]
    counters = simulator(compose)
    assert (len(rows(compose, "demo/")), counters["billed"]) == (SAMPLES, SAMPLES)
    assert sorted(image["billed"] for image in counters["images"].values()) == [1] * SAMPLES


def a_stopped_worker_finishes_its_posts_and_another_goes_on(compose: ComposeRun, api: Rest) -> None:
    put_photos(compose, "stop/", 30)
    before = simulator(compose, latency=2.0)["billed"]
    run(compose, api, "stopped", "stop/")
    while simulator(compose)["billed"] == before:
        time.sleep(0.1)
    (busy,) = [
        worker for worker in WORKERS if "run_id=stopped/task_id=submit" in compose.components[worker].log.read_text()
    ]

    grace = compose.stop(busy)
    compose.components[busy].wait_until_ended(grace)
    assert compose.health("airflow-worker", busy).returncode != 0

    left = Counter(status for _, status, _ in rows(compose, "stop/"))
    sent = left["submitted"] + left["succeeded"]
    assert sent + left["pending"] == left.total() == 30
    assert left["pending"]
    assert simulator(compose)["billed"] == before + sent
    api.wait_for_task(DAG, "stopped", "submit", "up_for_retry")

    run(compose, api, "after-the-stop", "stop/")

    assert api.wait_for_run(DAG, "after-the-stop") == "success"
    counters = simulator(compose)
    assert counters["billed"] == before + 30
    assert {image["billed"] for image in counters["images"].values()} == {1}


def init_again_changes_nothing_and_does_not_wait_for_the_service(compose: ComposeRun) -> None:
    away = compose.values | {"MIDJOURNEY_URL": "http://127.0.0.1:9"}

    said = compose.run_once("airflow-init", away).stdout

    assert "WARNING: the describe service does not answer now" in said
    assert "admin already exist" in said
    assert "all is ready" in said


def what_is_wrong_in_env_is_said_once_and_clearly(compose: ComposeRun, name: str, value: str, advice: str) -> None:
    said = compose.run_once("airflow-init", compose.values | {name: value}, expect=1).stdout

    told = [line for line in said.splitlines() if "STOPPED" in line]
    assert len(told) == 1
    assert advice in told[0]
    assert "Traceback" not in said
    assert not [secret for secret in compose.values.values() if len(secret) > 16 and secret in told[0]]


def put_photos(compose: ComposeRun, prefix: str, number: int) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=compose.places.url("s3"),
        aws_access_key_id=compose.values["S3_ACCESS_KEY"],
        aws_secret_access_key=compose.values["S3_SECRET_KEY"],
        region_name="us-east-1",
    )
    for index in range(number):
        client.put_object(Bucket="photos", Key=f"{prefix}{index:03}.jpg", Body=jpeg(index))
