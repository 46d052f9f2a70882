"""The address that a submission asks to be called at."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_midjourney.describe.model.errors import SettingsError
from airflow_midjourney.describe.model.status import BotType
from airflow_midjourney.describe.service.callback_url import (
    callback_address,
    check_callback_url,
    digest_of,
    is_callback,
    new_callback,
)
from tests.support.remote import ACCEPTED, Service, client_of, submit

if TYPE_CHECKING:
    from airflow_midjourney.describe.service.submit_response import SubmitOutcome

HOOK = "https://airflow.example.com/midjourney-callbacks"


def test_no_two_values_are_alike_and_the_table_holds_none_of_them() -> None:
    values = {new_callback() for _ in range(1000)}

    assert len(values) == 1000
    assert all(is_callback(value) for value in values)
    assert all(len(digest_of(value)) == 64 and value not in digest_of(value) for value in values)


@given(st.text(max_size=200))
def test_a_strangers_text_is_hardly_ever_taken_for_one(text: str) -> None:
    assert not is_callback(text) or (len(text) == 32 and text.isascii())


@pytest.mark.parametrize(
    ("address", "called"),
    [
        (HOOK, f"{HOOK}/value"),
        (f"{HOOK}/", f"{HOOK}/value"),
        ("http://10.0.0.1:8080", "http://10.0.0.1:8080/value"),
        (f"{HOOK}?team=a", f"{HOOK}/value?team=a"),
    ],
)
def test_the_value_is_the_last_part_of_the_path(address: str, called: str) -> None:
    assert callback_address(address, "value") == called
    assert callback_address(address, "") == address


@given(st.from_regex(r"https://[a-z]{1,20}(/[a-z%0-9~-]{0,10}){0,4}(\?[a-z=&]{0,10})?", fullmatch=True))
def test_host_and_query_stay_as_they_are(address: str) -> None:
    before, after = urlsplit(address), urlsplit(callback_address(address, "value"))

    assert (after.netloc, after.query) == (before.netloc, before.query)
    assert after.path == before.path.rstrip("/") + "/value"


@pytest.mark.parametrize(
    "address", ["nonsense", "ftp://a/b", "https://", "//host/path", "https://h/#part", "http://[1"]
)
def test_an_address_that_nobody_can_call_is_refused(address: str) -> None:
    with pytest.raises(SettingsError, match="callback_url"):
        check_callback_url(address)


def test_a_receiver_of_ones_own_is_called_at_its_address_as_it_is() -> None:
    service = Service(httpx.Response(200, json=ACCEPTED))
    submit(service, notify_url="https://mine.example/hook?x=1")

    assert json.loads(service.requests[0].content)["notifyHook"] == "https://mine.example/hook?x=1"


def test_without_an_address_none_is_sent() -> None:
    service = Service(httpx.Response(200, json=ACCEPTED))
    submit(service)

    assert "notifyHook" not in json.loads(service.requests[0].content)


def test_what_the_service_says_does_not_repeat_the_value() -> None:
    value = new_callback()
    service = Service(httpx.Response(200, json={"code": 4, "description": f"cannot call {HOOK}/{value}"}))

    async def submitted() -> SubmitOutcome:
        async with client_of(service, notify_url=HOOK) as client:
            return await client.submit_describe(
                data_uri="data:image/png;base64,AAAA", bot_type=BotType.MID_JOURNEY, state="S-1", callback=value
            )

    outcome = asyncio.run(submitted())

    assert json.loads(service.requests[0].content)["notifyHook"] == f"{HOOK}/{value}"
    assert "cannot call" in outcome.description
    assert value not in outcome.description
