"""What the simulator says, compared with what the services say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from simulator_client import SimulatorClient, picture

if TYPE_CHECKING:
    from conftest import Running

FIXTURES = Path(__file__).parents[1] / "fixtures" / "protocol"
SUBMITS: dict[str, Any] = json.loads((FIXTURES / "submit_answers.json").read_text("utf-8"))
TASKS: dict[str, Any] = json.loads((FIXTURES / "tasks.json").read_text("utf-8"))
UNKNOWN: dict[str, Any] = json.loads((FIXTURES / "unknown_task_answers.json").read_text("utf-8"))

#: Texts that are the same in every answer of a service.
CONSTANT = ("code", "description", "success", "message", "type", "error", "action", "status", "progress", "failReason")


def shape(value: Any) -> Any:
    """Keys, types and nulls of a JSON value."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return type(value).__name__


def texts(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name in CONSTANT and not isinstance(value, dict)}


SUBMIT_CASES = [
    ("novicezk_accepted", "novicezk", {}, {}),
    ("novicezk_full", "novicezk", {"scenarios": ["queue_full"]}, {}),
    ("novicezk_no_account", "novicezk", {"scenarios": ["no_account"]}, {}),
    ("novicezk_crash", "novicezk", {"scenarios": ["crash_code_9"]}, {}),
    ("novicezk_bad_base64", "novicezk", {}, {"base64": "nonsense"}),
    ("novicezk_no_base64", "novicezk", {}, {"base64": " "}),
    ("novicezk_queued", "novicezk", {"scenarios": ["queued_code"]}, {}),
    ("novicezk_unauthorised", "novicezk", {"key": "k"}, {}),
    ("novicezk_spring_500", "novicezk", {}, {"base64": "data:image/png;base64"}),
    ("trueai_accepted", "trueai", {}, {}),
    ("trueai_full", "trueai", {"scenarios": ["queue_full"]}, {}),
    ("trueai_upload_failed", "trueai", {"scenarios": ["ta_upload_failed"]}, {}),
    ("trueai_uploads_forbidden", "trueai", {"scenarios": ["ta_uploads_forbidden"]}, {}),
    ("trueai_concurrency", "trueai", {"scenarios": ["ta_concurrency_limit"]}, {}),
    ("trueai_queue_limit", "trueai", {"scenarios": ["ta_queue_limit"]}, {}),
    ("trueai_not_configured", "trueai", {"scenarios": ["ta_not_configured"]}, {}),
    ("trueai_unhandled", "trueai", {"scenarios": ["ambiguous_submit_500"]}, {}),
    ("trueai_guest_off", "trueai", {"key": "k"}, {}),
    ("trueai_user_disabled", "trueai", {"scenarios": ["user_disabled"]}, {}),
    ("trueai_user_expired", "trueai", {"scenarios": ["forbidden_text"]}, {}),
    ("trueai_rate_limited", "trueai", {"scenarios": ["http_429_empty"]}, {}),
    ("trueai_blacklisted", "trueai", {"scenarios": ["forbidden_empty"]}, {}),
    ("trueai_too_large", "trueai", {"body_limit": 50}, {}),
    ("plus_accepted", "novicezk", {"scenarios": ["style_2025"]}, {}),
    ("newapi_accepted", "new-api", {}, {}),
    ("newapi_queued_rewritten", "new-api", {"scenarios": ["queued_code"]}, {}),
    ("newapi_no_credit", "new-api", {"scenarios": ["no_credit"]}, {}),
    ("newapi_request_failed", "new-api", {"scenarios": ["do_request_failed"]}, {}),
    ("newapi_unreadable_upstream", "new-api", {"scenarios": ["unreadable_upstream"]}, {}),
    ("newapi_saturated", "new-api", {"scenarios": ["saturated"]}, {}),
    ("newapi_invalid_key", "new-api", {"scenarios": ["unauthorised_json"]}, {}),
    ("newapi_user_banned", "new-api", {"scenarios": ["user_banned"]}, {}),
    ("newapi_no_channel", "new-api", {"scenarios": ["no_channel"]}, {}),
    ("newapi_numeric_hook", "new-api", {}, {"notifyHook": 1}),
    ("upstream_unauthorised", "new-api", {"scenarios": ["unauthorised_empty"]}, {}),
    ("byte_order_mark", "novicezk", {"scenarios": ["bom_json"]}, {}),
    ("empty_200", "novicezk", {"scenarios": ["empty_200"]}, {}),
    ("firewall_403", "novicezk", {"scenarios": ["cloudflare_403_html"]}, {}),
    ("gateway_timeout_504", "novicezk", {"scenarios": ["ambiguous_submit_504"]}, {}),
]


