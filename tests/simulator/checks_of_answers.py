"""The answer to a submit, scenario by scenario."""

from __future__ import annotations

from functools import partial

import httpx
import pytest
from scenario_checks import ALL, Checks
from simulator_client import ENDED, SimulatorClient, picture

from airflow_midjourney.testing.simulator.serving import UNTIL_HURRIED

CHECKS = Checks()
plays = CHECKS.plays


def is_refused(client: SimulatorClient, *, status: int, code: int, text: str) -> None:
    answer = client.submit()
    assert answer.status_code == status
    assert answer.json()["code"] == code
    assert text in answer.text
    assert (client.count("accepted"), client.count("billed")) == (0, 0)
    assert sum(client.count("refused").values()) == 1


for _name, _dialect, _status, _code, _text in (
    ("queue_full", "novicezk", 200, 23, "队列已满，请稍后尝试"),
    ("queue_full", "trueai", 200, 9, "提交失败，队列已满，请稍后重试"),
    ("queue_full", "new-api", 200, 23, "队列已满，请稍后尝试"),
    ("no_account", "novicezk", 200, 3, "无可用的账号实例"),
    ("no_account", "trueai", 200, 3, "无可用的账号实例"),
    ("no_account", "new-api", 200, 3, "无可用的账号实例"),
    ("crash_code_9", "novicezk", 200, 9, "提交失败，系统异常"),
    ("crash_code_9", "trueai", 200, 9, "提交失败，系统异常"),
    ("ta_upload_failed", "trueai", 200, 9, "上传图片到云存储异常"),
    ("ta_uploads_forbidden", "trueai", 200, 4, "禁止上传"),
    ("ta_concurrency_limit", "trueai", 200, -1, "并发数已达上限"),
    ("ta_queue_limit", "trueai", 200, -1, "队列数已达上限"),
    ("ta_not_configured", "trueai", 200, -1, "服务暂不可用"),
    ("no_credit", "new-api", 400, 4, "quota_not_enough "),
    ("saturated", "new-api", 429, 30, "upstream_error"),
    ("do_request_failed_unsent", "new-api", 400, 5, "do_request_failed "),
):
    plays(_name, _dialect)(partial(is_refused, status=_status, code=_code, text=_text))


def is_ambiguous(client: SimulatorClient, *, status: int, text: str, billed: int = 1) -> None:
    answer = client.submit(state="mine")
    assert answer.status_code == status
    assert text in answer.text if text else answer.text == ""
    with pytest.raises((ValueError, KeyError)):
        answer.json()["result"]
    assert (client.count("accepted"), client.count("billed")) == (1, billed)
    client.eventually("ended", {"SUCCESS": 1})


for _name, _dialects, _status, _text, _billed in (
    ("ambiguous_submit_500", ("novicezk",), 500, "Internal Server Error", 1),
    ("ambiguous_submit_500", ("trueai",), 500, "操作失败", 1),
    ("ambiguous_submit_500", ("new-api",), 500, "Internal Server Error", 0),
    ("ambiguous_submit_504", ALL, 504, "504", 1),
    ("truncated_json", ALL, 200, '{"code":1', 1),
    ("empty_200", ALL, 200, "", 1),
    ("do_request_failed", ("new-api",), 400, "do_request_failed ", 0),
    ("unreadable_upstream", ("new-api",), 400, "unmarshal_response_body_failed ", 0),
    ("numeric_result", ("new-api",), 400, "unmarshal_response_body_failed ", 0),
):
    plays(_name, *_dialects)(partial(is_ambiguous, status=_status, text=_text, billed=_billed))


@plays("numeric_result", "novicezk", "trueai")
def numeric_result(client: SimulatorClient) -> None:
    result = client.submit().json()["result"]
    assert isinstance(result, int)
    assert client.until(str(result), "SUCCESS")["id"] == str(result)


def has_id_like(client: SimulatorClient, *, prefix: str, length: int) -> None:
    task_id = client.described()["id"]
    assert task_id.startswith(prefix)
    assert len(task_id) == length


plays("result_17_digits", *ALL)(partial(has_id_like, prefix="9", length=17))
plays("leading_zero_id", *ALL)(partial(has_id_like, prefix="0", length=16))
plays("task_prefix_id", *ALL)(partial(has_id_like, prefix="task_", length=21))


@plays("id_collision", *ALL)
def id_collision(client: SimulatorClient) -> None:
    first = client.submitted(picture(1), state="first")
    assert client.submitted(picture(2), state="second") == first
    assert client.until(first, *ENDED)["state"] == "second"
    assert client.count("billed") == 2


@plays("queued_code", "novicezk", "trueai")
def queued_code(client: SimulatorClient) -> None:
    answer = client.submit().json()
    assert (answer["code"], answer["properties"]["numberOfQueues"]) == (22, 1)


@plays("spaced_json", "new-api")
def spaced_json(client: SimulatorClient) -> None:
    client.sim.set_scenarios(["spaced_json,queued_code"])
    assert client.submit().json()["code"] == 22


@plays("queue_full_then_room", *ALL)
def queue_full_then_room(client: SimulatorClient) -> None:
    results = [client.submit().json()["result"] for _ in range(4)]
    assert [result is None for result in results] == [True, True, False, False]


@plays("ambiguous_submit_reset", *ALL)
def submit_reset(client: SimulatorClient) -> None:
    with pytest.raises(httpx.NetworkError):
        client.submit()
    assert (client.count("accepted"), client.count("billed")) == (1, 1)


@plays("ambiguous_submit_timeout", *ALL)
def submit_timeout(client: SimulatorClient) -> None:
    client.sim.change(hang=30)
    client.http.timeout = httpx.Timeout(0.2)
    with pytest.raises(httpx.ReadTimeout):
        client.submit()
    assert (client.count("accepted"), client.count("billed")) == (1, 1)


@plays("bom_json", *ALL)
def bom(client: SimulatorClient) -> None:
    assert client.submit().content.startswith(b'\xef\xbb\xbf{"code":1')


@plays("tasks_survive_restart", "novicezk")
def survives(client: SimulatorClient) -> None:
    client.sim.set_scenarios(["tasks_survive_restart", "slow_work"])
    client.sim.change(pause=UNTIL_HURRIED)
    task_id = client.submitted()
    client.until(task_id, "SUBMITTED")
    client.sim.restart_service()
    assert client.fetch(task_id).json()["status"] == "SUBMITTED"
    assert client.count("in_flight") == 0


@plays("expired_image_url", *ALL)
def expired(client: SimulatorClient) -> None:
    address = client.described()["imageUrl"]
    assert client.http.get(address).status_code == 404
    client.sim.set_scenarios([])
    assert client.http.get(address).content == picture()


@plays("administrator_key", "trueai")
def administrator(client: SimulatorClient) -> None:
    assert client.http.post("/task/1/cancel").status_code == 200
