"""Looking connections up while Airflow's API, or a secrets backend, gives no answer."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from airflow.sdk import BaseHook
from airflow.sdk.api.client import ConnectionOperations, ServerResponseError
from airflow.sdk.exceptions import AirflowFailException

from airflow_midjourney.hooks.images import open_s3
from airflow_midjourney.hooks.lookup import ConnectionUnansweredError
from airflow_midjourney.hooks.midjourney import MidjourneyHook
from airflow_midjourney.triggers import describe as triggers
from airflow_midjourney.triggers.describe import BatchTrigger
from tests.support import airflow_connections as connections
from tests.support.airflow_runs import Troubles, run_dag, submit_and_wait

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace


@pytest.mark.parametrize("missing", ["MIDJOURNEY_DEFAULT", "AWS_DEFAULT", "IMAGE_PROMPTS_DB"])
def test_a_look_up_that_airflows_api_answers_with_500_is_retried(
    missing: str,
    bucket: str,
    simulator: RunningSimulator,
    sqlite_place: MetadataPlace,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    s3_url: str,
) -> None:
    connect(simulator, sqlite_place)
    put_photos("in/", 2)
    monkeypatch.delenv(f"AIRFLOW_CONN_{missing}")
    monkeypatch.setattr(ConnectionOperations, "get", _server_error)
    seen = Troubles(before_retry=lambda _task_id: connect(simulator, sqlite_place))

    run = run_dag(submit_and_wait({"bucket": bucket, "prefix": "in/"}, troubles=seen, retries=1))

    (error,) = seen.retried
    assert f"could not look up connection '{missing.lower()}'" in str(error)
    assert "Airflow's API" in str(error)
    assert not isinstance(error, AirflowFailException)
    assert (run.state, run.tries_of("submit")) == ("success", 2)
    assert simulator.counters()["billed"] == 2


def _server_error(_operations: ConnectionOperations, _conn_id: str) -> Any:
    request = httpx.Request("GET", "http://api/connections/x")
    raise ServerResponseError("Server returned error", request=request, response=httpx.Response(500, json={}))


class VaultThatIsDown:
    """A secrets backend that cannot be reached."""

    def get_connection(self, conn_id: str) -> None:
        raise ConnectionError("vault.example: no route to host")


def test_a_secrets_backend_that_cannot_be_reached_is_not_a_missing_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "airflow.sdk.execution_time.supervisor.ensure_secrets_backend_loaded", lambda: [VaultThatIsDown()]
    )

    with pytest.raises(ConnectionUnansweredError, match=r"VaultThatIsDown \(ConnectionError\)") as caught:
        MidjourneyHook().connection()

    assert caught.value.retry_helps


def test_s3_is_not_opened_with_this_machines_credentials_after_a_second_look_up_fails(
    monkeypatch: pytest.MonkeyPatch, s3_url: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", connections.aws(s3_url))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-this-machine")
    get_connection = BaseHook.get_connection
    asked: list[str] = []

    def once(_hook: type[BaseHook], conn_id: str) -> Any:
        asked.append(conn_id)
        return get_connection(conn_id if len(asked) == 1 else "no_longer_there")

    monkeypatch.setattr(BaseHook, "get_connection", classmethod(once))

    client = open_s3("aws_default")

    assert client.meta.endpoint_url == s3_url


def test_a_triggerer_ends_while_a_look_up_still_waits_for_airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triggers, "FIRST_LOOK_AFTER", 0.0)
    asked, answered = threading.Event(), threading.Event()

    def hanging(_hook: type[BaseHook], _conn_id: str) -> Any:
        asked.set()
        answered.wait()

    monkeypatch.setattr(BaseHook, "get_connection", classmethod(hanging))

    async def triggerer() -> None:
        trigger = BatchTrigger(batch_ids=["d/t/r"], db_conn_id="image_prompts_db", until="ended")
        running = asyncio.create_task(anext(trigger.run()))  # type: ignore[arg-type]
        while not asked.is_set():
            await asyncio.sleep(0.01)
        running.cancel()

    ending = threading.Thread(target=lambda: asyncio.run(triggerer()), daemon=True)
    ending.start()
    try:
        ending.join(60)
        assert not ending.is_alive()
    finally:
        answered.set()
