"""A service may quote the API key in a task: nothing of it comes in, by whichever read."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest

from airflow_midjourney.describe.service.tasks import Described, Ended, RemoteTask, read_answer
from tests.support.remote import TASK_ID, Service, ask, fetch, list_all

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "sk-D1stinctive/Key+0f-tests"

PROMPTS = "\n\n".join(f"{number}️⃣ a lighthouse, quoting {{0}} in its light --ar 3:2" for number in range(1, 5))


def fetched(task: dict[str, Any], key: str) -> RemoteTask | None:
    return fetch(Service(httpx.Response(200, json=task)), key=key)


def listed_by_id(task: dict[str, Any], key: str) -> RemoteTask | None:
    service = Service(httpx.Response(200, json=[task]))
    found = ask(service, lambda client: client.list_by_condition([TASK_ID]), key=key)
    return found.tasks.get(TASK_ID)


def listed_when_fetches_are_refused(task: dict[str, Any], key: str) -> RemoteTask | None:
    service = Service(httpx.Response(403, text="no"), httpx.Response(200, json=[task]))
    return fetch(service, key=key)


def on_the_list_of_all(task: dict[str, Any], key: str) -> RemoteTask | None:
    found: list[RemoteTask] = ask(Service(httpx.Response(200, json=[task])), list_all, key=key)
    return found[0]


READS = [fetched, listed_by_id, listed_when_fetches_are_refused, on_the_list_of_all]

SPELLINGS = {
    "as it is": KEY,
    "upper": KEY.upper(),
    "url": quote(KEY, safe=""),
    "json": KEY.replace("/", "\\u002F"),
    "html": KEY.replace("+", "&#43;"),
    "base64": base64.b64encode(f"Bearer {KEY}".encode()).decode(),
    "broken": f"{KEY[:9]}\x00{KEY[9:]}",
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS.keys())
@pytest.mark.parametrize("read", READS)
def test_no_task_repeats_the_key(read: Callable[[dict[str, Any], str], RemoteTask | None], spelling: str) -> None:
    told = f"upstream https://mj.example/?key={spelling} says no"
    fields: list[dict[str, Any]] = [
        {"status": "FAILURE", "failReason": told},
        {"status": "SUCCESS", "prompt": told},
        {"status": "SUCCESS", "promptEn": PROMPTS.format(spelling)},
        {"status": "SUCCESS", "properties": {"finalPrompt": PROMPTS.format(spelling)}},
        {"status": "IN_PROGRESS", "progress": told},
    ]
    tasks = [read({"id": TASK_ID, "state": "S-1", **some}, KEY) for some in fields]
    answers = [read_answer(task) for task in tasks if task is not None]

    assert [type(answer) for answer in answers[:-1]] == [Ended, Ended, Described, Described]
    shown = ascii((tasks, answers)).casefold()
    for telling in (KEY, "D1stinctive", SPELLINGS["base64"][12:30], "\\u002f"):
        assert telling.casefold() not in shown
    assert "…" in repr(tasks[0])
    assert "lighthouse" in shown


@pytest.mark.parametrize("read", READS)
def test_what_only_looks_like_the_key_stays(read: Callable[[dict[str, Any], str], RemoteTask | None]) -> None:
    text = PROMPTS.format("100% of \\u0041 &#65; a distinctive key")
    task = read({"id": TASK_ID, "status": "SUCCESS", "prompt": text}, KEY)

    assert task is not None
    assert task.texts == (text,)


@pytest.mark.parametrize(("key", "stays"), [("light", True), ("3:2", True), ("", True), ("l1ght-0", False)])
def test_a_key_that_is_a_word_spoils_no_description(key: str, stays: bool) -> None:
    text = PROMPTS.format(key)
    described = fetched({"id": TASK_ID, "status": "SUCCESS", "prompt": text}, key)
    failed = fetched({"id": TASK_ID, "status": "FAILURE", "failReason": f"key {key}!"}, key)

    assert described is not None
    assert failed is not None
    assert (described.texts == (text,)) is stays
    assert failed.fail_reason == ("key …!" if key else "key !")


def test_ids_and_states_are_kept_as_they_are() -> None:
    task = fetch(Service(httpx.Response(200, text=json.dumps({"id": KEY, "state": KEY}))), KEY, key=KEY)

    assert task is not None
    assert (task.id, task.state) == (KEY, KEY)
