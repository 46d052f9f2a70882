"""The service's connection: every way in which Airflow keeps one, its extras, and the test button."""

from __future__ import annotations

import json
import threading
import time
import uuid
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from airflow.sdk import Connection
from sqlalchemy import create_engine, inspect

from airflow_midjourney.describe.model.errors import SettingsError
from airflow_midjourney.hooks.connection_extra import read_extra
from airflow_midjourney.hooks.midjourney import MidjourneyHook
from tests.support import airflow_connections as connections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.testclient import TestClient

    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace

VARIABLE = "AIRFLOW_CONN_MIDJOURNEY_DEFAULT"

FORMS = {
    "JSON": json.dumps(
        {
            "conn_type": "midjourney",
            "host": "https://api.example.com/mj",
            "password": "the-key",
            "extra": {"auth": "secret", "timeout": 30},
        }
    ),
    "JSON with the extra as text": json.dumps(
        {
            "conn_type": "midjourney",
            "host": "api.example.com",
            "schema": "https",
            "password": "the-key",
            "extra": '{"auth": "secret", "timeout": "30"}',
        }
    ),
    "URI": "midjourney://:the-key@https%3A%2F%2Fapi.example.com%2Fmj?auth=secret&timeout=30",
    "URI of a bare name": "midjourney://:the-key@api.example.com/https?auth=secret&timeout=30",
    "URI with a port": "midjourney://:the-key@api.example.com:443/mj?auth=secret&timeout=30",
}


@pytest.mark.parametrize("value", FORMS.values(), ids=FORMS)
def test_every_form_of_a_connection_means_the_same(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, value)

    service = MidjourneyHook().service()

    assert (service.name, service.base_url) == ("midjourney_default", "https://api.example.com/mj")
    assert (service.key, service.auth, service.timeout) == ("the-key", "secret", 30.0)


def test_a_connection_written_by_airflow_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = Connection(
        conn_id="midjourney_default",
        conn_type="midjourney",
        host="http://midjourney:8080/mj-fast",
        password="pa/ss:w@rd%",
        extra=json.dumps({"allowed_uris": ["s3://photos/*"], "verify": False}),
    )
    monkeypatch.setenv(VARIABLE, stored.get_uri())
    hook = MidjourneyHook()

    assert hook.service().base_url == "http://midjourney:8080/mj-fast/mj"
    assert hook.service().key == "pa/ss:w@rd%"
    assert hook.extra().allowed_uris == ("s3://photos/*",)
    assert hook.extra().verify is False


