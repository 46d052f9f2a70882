"""Tasks of every dialect are read, and their answers too, whatever their status claims."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_midjourney.describe.model.errors import ServiceProtocolError
from airflow_midjourney.describe.model.status import Reason
from airflow_midjourney.describe.service.dialects.dialect import RemoteTaskStatus
from airflow_midjourney.describe.service.json_codec import decode
from airflow_midjourney.describe.service.tasks import (
    Described,
    Ended,
    RemoteTask,
    Waiting,
    parse_task,
    read_answer,
)

FIXTURES = Path(__file__).parents[1] / "fixtures/protocol"
TASKS: dict[str, Any] = json.loads((FIXTURES / "tasks.json").read_text(encoding="utf-8"))
TEXTS: dict[str, Any] = json.loads((FIXTURES / "prompt_texts.json").read_text(encoding="utf-8"))
FOUR = TEXTS["bots_of_2025"]["text"]


def task_with(**fields: object) -> RemoteTask:
    return parse_task({"id": "1754207000123456", "status": "SUCCESS", **fields})


@pytest.mark.parametrize("name", [name for name, entry in TASKS.items() if entry["reads_as"] == "waiting"])
def test_tasks_that_wait(name: str) -> None:
    entry = TASKS[name]
    assert read_answer(parse_task(entry["body"])) == Waiting(RemoteTaskStatus(entry["expect"]["status"]))


@pytest.mark.parametrize("name", [name for name, entry in TASKS.items() if entry["reads_as"] == "described"])
def test_tasks_with_prompts(name: str) -> None:
    entry = TASKS[name]
    text = TEXTS[entry["expect"]["text"]]
    answer = read_answer(parse_task(entry["body"]))
    assert isinstance(answer, Described)
    assert answer.raw == text["text"]
    assert list(answer.prompts.prompts) == text["prompts"]
    assert answer.prompts.aspect_ratio == text["aspect_ratio"]


@pytest.mark.parametrize("name", [name for name, entry in TASKS.items() if entry["reads_as"] == "ended"])
def test_tasks_without_prompts(name: str) -> None:
    entry = TASKS[name]
    answer = read_answer(parse_task(entry["body"]))
    assert isinstance(answer, Ended)
    assert answer.reason == entry["expect"]["reason"]
    assert answer.detail


def test_the_fields_of_a_finished_task() -> None:
    task = parse_task(TASKS["novicezk_success"]["body"])
    assert (task.id, task.status, task.state) == ("1754207000123456", RemoteTaskStatus.SUCCESS, "my-state")
    assert task.submit_time == datetime(2025, 8, 3, 7, 43, 20, 123000, tzinfo=UTC)
    assert task.start_time == datetime(2025, 8, 3, 7, 43, 21, 500000, tzinfo=UTC)
    assert task.finish_time == datetime(2025, 8, 3, 7, 43, 29, tzinfo=UTC)
    assert task.progress == "100%"


def test_what_new_api_writes_for_nothing_is_nothing() -> None:
    task = parse_task(TASKS["newapi_just_submitted"]["body"])
    assert task.status is RemoteTaskStatus.NOT_START
    assert (task.state, task.fail_reason, task.texts) == ("", "", ())
    assert (task.start_time, task.finish_time) == (None, None)


@pytest.mark.parametrize("value", [None, 0, -1, 1754207000, 10**18, "soon", True, [], 1.5e12])
def test_absurd_times_are_none(value: object) -> None:
    assert task_with(submitTime=value).submit_time is None


def test_a_time_may_come_as_text() -> None:
    assert task_with(submitTime="1754207000000").submit_time == datetime(2025, 8, 3, 7, 43, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("json_id", "task_id"),
    [
        ("1754207000123456", "1754207000123456"),
        ("14001929738841621", "14001929738841621"),
        ('"0741798445574458"', "0741798445574458"),
        ('"task_1234567890"', "task_1234567890"),
    ],
)
def test_ids_keep_every_digit(json_id: str, task_id: str) -> None:
    assert parse_task(decode(f'{{"id":{json_id},"status":"SUBMITTED"}}'.encode())).id == task_id


@pytest.mark.parametrize(
    ("word", "status"),
    [
        (None, RemoteTaskStatus.NOT_START),
        ("", RemoteTaskStatus.NOT_START),
        ("MODAL", RemoteTaskStatus.NOT_START),
        ("success", RemoteTaskStatus.SUCCESS),
        ("CANCEL", RemoteTaskStatus.FAILURE),
        ("Failed", RemoteTaskStatus.FAILURE),
        ("cancelled", RemoteTaskStatus.FAILURE),
        ("COMPLETED", RemoteTaskStatus.SUCCESS),
        ("finished", RemoteTaskStatus.SUCCESS),
        ("queued", RemoteTaskStatus.NOT_START),
        ("SOMETHING_NEW", RemoteTaskStatus.IN_PROGRESS),
    ],
)
def test_words_for_a_status(word: str | None, status: RemoteTaskStatus) -> None:
    assert task_with(status=word).status is status


@pytest.mark.parametrize(
    "obj",
    [
        None,
        [],
        "1",
        1,
        {},
        {"id": None},
        {"id": ""},
        {"id": True},
        {"id": 1.5},
        {"id": "a b"},
        {"id": "1", "status": 3},
    ],
)
def test_what_is_no_task(obj: object) -> None:
    with pytest.raises(ServiceProtocolError):
        parse_task(obj)


def test_the_first_text_that_holds_prompts_counts() -> None:
    task = task_with(promptEn="thinking …", properties={"finalPrompt": FOUR}, prompt="1️⃣ another")
    answer = read_answer(task)
    assert isinstance(answer, Described)
    assert answer.raw == FOUR


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("a sign that says queue is full, neon, --ar 3:2", "a sign that says queue is full, neon,"),
        ("1️⃣ a locked account screen, invalid api key on display --ar 3:2", None),
        ("a screen: your account is blocked, pixel art --v 6.1 --ar 16:9", None),
        ("a poster about banned prompts, halftone —ar 2:3", None),
    ],
)
def test_one_prompt_that_speaks_like_a_complaint_is_a_prompt_and_is_not_paid_again(
    text: str, prompt: str | None
) -> None:
    answer = read_answer(task_with(promptEn=text))
    assert isinstance(answer, Described)
    assert len(answer.prompts.prompts) == 1
    assert prompt is None or answer.prompts.prompts == (prompt,)
    assert answer.prompts.aspect_ratio is not None
    assert answer.prompts.aspect_ratio in text


def test_a_failure_with_fewer_than_four_prompts_is_a_failure() -> None:
    task = task_with(status="FAILURE", failReason="Job Timeout", promptEn=TEXTS["two_prompts"]["text"])
    assert read_answer(task) == Ended(Reason.TIMEOUT, "Job Timeout")


def test_a_success_without_text_is_unparseable() -> None:
    assert read_answer(task_with(promptEn="", prompt=None)) == Ended(Reason.UNPARSEABLE, "SUCCESS without any text")


@pytest.mark.parametrize(
    ("fail_reason", "reason"),
    [
        ("[Banned prompt detected] The word may get your account blocked", Reason.BANNED),
        ("[Image denied] Request cancelled due to image filters", Reason.BANNED),
        ("可能包含敏感词", Reason.BANNED),
        ("Your account has been banned", Reason.SERVICE_ERROR),
        ("账号已被封禁", Reason.SERVICE_ERROR),
        ("Failed to process your command", Reason.SERVICE_ERROR),
        ("上传图片到discord失败", Reason.SERVICE_ERROR),
        ("执行超时 5 分钟", Reason.TIMEOUT),
        ("a new sentence", Reason.SERVICE_ERROR),
        (None, Reason.SERVICE_ERROR),
    ],
)
def test_reasons_of_a_failure(fail_reason: str | None, reason: Reason) -> None:
    answer = read_answer(task_with(status="FAILURE", failReason=fail_reason))
    assert isinstance(answer, Ended)
    assert answer.reason is reason


def test_details_are_storable_and_short() -> None:
    answer = read_answer(task_with(status="FAILURE", failReason="a\x00\ud83d\n" + "b" * 5000))
    assert isinstance(answer, Ended)
    assert len(answer.detail) == 500
    assert answer.detail.startswith("a b")


def test_the_raw_text_is_storable() -> None:
    answer = read_answer(task_with(promptEn="1️⃣ a\x00 cat\ud83d"))
    assert isinstance(answer, Described)
    assert answer.raw == "1️⃣ a cat"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=20)
    | st.sampled_from(["SUCCESS", "FAILURE", FOUR, "任务超时", "1️⃣ a\r\n"]),
    lambda children: (
        st.lists(children, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "id",
                    "status",
                    "state",
                    "promptEn",
                    "prompt",
                    "properties",
                    "finalPrompt",
                    "failReason",
                    "submitTime",
                ]
            ),
            children,
            max_size=9,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(JSON, st.booleans())
def test_any_json_is_a_task_or_a_typed_error(obj: object, with_id: bool) -> None:
    if with_id and isinstance(obj, dict):
        obj = {**obj, "id": "1"}
    try:
        task = parse_task(obj)
    except ServiceProtocolError:
        return
    answer = read_answer(task)
    if isinstance(answer, Ended):
        assert answer.detail.encode("utf-8")
    elif isinstance(answer, Described):
        assert answer.raw.encode("utf-8")
    else:
        assert not task.status.is_final