@pytest.mark.parametrize(("name", "dialect", "given", "fields"), SUBMIT_CASES, ids=[case[0] for case in SUBMIT_CASES])
def test_submit_answers(
    simulate: Running, name: str, dialect: str, given: dict[str, Any], fields: dict[str, Any]
) -> None:
    given = dict(given)
    client = simulate(dialect, *given.pop("scenarios", []), **given)
    answer = client.submit(state="s", **fields)
    expected = SUBMITS[name]
    assert answer.status_code == expected["status"]
    assert answer.headers["x-simulator"] == "1"
    kind = expected["headers"].get("Content-Type")
    if kind is not None and dialect != "new-api":
        assert answer.headers["content-type"].startswith(kind.partition(";")[0])
    if "body" not in expected:
        assert_same_text(answer.text, expected["text"])
        return
    body, wanted = answer.json(), expected["body"]
    assert shape(body) == shape(wanted)
    assert texts(body) == texts(wanted)
    if isinstance(wanted.get("error"), dict):
        assert body["error"]["message"].partition(" (")[0] == wanted["error"]["message"].partition(" (")[0]


def assert_same_text(given: str, expected: str) -> None:
    if "{" not in expected:
        assert given == expected
        return
    assert given.startswith("\ufeff") == expected.startswith("\ufeff")
    assert json.loads(given.lstrip("\ufeff"))["code"] == 1


def test_the_gateway_names_no_type_for_submits_but_for_reads(simulate: Running) -> None:
    client = simulate("new-api")
    answer = client.submit()
    assert answer.headers["content-type"] == SUBMITS["newapi_accepted"]["headers"]["Content-Type"]
    assert client.fetch(answer.json()["result"]).headers["content-type"] == "application/json"


@pytest.mark.parametrize("dialect", list(UNKNOWN))
def test_unknown_tasks(simulate: Running, dialect: str) -> None:
    answer = simulate(dialect).fetch("1754207000123456")
    assert answer.status_code == UNKNOWN[dialect]["status"]
    if "body" in UNKNOWN[dialect]:
        assert answer.json() == UNKNOWN[dialect]["body"]
    else:
        assert answer.content == b""


TASK_CASES = [
    ("novicezk_not_start", "novicezk", ["stuck_not_start"], "NOT_START"),
    ("novicezk_submitted", "novicezk", ["stuck_submitted"], "SUBMITTED"),
    ("novicezk_success", "novicezk", [], "SUCCESS"),
    ("novicezk_failure", "novicezk", ["task_timeout"], "FAILURE"),
    ("novicezk_upload_failed", "novicezk", ["upload_failed"], "FAILURE"),
    ("novicezk_unknown_interaction", "novicezk", ["unknown_interaction"], "FAILURE"),
    ("novicezk_failed_to_process", "novicezk", ["failed_to_process"], "FAILURE"),
    ("trueai_timeout", "trueai", ["task_timeout"], "FAILURE"),
    ("newapi_submitted", "new-api", ["stuck_submitted"], "SUBMITTED"),
    ("newapi_success", "new-api", [], "SUCCESS"),
]
#: Where the code of the service, rather than the sample, was followed, or where it says either.
FREE = ("properties", "useTime", "displays", "buttons", "messageId", "messageIds", "interactionMetadataId")


@pytest.mark.parametrize(("name", "dialect", "scenarios", "status"), TASK_CASES, ids=[case[0] for case in TASK_CASES])
def test_tasks(simulate: Running, name: str, dialect: str, scenarios: list[str], status: str) -> None:
    client = simulate(dialect, *scenarios)
    task = client.until(client.submitted(state="my-state"), status)
    wanted = TASKS[name]["body"]
    if dialect == "trueai":
        assert set(wanted) - set(task) == set()
        task = {field: task[field] for field in wanted}
    assert set(task) == set(wanted)
    fixed = [field for field in wanted if field not in (*FREE, "state")]
    assert {field: shape(task[field]) for field in fixed} == {field: shape(wanted[field]) for field in fixed}
    assert texts({**task, "description": None}) == texts({**wanted, "description": None})
    assert task["state"] == "my-state"


def test_properties_of_a_finished_novicezk_task(simulate: Running) -> None:
    task = simulate("novicezk").described()
    assert shape(task["properties"]) == shape(TASKS["novicezk_success"]["body"]["properties"])
    assert task["prompt"] == task["promptEn"] == task["properties"]["finalPrompt"]
    assert task["description"] == f"/describe {task['id']}.jpg"


