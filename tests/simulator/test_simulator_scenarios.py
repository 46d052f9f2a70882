"""Each scenario does what its name says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import checks_of_answers
import checks_of_doors
import checks_of_tasks
import pytest
from simulator_client import ENDED, picture

from airflow_midjourney.testing.simulator.catalogue import CATALOGUE
from airflow_midjourney.testing.simulator.scenarios import ActiveScenario, ScenarioBook, ScenarioError
from airflow_midjourney.testing.simulator.settings import DialectName

if TYPE_CHECKING:
    from conftest import Running
    from scenario_checks import Check

CHECKS = [*checks_of_tasks.CHECKS, *checks_of_answers.CHECKS, *checks_of_doors.CHECKS]

#: Played in the tests of callbacks.
ELSEWHERE = {name for name in CATALOGUE if name.startswith("callback")} | {"gateway_forwards_hooks"}


@pytest.mark.parametrize(("name", "dialect", "check"), CHECKS, ids=[f"{name}-{dialect}" for name, dialect, _ in CHECKS])
def test_scenario(simulate: Running, name: str, dialect: str, check: Check) -> None:
    client = simulate(dialect, name)
    check(client)
    assert all(active["played"] > 0 for active in client.count("scenarios") if active["name"] == name)


def test_every_scenario_is_played() -> None:
    assert {name for name, _, _ in CHECKS} | ELSEWHERE == set(CATALOGUE)


def test_retry_after_is_a_header(simulate: Running) -> None:
    assert simulate("novicezk", "http_429_retry_after").submit().headers["retry-after"] == "2"


def test_first_limits_how_often_a_scenario_plays(simulate: Running) -> None:
    client = simulate("novicezk", "http_429_empty:first=2")
    assert [client.submit().status_code for _ in range(4)] == [429, 429, 200, 200]


def test_every_lets_a_scenario_play_again_and_again(simulate: Running) -> None:
    client = simulate("novicezk", "http_429_empty:every=3")
    assert [client.submit().status_code for _ in range(7)] == [200, 200, 429, 200, 200, 429, 200]


def test_a_share_hits_the_same_images_each_time(simulate: Running) -> None:
    client = simulate("novicezk", "banned_image:share=0.3", latency=0.0, slots=50)

    def outcomes() -> list[str]:
        ids = [client.submitted(picture(number)) for number in range(30)]
        return [client.until(task_id, *ENDED)["status"] for task_id in ids]

    first = outcomes()
    assert first == outcomes()
    assert 2 <= first.count("FAILURE") <= 18


def test_times_lets_each_image_succeed_in_the_end(simulate: Running) -> None:
    client = simulate("novicezk", "failed_to_process:times=1", latency=0.0)
    statuses = [client.described(picture(number))["status"] for number in (1, 2, 1, 2)]
    assert statuses == ["FAILURE", "FAILURE", "SUCCESS", "SUCCESS"]


def test_scenarios_combine(simulate: Running) -> None:
    client = simulate("novicezk", "queue_full:first=1,in_progress", "false_success", latency=0.0)
    assert client.submit().json()["code"] == 23
    assert client.described()["promptEn"].startswith("Could not")


def test_a_share_of_a_list_hits_items(simulate: Running) -> None:
    client = simulate("trueai", "missing_list_id:share=1.0")
    assert client.listed(client.submitted(), client.submitted(picture(1))) == []


@pytest.mark.parametrize("text", ["nonsense", "happy:last=1", "happy:first=x", "happy:first", ""])
def test_malformed_scenarios_are_refused(text: str) -> None:
    with pytest.raises(ScenarioError):
        ActiveScenario.parse(text)


def test_scenarios_of_another_service_are_refused_and_change_nothing() -> None:
    book = ScenarioBook(DialectName.NOVICEZK, ["happy"])
    with pytest.raises(ScenarioError):
        book.set(["captcha", "ta_partner"])
    assert [active.scenario.name for active in book.active] == ["happy"]
