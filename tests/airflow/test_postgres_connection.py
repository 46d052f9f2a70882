"""The metadata database is reached as ``PostgresHook`` reaches it: its driver, every extra, a login of a cloud."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

from airflow_midjourney.describe.model.errors import SettingsError, TableError
from airflow_midjourney.hooks.image_prompts import view_metadata

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.postgres import RunningPostgres

CASE = json.loads((Path(__file__).parents[1] / "fixtures" / "cases" / "db01_ssl_extras.json").read_text())


class _StopHereError(Exception):
    """The driver is not to connect."""


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Give what the driver would be asked to connect with, for a connection."""

    def dial(times: int = 1, **connection: Any) -> dict[str, Any]:
        monkeypatch.setenv("AIRFLOW_CONN_IMAGE_PROMPTS_DB", json.dumps({"conn_type": "postgres", **connection}))
        database = view_metadata()
        seen: list[dict[str, Any]] = []

        @event.listens_for(database.engine, "do_connect")
        def stop(dialect: Any, _record: Any, _arguments: Any, named: dict[str, Any]) -> None:
            seen.append({**named, "driver": dialect.driver})
            raise _StopHereError

        for _ in range(times):
            with pytest.raises(_StopHereError):
                database.engine.connect()
        database.close()
        return seen[-1]

    return dial


def test_tls_of_the_connection_reaches_the_driver(dialled: Callable[..., dict[str, Any]]) -> None:
    asked = dialled(**CASE)

    assert (asked["sslmode"], asked["sslrootcert"]) == ("verify-full", "/etc/ssl/ca.pem")
    assert (asked["host"], asked["user"], asked["password"], asked["dbname"]) == (
        "db",
        "prompts",
        "p@ss/w%rd",
        "prompts",
    )


def test_airflows_own_extras_stay_with_airflow(dialled: Callable[..., dict[str, Any]]) -> None:
    asked = dialled(host="db", extra={"cursor": "dictcursor", "connect_timeout": 3, "keepalives_idle": 30})

    assert (asked["connect_timeout"], asked["keepalives_idle"]) == (3, 30)
    assert "cursor" not in asked


@pytest.mark.parametrize("host", ["::1", "/var/run/postgresql", "one.example,two.example"])
def test_hosts_of_every_kind(dialled: Callable[..., dict[str, Any]], host: str) -> None:
    assert dialled(host=host, extra={"target_session_attrs": "read-write"})["host"] == host


def test_psycopg_prepares_nothing_and_speaks_utf8(dialled: Callable[..., dict[str, Any]]) -> None:
    third = dialled(host="db", extra={"client_encoding": "LATIN1", "prepare_threshold": 1})

    assert (third["driver"], third["prepare_threshold"], third["client_encoding"]) == ("psycopg", None, "UTF8")


@pytest.mark.usefixtures("_driver_can_be_chosen")
def test_psycopg2_speaks_utf8_too(dialled: Callable[..., dict[str, Any]]) -> None:
    second = dialled(host="db", extra={"sqlalchemy_scheme": "postgresql+psycopg2"})

    assert (second["driver"], second["client_encoding"]) == ("psycopg2", "UTF8")
    assert "prepare_threshold" not in second


def test_a_login_of_a_cloud_is_renewed_for_each_connection(
    dialled: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = iter(range(10))
    monkeypatch.setattr(
        "airflow.providers.postgres.hooks.postgres.PostgresHook.get_iam_token",
        lambda _self, connection: (connection.login, f"word-{next(given)}", 5432),
    )

    first = dialled(host="db", login="me", extra={"iam": True})["password"]
    third = dialled(times=3, host="db", login="me", extra={"iam": True})["password"]

    assert int(third.removeprefix("word-")) - int(first.removeprefix("word-")) >= 3


@pytest.mark.parametrize("scheme", ["postgresql+asyncpg", "postgresql+pg8000", "mysql"])
@pytest.mark.usefixtures("_driver_can_be_chosen")
def test_other_drivers_are_refused(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    connection = {"conn_type": "postgres", "host": "db", "extra": {"sqlalchemy_scheme": scheme}}
    monkeypatch.setenv("AIRFLOW_CONN_IMAGE_PROMPTS_DB", json.dumps(connection))

    with pytest.raises(TableError, match="image_prompts_db"):
        view_metadata()


def test_an_extra_that_libpq_does_not_know_is_named(
    postgres_server: RunningPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = {"conn_type": "postgres", "login": "postgres", "host": str(postgres_server.sockets)}
    extra = {"extra": {"no_such_option": "1"}}
    monkeypatch.setenv("AIRFLOW_CONN_IMAGE_PROMPTS_DB", json.dumps(connection | extra))
    database = view_metadata()

    with pytest.raises(TableError, match=r"invalid .*option.*no_such_option.*connection's extra"):
        database.read_here(lambda _tx: None)
    database.close()


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2", "postgresql+psycopg"])
def test_a_uri_of_sqlalchemy_is_a_connection(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_IMAGE_PROMPTS_DB", f"{scheme}://u:p%40%3A%2F%25@db.example:5433/prompts")
    database = view_metadata()
    assert database.engine.url.host == "db.example"
    assert database.engine.url.password == "p@:/%"
    assert database.engine.url.database == "prompts"
    database.close()


def test_a_password_that_breaks_its_uri_is_an_error_that_says_how_it_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_IMAGE_PROMPTS_DB", "postgres://u:hunter/2+@db.example/prompts")
    with pytest.raises(SettingsError, match="%2F") as caught:
        view_metadata()
    assert "hunter" not in str(caught.value)
    assert not caught.value.retry_helps


@pytest.mark.parametrize("host", ["", ":memory:", "prompts.db", "./prompts.db", "file:prompts.db"])
def test_a_table_that_each_process_would_have_for_itself_is_refused(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_IMAGE_PROMPTS_DB", json.dumps({"conn_type": "sqlite", "host": host}))
    with pytest.raises(TableError, match="pay for each image again"):
        view_metadata()