def test_a_gateway_task_before_the_first_look_upstream(simulate: Running) -> None:
    client = simulate("new-api", poll_interval=30, latency=0.0)
    task_id = client.submitted(state="my-state")
    client.eventually("ended", {"SUCCESS": 1})
    task = client.fetch(task_id).json()
    assert shape(task) == shape(TASKS["newapi_just_submitted"]["body"])
    assert (task["status"], task["state"], task["startTime"]) == ("", "", 0)
    client.sim.change(poll_interval=0.01)
    assert client.until(task_id, "SUCCESS")["state"] == "my-state"


def test_the_gateway_follows_its_upstream(simulate: Running) -> None:
    client = simulate("new-api")
    task = client.described(state="my-state")
    assert task["prompt"] == ""
    assert task["promptEn"] == task["properties"]["finalPrompt"] != ""
    assert task["properties"]["finalZhPrompt"] == ""
    assert client.http.get(task["imageUrl"]).content == picture()


def test_a_failure_at_the_gateway_shows_100_percent_and_is_refunded(simulate: Running) -> None:
    client = simulate("new-api", "banned_image")
    task = client.described()
    assert (task["status"], task["progress"]) == ("FAILURE", "100%")
    assert task["failReason"].startswith("[Banned prompt detected]")
    assert client.count("billed") == client.count("refunded") == 1


def test_a_finished_trueai_task(simulate: Running) -> None:
    task = simulate("trueai").described()
    assert task["prompt"] is None
    assert task["promptEn"] == task["properties"]["finalPrompt"] != ""
    assert (task["state"], task["failReason"], task["progress"]) == ("", "", "100%")
    assert next(button["customId"] for button in task["buttons"]) == "MJ::Job::PicReader::1"
    assert len(task) >= 60


def test_niji_and_speed_are_known_to_trueai_only(simulate: Running) -> None:
    client = simulate("trueai")
    fast = client.http.post(client.sim.root + "/mj-fast/mj/submit/describe", json={"base64": "YWJj", "botType": "niji"})
    task = client.until(fast.json()["result"], "FAILURE")
    assert (task["botType"], task["mode"]) == ("NIJI_JOURNEY", "FAST")
    other = simulate("novicezk")
    assert other.http.post(other.sim.root + "/mj-fast/mj/submit/describe", json={}).status_code == 404


def test_the_gateway_takes_any_first_segment(simulate: Running) -> None:
    client = simulate("new-api")
    for mode in ("mj-fast", "mj-relax", "mj-turbo", "whatever"):
        answer = client.http.get(f"{client.sim.root}/{mode}/mj/task/1/fetch")
        assert answer.json()["description"] == "task_no_found "


KEYS = [
    ("novicezk", {"mj-api-secret": "sk-a"}, 200),
    ("novicezk", {"authorization": "sk-a"}, 401),
    ("novicezk", {}, 401),
    ("trueai", {"mj-api-secret": "sk-a"}, 200),
    ("trueai", {"authorization": "sk-a"}, 200),
    ("trueai", {"authorization": "Bearer sk-a"}, 401),
    ("trueai", {"authorization": "Bearer sk-a", "mj-api-secret": "sk-a"}, 401),
    ("new-api", {"authorization": "Bearer sk-a"}, 200),
    ("new-api", {"authorization": "a"}, 200),
    ("new-api", {"mj-api-secret": "sk-a"}, 200),
    ("new-api", {"authorization": "midjourney-proxy", "mj-api-secret": "sk-a"}, 200),
    ("new-api", {"authorization": "Bearer sk-b", "mj-api-secret": "sk-a"}, 401),
]


@pytest.mark.parametrize(("dialect", "headers", "status"), KEYS)
def test_keys(simulate: Running, dialect: str, headers: dict[str, str], status: int) -> None:
    client = simulate(dialect, key="sk-a")
    client.http.headers.update(headers)
    assert client.http.post("/task/list-by-condition", json={"ids": []}).status_code == status


def test_pictures_at_the_gateway_need_no_key(simulate: Running) -> None:
    client = simulate("new-api")
    task_id = client.described()["id"]
    client.sim.change(key="sk-a")
    assert client.http.get(f"/image/{task_id}").content == picture()
    assert client.http.get("/image/1").json() == {"error": "midjourney_task_not_found"}


def lists(client: SimulatorClient) -> tuple[int, int]:
    return client.http.get("/task/list").status_code, client.http.get("/task/queue").status_code


def test_which_lists_there_are(simulate: Running) -> None:
    assert lists(simulate("novicezk")) == (200, 200)
    assert lists(simulate("trueai")) == (200, 404)
    page = simulate("new-api").http.get("/task/list")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")


