"""Every known answer to a submit comes to the right outcome, and every unknown one to some outcome."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_midjourney.describe.model.status import Reason
from airflow_midjourney.describe.service.submit_response import (
    Accepted,
    Ambiguous,
    Denied,
    Full,
    Refused,
    SubmitOutcome,
    Unavailable,
    read_submit_answer,
)
from airflow_midjourney.describe.service.transport import retry_after_seconds

ANSWERS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "fixtures/protocol/submit_answers.json").read_text(encoding="utf-8")
)


def body_of(entry: dict[str, Any]) -> bytes:
    if "text" in entry:
        return str(entry["text"]).encode()
    return json.dumps(entry["body"], ensure_ascii=False, separators=(",", ":")).encode()


def read(status: int, body: object) -> SubmitOutcome:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_submit_answer(status, {}, content)


@pytest.mark.parametrize("name", ANSWERS)
def test_known_answers(name: str) -> None:
    entry = ANSWERS[name]
    outcome = read_submit_answer(entry["status"], entry["headers"], body_of(entry))
    assert type(outcome).__name__ == entry["outcome"]
    for field, value in entry["expect"].items():
        assert getattr(outcome, field) == value
    if not isinstance(outcome, Accepted):
        assert outcome.http_status == entry["status"]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, {"code": 1, "description": "ok"}, Ambiguous),
        (200, {"code": 1, "result": {}}, Ambiguous),
        (200, {"code": 1, "result": 1.5e15}, Ambiguous),
        (200, {"code": 1, "result": "two words"}, Ambiguous),
        (200, {"code": 21, "description": "exists"}, Ambiguous),
        (200, {"code": "1", "result": "1754207000123456"}, Accepted),
        (200, {"code": 0, "msg": "ok", "taskId": "1"}, Ambiguous),
        (200, [], Ambiguous),
        (200, b"<html></html>", Ambiguous),
        (200, {"error": {"message": "?"}}, Ambiguous),
        (200, {"code": 4, "description": "余额不足"}, Denied),
        (200, {"code": 4, "description": "可能包含敏感词"}, Refused),
        (200, b'{"code":1,"result":0741798445574458}', Ambiguous),
        (200, b"[" * 100_000, Ambiguous),
        (200, b'{"code":' + b"9" * 10_000 + b"}", Ambiguous),
        (302, b"", Unavailable),
        (400, b"", Unavailable),
        (402, b"", Denied),
        (404, b"<html></html>", Unavailable),
        (408, b"", Unavailable),
        (429, {"error": {"message": "no money", "code": "insufficient_quota"}}, Denied),
        (200, b'{"code":1,"result":"1","properties":{"x":' + b"9" * 10_000 + b"}}", Accepted),
        (500, b"", Ambiguous),
        (500, {"code": 4, "description": "quota_not_enough"}, Ambiguous),
        (502, b"<html></html>", Ambiguous),
        (503, b"", Ambiguous),
        (503, {"error": {"message": "rejected by the content policy"}}, Refused),
        (524, b"", Ambiguous),
    ],
)
def test_answers_between_the_dialects(status: int, body: object, kind: type) -> None:
    assert type(read(status, body)) is kind


@pytest.mark.parametrize("codes", ["1,23", "23,1", "1,9", "24,1", '1,"x"'])
def test_an_answer_that_says_two_things_is_ambiguous(codes: str) -> None:
    first, second = codes.split(",")
    body = f'{{"code":{first},"code":{second},"result":"17"}}'.encode()
    assert type(read(200, body)) is Ambiguous
    assert type(read(200, b'{"code":1,"result":"17","result":"18"}')) is Ambiguous
    assert read(200, b'{"code":1,"code":1,"result":"17"}') == Accepted("17", 200, 1)


@pytest.mark.parametrize(("code", "kind"), [(401, "unauthorised"), ("403", "forbidden"), (402, "no_credit")])
def test_a_status_of_http_that_stands_as_code_is_a_denial(code: object, kind: str) -> None:
    outcome = read(200, {"code": code, "message": "Unauthorized"})
    assert isinstance(outcome, Denied)
    assert outcome.kind == kind
    # It may have been taken all the same.
    assert type(read(200, {"code": code, "result": "17"})) is Ambiguous


def test_a_body_that_is_too_large_is_the_images_fault() -> None:
    outcome = read(400, {"error": {"message": "request body exceeds 128 MB", "type": "new_api_error"}})
    assert isinstance(outcome, Refused)
    assert outcome.reason is Reason.TOO_LARGE


def test_descriptions_repeat_nothing_that_was_sent() -> None:
    body = {
        "code": 4,
        "description": "bad\x00 \ud83d key SECRET, state S-1,\n data:image/png;base64,AAAA " + "x" * 999,
    }
    outcome = read_submit_answer(200, {}, json.dumps(body).encode(), hidden=("SECRET", "S-1"))
    assert isinstance(outcome, Refused)
    assert outcome.description.startswith("bad key …, state …, … xxx")
    assert len(outcome.description) == 200


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("17", 17.0),
        ("1.5", 1.0),
        ("0", 0.0),
        ("999999999", 86_400.0),
        ("Sun, 03 Aug 2025 07:44:20 GMT", 60.0),
        ("Sun, 03 Aug 2025 07:00:00 GMT", 0.0),
        ("Sun, 03 Aug 99999 07:44:20 GMT", None),
        ("9" * 5000, None),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_retry_after(value: str, seconds: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime(2025, 8, 3, 7, 43, 20, tzinfo=UTC)
    monkeypatch.setattr("time.time", now.timestamp)
    assert retry_after_seconds({"retry-AFTER": value}) == seconds


def test_no_retry_after() -> None:
    assert retry_after_seconds({}) is None


LOOSE_ENVELOPES = st.dictionaries(
    st.sampled_from(["code", "description", "message", "result", "properties", "error", "success", "type"]),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-1, 31)
        | st.floats()
        | st.text(max_size=12)
        | st.sampled_from(["队列已满", "quota_not_enough", "upstream_error", "17542070001"]),
        lambda children: st.dictionaries(
            st.sampled_from(["message", "code", "type", "numberOfQueues"]), children, max_size=3
        ),
        max_leaves=4,
    ),
).map(lambda envelope: json.dumps(envelope).encode())


@settings(max_examples=200, deadline=None)
@given(
    st.integers(100, 599),
    st.one_of(st.binary(max_size=80), LOOSE_ENVELOPES),
    st.text("0123GMT ,:", max_size=8),
)
def test_any_answer_has_an_outcome(status: int, body: bytes, retry_after: str) -> None:
    outcome = read_submit_answer(status, {"Retry-After": retry_after}, body)
    assert isinstance(outcome, get_args(SubmitOutcome))
    assert len(outcome.description) <= 200
    if isinstance(outcome, Accepted):
        assert outcome.code in (1, 21, 22)
        assert outcome.task_id
    if isinstance(outcome, Full | Unavailable) and outcome.retry_after is not None:
        assert 0 <= outcome.retry_after <= 86_400


@settings(max_examples=60, deadline=None)
@given(st.from_regex(r"[0-9]{13,20}", fullmatch=True))
def test_no_id_loses_a_digit(digits: str) -> None:
    outcome = read_submit_answer(200, {}, f'{{"code":1,"result":"{digits}"}}'.encode())
    assert outcome == Accepted(digits, 200, 1)
    number = digits.lstrip("0") or "0"
    assert read_submit_answer(200, {}, f'{{"code":22,"result":{number}}}'.encode()) == Accepted(number, 200, 22)


@pytest.mark.parametrize("status", [200, 403, 429])
@pytest.mark.parametrize(
    "answer",
    [
        {"code": "insufficient_user_quota", "message": "no"},
        {"error": {"code": "insufficient_user_quota", "message": "no"}},
        {"error": "insufficient_user_quota"},
        {"type": "insufficient_user_quota"},
        {"msg": "insufficient_user_quota"},
        {"detail": "insufficient_user_quota"},
    ],
)
def test_no_credit_is_known_wherever_a_gateway_says_it(status: int, answer: dict[str, Any]) -> None:
    outcome = read_submit_answer(status, {}, json.dumps(answer).encode())

    assert isinstance(outcome, Denied)
    assert outcome.kind == "no_credit"


@pytest.mark.parametrize(
    "said",
    [
        "预扣费额度失败, 用户剩余额度: ＄0.02, 需要预扣费额度: ＄0.2",
        "預扣費額度失敗, 用戶剩餘額度: ＄0.02",
        "user quota is not enough",
        "token quota is not enough, token remain quota: ＄0.1",
        "You exceeded your current quota, please check your plan and billing details.",
        "Not enough credits",
        "Your credit balance is too low",
        "Insufficient funds",
    ],
)
@pytest.mark.parametrize("status", [403, 429, 503])
def test_no_credit_is_known_in_all_its_spellings(status: int, said: str) -> None:
    answer = json.dumps({"error": {"message": said, "type": "new_api_error"}}).encode()

    outcome = read_submit_answer(status, {}, answer)

    assert isinstance(outcome, Denied)
    assert outcome.kind == "no_credit"


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_failure_that_speaks_of_credit_may_still_come_after_the_image_was_taken(status: int) -> None:
    answer = json.dumps({"error": {"message": "user quota is not enough", "type": "new_api_error"}}).encode()

    assert isinstance(read_submit_answer(status, {}, answer), Ambiguous)
