"""What becomes of a task, scenario by scenario."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from scenario_checks import ALL, Checks
from simulator_client import ENDED, picture

if TYPE_CHECKING:
    from simulator_client import SimulatorClient

CHECKS = Checks()
plays = CHECKS.plays


def fails_with(client: SimulatorClient, *, text: str, started: bool = True) -> None:
    task = client.described(state="s")
    assert task["status"] == "FAILURE"
    assert task["failReason"].startswith(text)
    assert bool(task["startTime"]) == started
    assert not task["promptEn"]


for _name, _text in {
    "captcha": "[Action needed to continue] /captcha/",
    "banned_image": "[Banned prompt detected]",
    "image_denied": "[Image denied]",
    "invalid_link": "[Invalid link!]",
    "unknown_interaction": "Unknown interaction",
    "internal_error": "[Internal Server Error]",
    "failed_to_process": "Failed to process your command",
    "task_timeout": "任务超时",
}.items():
    plays(_name, "novicezk", "new-api")(partial(fails_with, text=_text))
plays("upload_failed", "novicezk", "new-api")(partial(fails_with, text="上传图片到discord失败", started=False))
plays("banned_image", "trueai")(partial(fails_with, text="Banned prompt detected, "))
plays("task_timeout", "trueai")(partial(fails_with, text="执行超时 5 分钟"))


@plays("happy", *ALL)
def happy(client: SimulatorClient) -> None:
    assert client.described()["promptEn"].count("--ar 3:2") == 4


@plays("style_2025", "novicezk", "new-api")
def style_2025(client: SimulatorClient) -> None:
    task = client.described()
    assert " \n\n2\ufe0f\u20e3 " in task["promptEn"]
    assert "--ar" not in task["promptEn"]
    assert task["properties"]["finalZhPrompt"] == task["properties"]["finalPrompt"] == task["promptEn"]
    assert len(task["buttons"]) == 6


@plays("keycaps_without_fe0f", "novicezk")
def plain_keycaps(client: SimulatorClient) -> None:
    assert client.described()["promptEn"].startswith("1\u20e3 ")


@plays("dirty_text", *ALL)
def dirty_text(client: SimulatorClient) -> None:
    text = client.described()["promptEn"]
    assert "\x00" in text
    assert "\ud83d" in text


@plays("ta_partner", "trueai")
def partner(client: SimulatorClient) -> None:
    task = client.described()
    assert len(task["promptEn"].split("\r\n")) == 4
    assert "\u20e3" not in task["promptEn"]
    assert task["isPartner"] is True


@plays("ta_partner_three", "trueai")
def partner_three(client: SimulatorClient) -> None:
    assert len(client.described()["promptEn"].split("\r\n")) == 3


@plays("ta_language_zh", "trueai")
def language_zh(client: SimulatorClient) -> None:
    task = client.described()
    assert "主色" in task["prompt"] == task["properties"]["finalPrompt"]
    assert task["promptEn"].isascii() is False
    assert "主色" not in task["promptEn"]


@plays("ta_early_prompt", "trueai")
def early_prompt(client: SimulatorClient) -> None:
    client.sim.change(latency=3.0)
    task_id = client.submitted()
    while not (task := client.fetch(task_id).json())["promptEn"]:
        assert task["status"] in {"NOT_START", "SUBMITTED"}
    assert task["status"] == "SUBMITTED"


@plays("in_progress", "novicezk", "new-api")
def in_progress(client: SimulatorClient) -> None:
    client.sim.change(latency=3.0)
    assert client.until(client.submitted(), "IN_PROGRESS")["progress"] == "0%"


@plays("start_handler_first", "novicezk", "new-api", "new-api-2026")
def start_handler_first(client: SimulatorClient) -> None:
    client.sim.change(latency=3.0)
    task = client.until(client.submitted(), "IN_PROGRESS")
    assert task["progress"] == "0%"
    client.sim.set_scenarios(["start_handler_first", "banned_image"])
    task_id = client.submitted(picture(1))
    client.until(task_id, "IN_PROGRESS")
    failed = client.until(task_id, *ENDED)
    assert (failed["status"], failed["failReason"]) == ("FAILURE", "任务超时")


@plays("false_success_link", *ALL)
def false_success_link(client: SimulatorClient) -> None:
    task = client.described()
    assert (task["status"], task["promptEn"]) == ("SUCCESS", "Could not fetch image. Received status code 403")


@plays("false_success", *ALL)
def false_success(client: SimulatorClient) -> None:
    task = client.described()
    assert (task["status"], task["progress"]) == ("SUCCESS", "100%")
    assert task["promptEn"].startswith("Could not describe")


@plays("two_prompts", *ALL)
def two_prompts(client: SimulatorClient) -> None:
    assert client.described()["promptEn"].count("\u20e3") == 2


@plays("no_prompts", *ALL)
def no_prompts(client: SimulatorClient) -> None:
    task = client.described()
    assert (task["status"], task["promptEn"]) == ("SUCCESS", "")


@plays("final_prompt_empty", *ALL)
def final_prompt_empty(client: SimulatorClient) -> None:
    task = client.described()
    assert task["properties"]["finalPrompt"] == ""
    assert task["promptEn"]


@plays("final_prompt_missing", "novicezk", "trueai")
def final_prompt_missing(client: SimulatorClient) -> None:
    task = client.described()
    assert "finalPrompt" not in task["properties"]
    assert task["promptEn"]


@plays("false_failure", *ALL)
def false_failure(client: SimulatorClient) -> None:
    task = client.described()
    assert task["status"] == "FAILURE"
    assert "超时" in task["failReason"]
    assert task["promptEn"].count("\u20e3") == 4


def is_stuck(client: SimulatorClient, *, status: str, in_flight: int) -> None:
    task_id = client.submitted()
    client.until(task_id, status)
    client.eventually("in_flight", in_flight)
    assert client.fetch(task_id).json()["status"] == status
    assert client.count("ended") == {}


plays("stuck_not_start", "novicezk", "trueai", "new-api")(partial(is_stuck, status="NOT_START", in_flight=0))
plays("stuck_submitted", "novicezk", "trueai", "new-api")(partial(is_stuck, status="SUBMITTED", in_flight=0))
plays("hanging_upload", "novicezk", "trueai", "new-api")(partial(is_stuck, status="NOT_START", in_flight=1))


@plays("slow_not_start", "novicezk")
def slow_not_start(client: SimulatorClient) -> None:
    task_id = client.submitted()
    assert client.fetch(task_id).json()["status"] == "NOT_START"
    task = client.until(task_id, "SUCCESS")
    assert task["startTime"] - task["submitTime"] >= 290


@plays("slow_not_start", "trueai")
def slow_submit_of_trueai(client: SimulatorClient) -> None:
    answer = client.submit()
    assert answer.elapsed.total_seconds() >= 0.29
    client.until(answer.json()["result"], "SUCCESS")


@plays("slow_work", *ALL)
def slow_work(client: SimulatorClient) -> None:
    task = client.described()
    assert task["finishTime"] - task["startTime"] >= 290


@plays("vanish_after_seconds", "novicezk", "trueai")
def vanish(client: SimulatorClient) -> None:
    task_id = client.described()["id"]
    while client.fetch(task_id).content:
        pass
    assert client.listed(task_id) == []


@plays("unknown_at_first", *ALL)
def unknown_at_first(client: SimulatorClient) -> None:
    task_id = client.submitted()
    assert client.fetch(task_id).content == client.fetch("0").content
    assert client.until(task_id, "SUCCESS")["id"] == task_id


@plays("foreign_state", *ALL)
def foreign_state(client: SimulatorClient) -> None:
    assert client.described(state="mine")["state"] == "not-mine"