def test_lists_show_the_newest_first_and_trueai_a_hundred(simulate: Running) -> None:
    client = simulate("trueai", latency=0.0, slots=50, queue=200)
    ids = [client.submitted(picture(number)) for number in range(103)]
    listed = [task["id"] for task in client.http.get("/task/list").json()]
    assert len(listed) == 100
    times = [task["submitTime"] for task in client.http.get("/task/list").json()]
    assert times == sorted(times, reverse=True)
    assert set(listed) <= set(ids)
    client = simulate("novicezk", "stuck_not_start", slots=200)
    ids = [client.submitted(picture(number)) for number in range(103)]
    assert {task["id"] for task in client.http.get("/task/list").json()} == set(ids)


@pytest.mark.parametrize("dialect", ["novicezk", "trueai", "new-api"])
def test_a_list_by_condition_leaves_out_what_it_does_not_know(simulate: Running, dialect: str) -> None:
    client = simulate(dialect)
    first, second = client.submitted(picture(1)), client.submitted(picture(2))
    listed = client.listed(second, "unknown", first, second)
    assert {task["id"] for task in listed} == {first, second}
    assert len(listed) == 2
    assert client.listed() == []


@pytest.mark.parametrize(
    ("dialect", "status", "code"), [("novicezk", 400, None), ("trueai", 200, -1), ("new-api", 400, None)]
)
def test_broken_json(simulate: Running, dialect: str, status: int, code: int | None) -> None:
    answer = simulate(dialect).http.post(
        "/submit/describe", content=b'{"base64":', headers={"content-type": "application/json"}
    )
    assert answer.status_code == status
    assert answer.json().get("code") == code


def test_other_content_types(simulate: Running) -> None:
    for dialect, status in (("novicezk", 415), ("trueai", 415)):
        answer = simulate(dialect).http.post("/submit/describe", content=b"{}", headers={"content-type": "text/plain"})
        assert answer.status_code == status


def test_novicezk_turns_numbers_into_text_and_others_refuse_them(simulate: Running) -> None:
    assert simulate("novicezk").described(state=12)["state"] == "12"
    assert simulate("trueai").submit(state=12).json()["success"] is False
    assert simulate("new-api").submit(state=12).status_code == 400


@pytest.mark.parametrize(
    ("fields", "description"),
    [
        ({"base64": ""}, "base64或link不能为空"),
        ({"base64": "", "link": "ftp://x"}, "链接格式错误"),
        ({"base64": "%%%"}, "base64格式错误"),
    ],
)
def test_images_that_trueai_does_not_take(simulate: Running, fields: dict[str, str], description: str) -> None:
    answer = simulate("trueai").http.post("/submit/describe", json=fields).json()
    assert (answer["code"], answer["description"], answer["result"]) == (4, description, None)


def test_trueai_limits_the_length_of_state(simulate: Running) -> None:
    assert simulate("trueai").submit(state="x" * 256).json()["success"] is False
    assert simulate("trueai").submit(state="x" * 255).json()["code"] == 1


def test_trueai_fetches_pictures_given_by_address(simulate: Running) -> None:
    client = simulate("trueai")
    first = client.described()
    second = client.http.post("/submit/describe", json={"link": first["imageUrl"]}).json()["result"]
    assert client.until(second, "SUCCESS")["promptEn"] == first["promptEn"]


def test_only_an_administrator_may_cancel(simulate: Running) -> None:
    client = simulate("trueai", latency=5.0)
    client.sim.set_scenarios([])
    refused = client.http.post("/task/1/cancel")
    assert (refused.status_code, refused.text) == (400, "演示模式，禁止操作")
    client = simulate("trueai", "slow_work", administrator=True)
    task_id = client.submitted()
    cancelled = client.http.post(f"/task/{task_id}/cancel")
    assert (cancelled.status_code, cancelled.content) == (200, b"")
    task = client.fetch(task_id).json()
    assert (task["status"], task["failReason"]) == ("FAILURE", "取消任务")
    client.eventually("in_flight", 0)
    assert client.http.post("/task/unknown/cancel").status_code == 200


@pytest.mark.parametrize("dialect", ["novicezk", "trueai", "new-api"])
def test_bytes_that_are_no_picture_are_accepted_and_fail_later(simulate: Running, dialect: str) -> None:
    client = simulate(dialect)
    task = client.described(b"this is not a picture")
    assert task["status"] == "FAILURE"
    assert "上传图片到discord失败" in task["failReason"] or "发送图片消息到discord失败" in task["failReason"]
