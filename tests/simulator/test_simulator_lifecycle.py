from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from simulator_client import picture

from airflow_midjourney.testing.simulator.serving import UNTIL_HURRIED

if TYPE_CHECKING:
    from conftest import Running


def codes(answers: list[dict[str, object]]) -> list[object]:
    return [answer["code"] for answer in answers]


def test_novicezk_runs_three_and_lets_ten_wait(simulate: Running) -> None:
    client = simulate("novicezk", "hanging_upload")
    answers = [client.submit(picture(number)).json() for number in range(14)]
    assert codes(answers) == [1, 1, 1, 1, *[22] * 9, 23]
    assert [answer["properties"]["numberOfQueues"] for answer in answers[4:13]] == list(range(1, 10))
    assert answers[4]["description"] == "排队中，前面还有1个任务"
    assert answers[13]["result"] is None
    counters = client.sim.counters()
    assert (counters["running"], counters["waiting"], counters["high_water"]) == (3, 10, 13)
    assert counters["refused"] == {"queue_full": 1}
    assert len(client.http.get("/task/queue").json()) == 13


def test_trueai_says_code_9_when_it_is_full(simulate: Running) -> None:
    client = simulate("trueai", "slow_work", slots=1, queue=1, latency=0.0, pause=30)
    answers = [client.submit(picture(number)).json() for number in range(3)]
    assert codes(answers) == [1, 1, 9]
    assert answers[2]["description"] == "提交失败，队列已满，请稍后重试"


def test_the_gateway_rewrites_22_and_passes_23_on_unbilled(simulate: Running) -> None:
    client = simulate("new-api", "hanging_upload", slots=1, queue=2)
    answers = [client.submit(picture(number)).json() for number in range(4)]
    assert codes(answers) == [1, 1, 1, 23]
    assert answers[2]["description"] == "排队中，前面还有1个任务"
    assert (client.count("accepted"), client.count("billed")) == (3, 3)


@pytest.mark.parametrize("dialect", ["novicezk", "trueai"])
def test_a_task_passes_through_all_stages(simulate: Running, dialect: str) -> None:
    client = simulate(dialect, "slow_work", pause=UNTIL_HURRIED)
    task_id = client.submitted()
    seen = [client.until(task_id, "NOT_START", "SUBMITTED")["status"]]
    submitted = client.until(task_id, "SUBMITTED")
    assert (submitted["progress"], submitted["finishTime"]) == ("0%", None)
    client.sim.hurry()
    done = client.until(task_id, "SUCCESS")
    assert seen[0] in {"NOT_START", "SUBMITTED"}
    assert done["submitTime"] <= done["startTime"] <= done["finishTime"]


def test_tasks_can_be_made_older(simulate: Running) -> None:
    client = simulate("novicezk", latency=0.0)
    old = client.until(client.submitted(picture(0)), "SUCCESS")
    client.sim.age(60)
    young = client.until(client.submitted(picture(1)), "SUCCESS")

    aged = client.until(old["id"], "SUCCESS")
    times = ("submitTime", "startTime", "finishTime")
    assert [old[name] - aged[name] for name in times] == [60_000] * 3
    assert young["submitTime"] - aged["submitTime"] >= 60_000
    with pytest.raises(httpx.HTTPStatusError):
        client.sim.age("long")  # type: ignore[arg-type]


def test_who_waits_is_served_when_there_is_room(simulate: Running) -> None:
    client = simulate("novicezk", slots=1, queue=5)
    ids = [client.submitted(picture(number)) for number in range(6)]
    ends = [client.until(task_id, "SUCCESS")["finishTime"] for task_id in ids]
    assert ends == sorted(ends)
    assert client.count("high_water") == 6
    assert client.count("in_flight") == 0


def test_ids_have_sixteen_digits_and_never_repeat(simulate: Running) -> None:
    client = simulate("novicezk", "stuck_not_start", slots=50)
    ids = [client.submitted(picture(number)) for number in range(40)]
    assert len(set(ids)) == 40
    assert all(len(task_id) == 16 and task_id.isdecimal() for task_id in ids)


def test_a_restart_forgets_what_was_in_memory(simulate: Running) -> None:
    client = simulate("novicezk")
    done = client.described()["id"]
    client.sim.set_scenarios(["stuck_submitted"])
    stuck = client.submitted(picture(1))
    client.sim.restart_service()
    assert client.fetch(done).content == client.fetch(stuck).content == b""
    assert client.count("billed") == 2


def test_trueai_runs_unfinished_tasks_again_after_a_restart(simulate: Running) -> None:
    client = simulate("trueai", "slow_work:first=1", pause=30)
    task_id = client.submitted()
    client.until(task_id, "SUBMITTED")
    client.sim.restart_service()
    assert [task["reruns"] for task in client.sim.tasks()] == [1]
    assert client.fetch(task_id).status_code == 200


def test_a_task_that_is_hurried_ends_at_once_and_a_later_one_does_not(simulate: Running) -> None:
    client = simulate("trueai", "slow_work", pause=UNTIL_HURRIED)
    hurried = client.submitted(picture(1))
    client.until(hurried, "SUBMITTED")
    client.sim.hurry()
    client.until(hurried, "SUCCESS")
    later = client.submitted(picture(2))
    client.until(later, "SUBMITTED")

    assert [client.fetch(task_id).json()["status"] for task_id in (hurried, later)] == ["SUCCESS", "SUBMITTED"]


def test_a_gateway_keeps_for_ever_what_its_upstream_forgot(simulate: Running) -> None:
    client = simulate("new-api", "stuck_submitted")
    task_id = client.submitted()
    client.until(task_id, "SUBMITTED")
    client.sim.restart_service()
    assert client.fetch(task_id).json()["status"] == "SUBMITTED"
    assert client.sim.tasks() == []
