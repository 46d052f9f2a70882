"""Bad surroundings: one error that names the connection and the cure, a retry only where one can help."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from sqlalchemy import create_engine, inspect, text

from tests.support import airflow_connections as connections
from tests.support.airflow_runs import Troubles, run_dag, submit_and_wait

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace

MIDJOURNEY, AWS, DATABASE = (
    "AIRFLOW_CONN_MIDJOURNEY_DEFAULT",
    "AIRFLOW_CONN_AWS_DEFAULT",
    "AIRFLOW_CONN_IMAGE_PROMPTS_DB",
)
NOWHERE = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Trouble:
    """Something that is wrong.

    :param says: what the error has to say.
    :param connection: the variable to change, and to what; None to have none.
    """

    says: tuple[str, ...]
    connection: tuple[str, str | None] | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    retry_helps: bool = False


TROUBLES = {
    "no midjourney connection": Trouble(
        ("no connection 'midjourney_default'", "AIRFLOW_CONN_MIDJOURNEY_DEFAULT", "API key"), (MIDJOURNEY, None)
    ),
    "no aws connection": Trouble(
        ("no connection 'aws_default'", "AIRFLOW_CONN_AWS_DEFAULT", "aws_conn_id=None"), (AWS, None)
    ),
    "no database connection": Trouble(
        ("no connection 'image_prompts_db'", "AIRFLOW_CONN_IMAGE_PROMPTS_DB", "postgres"), (DATABASE, None)
    ),
    "unsupported database": Trouble(
        ("'image_prompts_db' has type 'mysql'", "needs postgres, or sqlite"),
        (DATABASE, json.dumps({"conn_type": "mysql", "host": "127.0.0.1"})),
    ),
    "unreachable database": Trouble(
        ("'image_prompts_db'", "Connection refused", "Check the connection's host"),
        (DATABASE, json.dumps({"conn_type": "postgres", "host": "127.0.0.1", "port": 9, "login": "a", "schema": "b"})),
        retry_helps=True,
    ),
    "unreachable service": Trouble(
        ("'midjourney_default'", "Check host and port", "the triggerer need to reach it"),
        (MIDJOURNEY, connections.midjourney(NOWHERE)),
        retry_helps=True,
    ),
    "no host": Trouble(("'midjourney_default' has no host",), (MIDJOURNEY, json.dumps({"conn_type": "midjourney"}))),
    "wrong extra": Trouble(
        ("'midjourney_default'", "unknown extra max_inflight", "max_in_flight"),
        (MIDJOURNEY, connections.midjourney(NOWHERE, max_inflight=3)),
    ),
    "unreachable storage": Trouble(
        ("'aws_default'", "endpoint_url"), (AWS, connections.aws(NOWHERE)), retry_helps=True
    ),
    "unknown bucket": Trouble(
        ("'no-such-bucket' does not exist", "'aws_default'"), arguments={"bucket": "no-such-bucket"}
    ),
}


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
def test_what_is_wrong_is_said_once_with_its_cure(
    trouble: Trouble,
    bucket: str,
    simulator: RunningSimulator,
    sqlite_place: MetadataPlace,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    quick_storage: None,
) -> None:
    connect(simulator, sqlite_place)
    put_photos("in/", 2)
    _set(monkeypatch, trouble.connection)
    seen = Troubles()

    run = run_dag(submit_and_wait({"bucket": bucket, "prefix": "in/", **trouble.arguments}, troubles=seen, retries=1))

    error = seen.failed[0]
    assert [part for part in trouble.says if part not in str(error)] == []
    assert error.__cause__ is None
    assert error.__suppress_context__
    assert (run.state_of("submit"), run.tries_of("submit")) == ("failed", 2 if trouble.retry_helps else 1)
    assert isinstance(error, AirflowFailException) is not trouble.retry_helps
    assert simulator.counters()["billed"] == 0
    assert submissions_in(sqlite_place) == 0


def test_a_retry_helps_when_the_service_is_back(
    bucket: str,
    simulator: RunningSimulator,
    sqlite_place: MetadataPlace,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect(simulator, sqlite_place)
    put_photos("in/", 2)
    good = connections.midjourney(simulator.url)
    monkeypatch.setenv(MIDJOURNEY, connections.midjourney(NOWHERE))
    troubles = Troubles(before_retry=lambda task_id: monkeypatch.setenv(MIDJOURNEY, good))

    run = run_dag(submit_and_wait({"bucket": bucket, "prefix": "in/"}, troubles=troubles, retries=1))

    assert (run.state, run.tries_of("submit")) == ("success", 2)
    assert simulator.counters()["billed"] == 2


@pytest.mark.parametrize("dialect", ["novicezk", "trueai", "new-api"])
def test_a_wrong_key_pays_for_nothing_and_leaves_the_images_pending(
    dialect: str,
    bucket: str,
    simulate: Callable[..., RunningSimulator],
    sqlite_place: MetadataPlace,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
) -> None:
    simulator = simulate(dialect=dialect, key="the-right-key")
    connect(simulator, sqlite_place, key="another-key")
    put_photos("in/", 2)
    troubles = Troubles()

    run = run_dag(submit_and_wait({"bucket": bucket, "prefix": "in/"}, troubles=troubles, retries=2))

    assert (run.state_of("submit"), run.tries_of("submit"), run.state_of("wait")) == ("failed", 1, "upstream_failed")
    message = str(troubles.failed[0])
    assert "Connection 'midjourney_default'" in message
    assert "HTTP 401" in message
    assert "API key in the password field" in message
    assert "the extra 'auth' may be 'secret'" in message
    assert "another-key" not in message
    assert simulator.counters()["accepted"] == 0
    assert submissions_in(sqlite_place) == 0
    assert statuses_in(sqlite_place) == ["pending", "pending"]


def _set(monkeypatch: pytest.MonkeyPatch, connection: tuple[str, str | None] | None) -> None:
    if connection is None:
        return
    name, value = connection
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)


def submissions_in(place: MetadataPlace) -> int:
    engine = create_engine(place.url)
    with engine.connect() as connection:
        if not inspect(connection).has_table("image_prompts_submissions"):
            return 0
        return int(connection.execute(text("SELECT count(*) FROM image_prompts_submissions")).scalar_one())


def statuses_in(place: MetadataPlace) -> list[str]:
    with create_engine(place.url).connect() as connection:
        return list(connection.execute(text("SELECT status FROM image_prompts")).scalars())