def test_caps_and_money_reach_the_account(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {
        "account": "ours",
        "max_in_flight": 3,
        "max_submissions_per_day": 100,
        "max_cost_per_day": "5.5",
        "price": 0.05,
        "currency": "USD",
        "task_timeout": 600,
        "submit_window": "22:00-06:00 Europe/Berlin",
    }
    monkeypatch.setenv(VARIABLE, connections.midjourney("https://api.example.com", "the-key", **extra))
    monkeypatch.setenv("AIRFLOW__MIDJOURNEY__POLL_INTERVAL", "7")

    account = MidjourneyHook().account()

    assert account.identity == "https://api.example.com:443#ours"
    assert (account.max_in_flight, account.price, account.currency) == (3, Decimal("0.05"), "USD")
    assert (account.max_submissions_per_day, account.max_cost_per_day) == (100, Decimal("5.5"))
    assert str(account.submit_window) == "22:00-06:00 Europe/Berlin"
    assert (account.task_timeout, account.submit_deadline, account.poll_interval) == (600.0, 10.0, 7.0)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"max_inflight": 1}, "unknown extra max_inflight. Known are: auth, account"),
        ({"auth": "basic"}, "auth must be one of bearer, secret, token"),
        ({"account": 7}, "account must be text"),
        ({"max_in_flight": 0}, "max_in_flight must be a whole number of at least 1"),
        ({"max_in_flight": 1.5}, "max_in_flight must be a whole number"),
        ({"max_in_flight": True}, "max_in_flight must be a number"),
        ({"price": "cheap"}, "price must be a number"),
        ({"price": -1}, "price must not be negative"),
        ({"price": "NaN"}, "price must be a number"),
        ({"timeout": 0}, "timeout must be a number of seconds above 0"),
        ({"max_cost_per_day": 5}, "max_cost_per_day needs a price"),
        ({"allowed_uris": [1]}, "allowed_uris must be a list of patterns"),
        ({"allowed_uris": {"a": 1}}, "allowed_uris must be a list of patterns"),
        ({"verify": 1}, "verify must be text"),
        ({"submit_window": "22:00-06:00"}, "extra submit_window names no time zone"),
        ({"submit_window": "22-6 Europe/Berlin"}, "Write it as 22:00-06:00 Europe/Berlin"),
        ({"submit_window": 22}, "submit_window must be text"),
        ({"price": "1e400"}, "price must be at most 1000000000"),
        ({"max_in_flight": 10**30}, "max_in_flight must be at most 1000000000"),
        ({"timeout": 1e308}, "timeout must be at most 1000000000"),
        ({"price": "0,05"}, "price must be a number, not '0,05'"),
        ({"account": "a\nb"}, "account must be one line of text"),
    ],
)
def test_an_extra_that_makes_no_sense_is_refused_by_name(extra: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_extra(extra, "my_service")

    assert "'my_service'" in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize("written", ["Bearer", "BEARER", " bearer "])
def test_the_way_of_the_key_may_be_written_in_any_case(written: str) -> None:
    assert read_extra({"auth": written}, "my_service") == read_extra({}, "my_service")


def _described(monkeypatch: pytest.MonkeyPatch, **connection: Any) -> MidjourneyHook:
    given = {"conn_type": "midjourney", "host": "api.example.com", "password": "the-key"} | connection
    monkeypatch.setenv(VARIABLE, json.dumps(given))
    return MidjourneyHook()


@pytest.mark.parametrize("password", ["the-key\n", " the-key ", "\tthe-key\r\n"])
def test_white_space_around_a_key_makes_no_other_account(password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = _described(monkeypatch).account().identity
    hook = _described(monkeypatch, password=password)

    assert hook.account().identity == plain
    assert hook.service().key == "the-key"


@pytest.mark.parametrize("password", ["Bearer k", '"k"', "'k'", "${MJ_KEY}", "<your key>", "{{ var.value.k }}", "a b"])
def test_what_is_no_bare_key_is_refused_and_not_quoted(password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="bare API key") as caught:
        _described(monkeypatch, password=password).get_conn()
    assert password not in str(caught.value)


def test_a_key_in_the_login_is_said_to_be_in_the_wrong_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "midjourney://the-key@api.example.com/mj")
    with pytest.raises(SettingsError, match="belongs into the password") as caught:
        MidjourneyHook().service()
    assert "the-key" not in str(caught.value)


@pytest.mark.parametrize("written", ["null", "", "  ", "{}", '"{}"'])
def test_an_extra_of_nothing_is_none(written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _described(monkeypatch, extra=written).extra() == read_extra({}, "")


def test_an_extra_that_was_written_as_text_twice_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = json.dumps(json.dumps({"max_submissions_per_day": 5}))
    assert _described(monkeypatch, extra=twice).extra().max_submissions_per_day == 5


@pytest.mark.parametrize("written", ["{'max_in_flight': 3}", "max_in_flight=3", "[]", "5", '{"price": 1', '"x"'])
def test_an_extra_that_cannot_be_read_is_never_taken_for_an_empty_one(
    written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingsError, match="JSON object"):
        _described(monkeypatch, extra=written).extra()


def test_fields_left_empty_in_the_form_take_their_defaults() -> None:
    empty = dict.fromkeys(("auth", "max_in_flight", "price", "timeout", "verify", "allowed_uris"))

    assert read_extra(empty, "my_service") == read_extra(dict.fromkeys(empty, ""), "my_service")
    assert read_extra(empty, "my_service") == read_extra({}, "my_service")


def test_patterns_may_be_a_list_or_one_text() -> None:
    as_text = read_extra({"allowed_uris": "s3://a/*, s3://b/c*\n"}, "my_service")

    assert as_text.allowed_uris == read_extra({"allowed_uris": ["s3://a/*", "s3://b/c*"]}, "").allowed_uris


def test_the_test_button_says_that_the_key_may_read(
    simulate: Callable[..., RunningSimulator], monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator = simulate(key="the-key")
    monkeypatch.setenv(VARIABLE, connections.midjourney(simulator.url, "the-key"))

    worked, message = MidjourneyHook().test_connection()

    assert worked
    assert "lets this key read" in message
    assert simulator.counters()["accepted"] == 0


def test_the_test_button_says_what_is_wrong(
    simulate: Callable[..., RunningSimulator], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, connections.midjourney(simulate(key="the-key").url, "wr0ng-key"))

    worked, message = MidjourneyHook().test_connection()

    assert not worked
    assert message.startswith("This connection: the service answers HTTP 401")
    assert "Check the API key in the password field" in message
    assert "wr0ng-key" not in message


def test_the_test_button_says_how_hours_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, connections.midjourney("https://api.example.com", submit_window="at night"))

    worked, message = MidjourneyHook().test_connection()

    assert not worked
    assert message.startswith("This connection: extra submit_window")
    assert "Write it as 22:00-06:00 Europe/Berlin" in message


def test_the_test_button_says_that_there_is_no_connection() -> None:
    worked, message = MidjourneyHook("elsewhere").test_connection()

    assert not worked
    assert "AIRFLOW_CONN_ELSEWHERE" in message


@pytest.fixture
def web_site() -> Iterator[str]:
    """Something that answers everything with a web page."""

    async def page(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": b"<!doctype html><html><body>Welcome</body></html>"})

    server = uvicorn.Server(uvicorn.Config(page, host="127.0.0.1", port=0, lifespan="off", log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


def test_the_test_button_tells_a_web_page_from_the_service(web_site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, connections.midjourney(web_site, "the-key"))

    worked, message = MidjourneyHook().test_connection()

    assert not worked
    assert "a web page instead of JSON" in message
    assert "Check the host, and the path before /mj" in message


def test_the_test_button_says_that_nobody_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, connections.midjourney("http://127.0.0.1:9", "the-key"))

    worked, message = MidjourneyHook().test_connection()

    assert not worked
    assert "no answer from http://127.0.0.1:9/mj" in message
    assert "whether this machine may reach it" in message


def test_the_test_button_says_that_there_is_no_metadata_database(
    simulate: Callable[..., RunningSimulator], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, connections.midjourney(simulate(key="the-key").url, "the-key"))
    seen = [MidjourneyHook().test_connection()]
    for broken in (
        {"conn_type": "mysql"},
        {"conn_type": "postgres", "host": "127.0.0.1", "port": 9, "password": "pw-of-db"},
    ):
        monkeypatch.setenv("AIRFLOW_CONN_IMAGE_PROMPTS_DB", json.dumps(broken))
        seen.append(MidjourneyHook().test_connection())

    assert [worked for worked, _ in seen] == [True, False, False]
    for (_, message), said in zip(
        seen, ("no connection 'image_prompts_db'", "has type 'mysql'", "could not be reached"), strict=True
    ):
        assert "lets this key read" in message
        assert said in message
        assert "pw-of-db" not in message


def test_the_test_button_makes_no_tables(
    simulate: Callable[..., RunningSimulator], place: MetadataPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, connections.midjourney(simulate(key="the-key").url, "the-key"))
    monkeypatch.setenv("AIRFLOW_CONN_IMAGE_PROMPTS_DB", connections.metadata(place))

    worked, message = MidjourneyHook().test_connection()

    assert worked
    assert "'image_prompts_db' can be reached" in message
    engine = create_engine(place.url)
    assert not inspect(engine).has_table("image_prompts_meta", schema=place.names.schema)
    engine.dispose()


def test_airflows_api_tests_a_connection_that_is_not_saved_yet(
    simulate: Callable[..., RunningSimulator],
    api: TestClient,
    as_user: Callable[..., dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__TEST_CONNECTION", "Enabled")
    # The provider is not installed here, so Airflow's manager of hooks has to be told of it.
    monkeypatch.setattr("airflow.models.connection.Connection.get_hook", lambda one, **_: MidjourneyHook(one.conn_id))
    url = simulate(key="the-right-key").url

    answers = [
        api.post(
            "/api/v2/connections/test",
            json={"connection_id": "mj", "conn_type": "midjourney", "host": url, "password": key},
            headers=as_user("admin"),
        )
        for key in ("the-right-key", "a-wrong-key")
    ]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert [answer.json()["status"] for answer in answers] == [True, False]
    assert "This connection: the service answers HTTP 401" in answers[1].json()["message"]
    assert not any(key in answer.text for answer in answers for key in ("the-right-key", "a-wrong-key"))


def test_a_worker_tests_a_connection(
    simulate: Callable[..., RunningSimulator], monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor = pytest.importorskip(
        "airflow.sdk.execution_time.connection_test_supervisor", reason="Airflow 3.3 and newer test on workers"
    )
    url, told = simulate(key="the-right-key").url, []
    kept = {"conn_id": "mj", "conn_type": "midjourney", "host": url, "login": None, "schema_": None, "port": None}
    keys = iter(("the-right-key", "a-wrong-key"))

    class ExecutionApi:
        """What the worker asks the API server for."""

        def __init__(self, **_: Any) -> None:
            self.connection_tests = self

        def get_connection(self, _id: Any) -> SimpleNamespace:
            return SimpleNamespace(**kept, password=next(keys), extra=None)

        def update_state(self, _id: Any, state: Any, message: str) -> None:
            told.append((state.value, message))

    monkeypatch.setattr(supervisor, "Client", ExecutionApi)
    monkeypatch.setattr("airflow.sdk.Connection.get_hook", lambda one, **_: MidjourneyHook(one.conn_id))
    for _ in range(2):
        supervisor.supervise_connection_test(
            connection_test_id=uuid.uuid4(), connection_id="mj", timeout=60, token="none", server="http://unused"
        )

    assert [state for state, _ in told] == ["success", "failed"]
    assert "This connection: the service answers HTTP 401" in told[1][1]
    assert not any(key in message for _, message in told for key in ("the-right-key", "a-wrong-key"))
