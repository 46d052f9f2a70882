"""Every fact of every dialect has its effect through the client's own functions, and so has each of a newcomer."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from airflow_midjourney.describe.model.errors import ServiceDeniedError, ServiceError, ServiceUnavailableError
from airflow_midjourney.describe.model.status import BotType, Reason
from airflow_midjourney.describe.service import dialects
from airflow_midjourney.describe.service.client import ListingUnsupportedError
from airflow_midjourney.describe.service.dialects import DIALECTS, reason_in, services_without
from airflow_midjourney.describe.service.dialects.dialect import (
    AnswerForm,
    Body,
    Dialect,
    RemoteTaskStatus,
    Says,
)
from airflow_midjourney.describe.service.dialects.han import simplified
from airflow_midjourney.describe.service.dialects.midjourney_bot import MIDJOURNEY_BOT
from airflow_midjourney.describe.service.read_response import denied_error
from airflow_midjourney.describe.service.submit_response import (
    Accepted,
    Ambiguous,
    Denied,
    Full,
    Refused,
    SubmitOutcome,
    Unavailable,
)
from airflow_midjourney.describe.service.tasks import Described, Ended, parse_task, read_answer
from tests.support.remote import TASK, TASK_ID, Handler, Service, ask, check, fetch, list_all, settings_with, submit

if TYPE_CHECKING:
    from collections.abc import Iterator

CAPTURES = Path(__file__).parents[1] / "fixtures/captures"

#: A service that is none of ours: all it says, it alone says.
NEWCOMER = Dialect(
    name="newcomer",
    codes={700: Says.ACCEPTED, 701: Says.NO_ROOM, 702: Says.TRY_AGAIN, 703: Says.BAD_INPUT, 704: Says.BANNED},
    phrases={
        Says.NO_ROOM: ("come back for tea",),
        Says.NO_CREDIT: ("the purse is empty",),
        Says.TOO_LARGE: ("it does not fit the door",),
        Says.UPLOADS_OFF: ("we take no pictures",),
        Says.MODEL_LIMIT: ("not with this ticket",),
        Says.PERHAPS_BILLED: ("lost behind the counter",),
    },
    complaints={
        Reason.BANNED: ("we do not look at such things",),
        Reason.TIMEOUT: ("the painter slept too long",),
        Reason.SERVICE_ERROR: ("the brush broke",),
        Reason.REFUSED: ("that is no canvas",),
    },
    unknown_task=(AnswerForm(410), AnswerForm(418, words=("who is that",))),
    missing_route=(AnswerForm(501, Body.EMPTY),),
    before_sending=frozenset({599}),
    is_own_error=lambda answer: answer.get("speaker") == "porter",
    is_refusal=lambda answer: answer.get("welcome") == "no",
    status_words={"VARNISHING": RemoteTaskStatus.NOT_START, "FRAMED": RemoteTaskStatus.FAILURE},
    ids=re.compile(r"œuvre [0-9]+"),
    bots=frozenset({BotType.NIJI_JOURNEY}),
)


@pytest.fixture(params=[*DIALECTS, NEWCOMER], ids=lambda dialect: dialect.name)
def dialect(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Dialect:
    asked: Dialect = request.param
    if asked is NEWCOMER:
        monkeypatch.setattr(dialects, "DIALECTS", (*DIALECTS, NEWCOMER))
    return asked


def submitted(status: int, **body: Any) -> SubmitOutcome:
    return submit(Service(httpx.Response(status, json=body)))


# --- codes and phrases ------------------------------------------------------------------------------------------

CODES = {
    Says.ACCEPTED: Accepted,
    Says.NO_ROOM: Full,
    Says.TRY_AGAIN: Unavailable,
    Says.BAD_INPUT: Refused,
    Says.BANNED: Refused,
}


def test_every_code_leads_to_its_outcome(dialect: Dialect) -> None:
    for code, meaning in dialect.codes.items():
        outcome = submitted(200, code=code, description="words", result=TASK_ID)
        assert type(outcome) is CODES[meaning], code
        if isinstance(outcome, Refused):
            assert outcome.reason is (Reason.BANNED if meaning is Says.BANNED else Reason.REFUSED)


def test_no_code_means_two_things() -> None:
    for one, other in combinations(DIALECTS, 2):
        assert {code: one.codes[code] for code in one.codes.keys() & other.codes.keys()} == {
            code: other.codes[code] for code in one.codes.keys() & other.codes.keys()
        }


def test_every_phrase_leads_to_its_outcome(dialect: Dialect) -> None:
    for meaning, phrases in dialect.phrases.items():
        for phrase in phrases:
            check_phrase(meaning, f"Well: {phrase.upper()}! (request id: 1)")


def check_phrase(meaning: Says, said: str) -> None:
    openai = {"error": {"message": said, "type": "new_api_error"}}
    if meaning is Says.NO_ROOM:
        assert isinstance(submitted(200, code=9, description=said), Full)
        assert isinstance(submitted(200, success=False, code=-1, message=said), Full)
    elif meaning is Says.NO_CREDIT:
        for status, body in ((400, {"code": 4, "description": said}), (401, openai), (403, openai), (429, openai)):
            outcome = submitted(status, **body)
            assert isinstance(outcome, Denied)
            assert outcome.kind == "no_credit"
        with pytest.raises(ServiceDeniedError, match=r"no credit left.*Another key is another account"):
            check(Service(httpx.Response(401, json=openai)))
    elif meaning is Says.TOO_LARGE:
        outcome = submitted(400, **openai)
        assert isinstance(outcome, Refused)
        assert outcome.reason is Reason.TOO_LARGE
    elif meaning is Says.UPLOADS_OFF:
        outcome = submitted(200, code=4, description=said)
        assert isinstance(outcome, Denied)
        assert "switch uploads on" in str(denied_error(outcome, settings_with()))
    elif meaning is Says.MODEL_LIMIT:
        with pytest.raises(ServiceDeniedError, match=r"without model limits.*Another key is another account"):
            check(Service(httpx.Response(403, json=openai)))
    else:
        assert meaning is Says.PERHAPS_BILLED
        assert isinstance(submitted(400, code=4, description=said, type="upstream_error"), Ambiguous)


@pytest.mark.parametrize(
    "said",
    [
        "INSUFFICIENT_BALANCE",
        "insufficient-user-quota",
        "Quota-Not-Enough",
        "pre-consume token quota failed, user quota: 0",
        "Your balance is insufficient, please recharge",
        "You are out of credits.",
        "用户积分不足",
        "您的账户已欠费",
        "账户余额已用完",
        "餘額不夠，請儲值",
        "額度已用盡",
        "预扣費額度失敗",
        "次数已用完",
        "请先充值",
        "余额为 0",
        "You have no credits",
        "points not enough",
        "Balance too low, please top up",
        "billing_hard_limit_reached",
        "Saldo insuficiente",
        "Saldo insufficiente",
        "Crédits insuffisants",
        "Guthaben nicht ausreichend",
        "Недостаточно средств",
        "残高が不足しています",
        "잔액이 부족합니다",
        "Số dư không đủ",
        "Yetersiz bakiye",
    ],
)
def test_no_credit_is_known_by_its_words_and_by_the_name_of_its_error(said: str) -> None:
    check_phrase(Says.NO_CREDIT, said)


@pytest.mark.parametrize(
    "said",
    [
        "隊列已滿，請稍後嘗試",
        "並發數超過限制",
        "排队任务已满",
        "当前排队人数过多",
        "max queue size reached",
        "Too many tasks",
        "キューがいっぱいです",
        "대기열이 가득 찼습니다",
        "Очередь заполнена",
        "Die Warteschlange ist voll",
        "La cola está llena",
        "File d'attente pleine",
    ],
)
def test_a_full_queue_is_known_in_other_languages(said: str) -> None:
    check_phrase(Says.NO_ROOM, said)


@pytest.mark.parametrize("said", ["too many requests: rate quota exceeded", "concurrency quota", "credit card form"])
def test_other_quotas_are_no_lack_of_credit(said: str) -> None:
    outcome = submitted(429, error={"message": said, "type": "new_api_error"})
    assert isinstance(outcome, Full)


def test_every_complaint_is_the_reason_of_a_task_that_came_to_nothing(dialect: Dialect) -> None:
    for reason, phrases in dialect.complaints.items():
        for phrase in phrases:
            text = f"[{phrase.upper()}] …"
            for status, field in (("FAILURE", "failReason"), ("SUCCESS", "promptEn")):
                task = fetch(Service(httpx.Response(200, json={**TASK, "status": status, field: text})))
                assert task is not None
                answer = read_answer(task)
                assert isinstance(answer, Ended)
                assert answer.reason is reason, phrase


def test_a_blocked_account_outweighs_every_complaint(dialect: Dialect) -> None:
    for phrase in dialect.blocked_account:
        for complaints in MIDJOURNEY_BOT.complaints.values():
            for said in (f"{phrase}: {complaints[0]}", f"{complaints[0].upper()}: {phrase.upper()}"):
                assert reason_in(said) is Reason.SERVICE_ERROR, said


@pytest.mark.parametrize("status", ["SUCCESS", "FAILURE"])
@pytest.mark.parametrize("mark", ["{}\ufe0f\u20e3 ", "{}\u20e3", "{}. ", "({}) "])
def test_four_prompts_about_a_complaint_are_prompts(status: str, mark: str, dialect: Dialect) -> None:
    said = [*dialect.blocked_account, *(phrase for phrases in dialect.complaints.values() for phrase in phrases)]
    for phrase in said:
        prompts = [f"a screen on which {phrase} is written, photo {number} of four" for number in range(4)]
        text = "\n\n".join(mark.format(number) + prompt for number, prompt in enumerate(prompts, start=1))
        answer = read_answer(parse_task({"id": TASK_ID, "status": status, "prompt": text, "failReason": phrase}))

        assert isinstance(answer, Described), phrase
        assert list(answer.prompts.prompts) == prompts
        assert not any(dialects.is_complaint(prompt, of=len(prompts)) for prompt in prompts)


def test_a_complaint_of_two_kinds_is_of_the_weightier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialects, "DIALECTS", (*DIALECTS, NEWCOMER))
    for weightier, lighter in combinations([Reason.BANNED, Reason.TIMEOUT, Reason.SERVICE_ERROR, Reason.REFUSED], 2):
        text = f"{NEWCOMER.complaints[lighter][0]}; {NEWCOMER.complaints[weightier][0]}"
        assert reason_in(text) is weightier


def test_phrases_are_written_as_they_are_looked_for(dialect: Dialect) -> None:
    for phrases in (*dialect.phrases.values(), *dialect.complaints.values(), dialect.blocked_account):
        assert all(phrase == simplified(phrase.casefold()) and len(phrase) > 1 for phrase in phrases)


# --- forms of answers -------------------------------------------------------------------------------------------


def answers_of(form: AnswerForm) -> Iterator[httpx.Response]:
    if form.words:
        for words in form.words:
            yield httpx.Response(form.status, json={"code": 4, "description": f"{words} ", "type": "upstream_error"})
    elif form.body is Body.WEB_PAGE:
        yield httpx.Response(form.status, content=b"\xef\xbb\xbf <!doctype html><title>x</title>")
    else:
        yield httpx.Response(form.status)


def test_every_answer_for_an_unknown_task_is_none(dialect: Dialect) -> None:
    for form in dialect.unknown_task:
        for answer in answers_of(form):
            assert fetch(Service(answer)) is None


def of_lists(answer: httpx.Response) -> Handler:
    """A service that gives an answer for its lists, and knows no task where it is asked for one."""
    return lambda request: answer if "/task/list" in request.url.path else httpx.Response(204)


def test_every_answer_for_a_missing_path_is_a_list_that_is_not_there(dialect: Dialect) -> None:
    for form in dialect.missing_route:
        for answer in answers_of(form):
            with pytest.raises(ListingUnsupportedError):
                ask(of_lists(answer), list_all)
            with pytest.raises(ListingUnsupportedError):
                ask(Service(answer), lambda client: client.list_by_condition(["1"]))


def test_an_own_error_before_sending_is_surely_not_billed(dialect: Dialect) -> None:
    own = {"speaker": "porter"} if dialect is NEWCOMER else {"error": {"message": "busy"}}
    for status in dialect.before_sending:
        assert dialect.is_own_error(own)
        assert isinstance(submitted(status, **own), Unavailable)
        assert isinstance(submitted(status, error="busy"), Ambiguous)


def test_every_word_for_a_status_is_understood(dialect: Dialect) -> None:
    for word, status in dialect.status_words.items():
        task = fetch(Service(httpx.Response(200, json={**TASK, "status": word.lower()})))
        assert task is not None
        assert task.status is status


def test_a_newcomer_is_asked_for_its_ids_refusals_and_bots(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = {"welcome": "no", "message": "come back for tea"}
    accepted = {"code": 1, "result": "œuvre 12"}
    assert isinstance(submitted(200, **refusal), Ambiguous)
    assert isinstance(submitted(200, **accepted), Ambiguous)
    monkeypatch.setattr(dialects, "DIALECTS", (*DIALECTS, NEWCOMER))
    assert isinstance(submitted(200, **refusal), Full)
    assert submitted(200, **accepted) == Accepted("œuvre 12", 200, 1)
    assert "newcomer" not in services_without(BotType.NIJI_JOURNEY)
    assert "newcomer" in services_without(BotType.MID_JOURNEY)


# --- what the real servers said ---------------------------------------------------------------------------------

EXCHANGES = [
    pytest.param(exchange, id=f"{path.stem}: {exchange['label']}")
    for path in sorted(CAPTURES.glob("*.jsonl"))
    for exchange in map(json.loads, path.read_text(encoding="utf-8").splitlines())
    if "outcome" in exchange
]


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_what_a_real_server_said_has_its_outcome(exchange: dict[str, Any]) -> None:
    said = exchange["response"]
    answer = httpx.Response(
        said["status"], headers={"Content-Type": said["content_type"]}, content=said["body"].encode()
    )
    assert outcome_of(exchange["request"]["path"], answer) == exchange["outcome"]


def outcome_of(path: str, answer: httpx.Response) -> str:
    service = Service(answer)
    if path.endswith("/submit/describe"):
        outcome = submit(service)
        return f"Denied {outcome.kind}" if isinstance(outcome, Denied) else type(outcome).__name__
    try:
        if path.endswith("/task/list"):
            ask(of_lists(answer), list_all)
            return "listed"
        task = fetch(service, path.split("/")[-2])
    except ServiceError as error:
        return type(error).__name__
    return "unknown" if task is None else type(read_answer(task)).__name__


def test_captures_bear_the_names_of_dialects() -> None:
    assert {path.stem for path in CAPTURES.glob("*.jsonl")} <= {dialect.name for dialect in DIALECTS}


# --- keys -------------------------------------------------------------------------------------------------------

INVALID_TOKEN = {"error": {"code": "", "message": "Invalid token (request id: 1)", "type": "new_api_error"}}


def test_a_401_names_what_may_be_wrong_with_the_key() -> None:
    with pytest.raises(ServiceDeniedError, match=r"wrong, expired, switched off or used up"):
        check(Service(httpx.Response(401, json=INVALID_TOKEN)))


@pytest.mark.parametrize("body", [INVALID_TOKEN, {"error": {"message": "未提供令牌", "type": "new_api_error"}}])
def test_a_connection_without_a_key_is_told_so(body: dict[str, Any]) -> None:
    with pytest.raises(ServiceDeniedError, match="has no API key: put it into the password field") as caught:
        check(Service(httpx.Response(401, json=body)), key="")
    assert "used up" not in str(caught.value)


@pytest.mark.parametrize("part", ["cpu", "memory", "disk"])
def test_an_overloaded_gateway_is_waited_for_and_bills_nothing(part: str) -> None:
    error = {"message": f"system {part} overloaded (current: 92.6%, threshold: 90%)", "type": "new_api_error"}
    busy = httpx.Response(503, json={"error": {**error, "param": "", "code": f"system_{part}_overloaded"}})
    assert isinstance(submit(Service(busy)), Unavailable)
    with pytest.raises(ServiceUnavailableError, match="overloaded") as caught:
        check(Service(busy))
    assert caught.value.retry_helps
