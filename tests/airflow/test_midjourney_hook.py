"""The service's connection: every way in which Airflow keeps one, its extras, and the test button."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import Connection

from airflow_midjourney.describe.errors import SettingsError
from airflow_midjourney.hooks.connection_extra import read_extra
from airflow_midjourney.hooks.midjourney import MidjourneyHook
from tests.support import airflow_connections as connections

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.serving import RunningSimulator

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
    }
    monkeypatch.setenv(VARIABLE, connections.midjourney("https://api.example.com", "the-key", **extra))
    monkeypatch.setenv("AIRFLOW__MIDJOURNEY__POLL_INTERVAL", "7")

    account = MidjourneyHook().account()

    assert account.identity == "https://api.example.com:443#ours"
    assert (account.max_in_flight, account.price, account.currency) == (3, Decimal("0.05"), "USD")
    assert (account.max_submissions_per_day, account.max_cost_per_day) == (100, Decimal("5.5"))
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
    ],
)
def test_an_extra_that_makes_no_sense_is_refused_by_name(extra: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_extra(extra, "my_service")

    assert "'my_service'" in str(caught.value)
    assert message in str(caught.value)


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
    monkeypatch.setenv(VARIABLE, connections.midjourney(simulate(key="the-key").url, "another"))

    worked, message = MidjourneyHook().test_connection()

    assert not worked
    assert "'midjourney_default'" in message
    assert "HTTP 401" in message


def test_the_test_button_says_that_there_is_no_connection() -> None:
    worked, message = MidjourneyHook("elsewhere").test_connection()

    assert not worked
    assert "AIRFLOW_CONN_ELSEWHERE" in message
