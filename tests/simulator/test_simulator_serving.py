from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from simulator_client import SimulatorClient, data_uri, picture

from airflow_midjourney.testing.__main__ import main
from airflow_midjourney.testing.simulator.catalogue import CATALOGUE
from airflow_midjourney.testing.simulator.identifiers import IdentifierSource
from airflow_midjourney.testing.simulator.serving import running_simulator
from airflow_midjourney.testing.simulator.settings import SettingError, SimulatorSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    ready = tmp_path / "ready"
    command = [
        sys.executable,
        "-m",
        "airflow_midjourney.testing",
        "--dialect",
        "trueai",
        "--latency",
        "0.05",
        "--key",
        "k",
    ]
    process = subprocess.Popen(
        [*command, "--ready-file", str(ready), "--scenario", "slow_work:first=1,happy"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "plugins")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    yield process, ready
    process.kill()
    process.communicate()


def test_the_command_says_what_it_is_and_where(started: tuple[subprocess.Popen[str], Path]) -> None:
    process, ready = started
    assert process.stdout is not None
    notice = process.stdout.readline()
    listening = process.stdout.readline()
    assert notice.startswith("SIMULATOR: no real Midjourney, nothing is billed, prompts are computed from pixels")
    url = listening.removeprefix("listening on ").strip()
    assert url.startswith("http://127.0.0.1:")
    assert url in notice
    assert ready.read_text() == f"{url}\n"
    submit = {"base64": data_uri(picture())}
    answer = httpx.post(
        f"{url}/mj/submit/describe", json=submit, headers={"mj-api-secret": "k"}, trust_env=False, timeout=60
    )
    assert (answer.json()["code"], answer.headers["x-simulator"]) == (1, "1")
    process.terminate()
    assert process.wait(60) is not None
    assert process.stdout.read() == ""


def test_all_scenarios_are_listed_with_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list-scenarios"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(CATALOGUE)
    assert all(len(line.split()) > 2 for line in lines)


@pytest.mark.parametrize(
    "arguments",
    [["--scenario", "nonsense"], ["--slots", "0"], ["--latency", "-1"], ["--scenario", "ta_partner"]],
)
def test_bad_arguments_are_explained(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("simulator: ")


def test_a_taken_port_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    with running_simulator() as sim:
        assert main(["--port", sim.root.rpartition(":")[2]]) == 1
    assert "cannot listen" in capsys.readouterr().err


def test_stopping_does_not_wait_for_tasks_or_silent_answers() -> None:
    with running_simulator("novicezk", hang=300.0, scenarios=("ambiguous_submit_timeout", "slow_work")) as sim:
        client = SimulatorClient(sim, httpx.Client(base_url=sim.url, timeout=0.2, trust_env=False))
        with pytest.raises(httpx.ReadTimeout):
            client.submit()
        sim.stop()
        with pytest.raises(httpx.ConnectError):
            client.submit()
        client.http.close()


def test_two_simulators_share_nothing() -> None:
    with running_simulator("novicezk", key="a") as first, running_simulator("trueai") as second:
        answer = httpx.post(f"{second.url}/submit/describe", json={"base64": "YWJj"}, trust_env=False, timeout=60)
        assert answer.json()["code"] == 1
        assert (first.counters()["accepted"], second.counters()["accepted"]) == (0, 1)


def test_ids_follow_the_seed() -> None:
    def ids(seed: int) -> list[str]:
        source = IdentifierSource(seed, clock=lambda: 1754207000123)
        return [source.task_id() for _ in range(5)]

    assert ids(7) == ids(7) != ids(8)
    assert all(len(task_id) == 16 for task_id in ids(7))


def test_ids_stay_apart_within_one_millisecond() -> None:
    source = IdentifierSource(1, clock=lambda: 1754207000123)
    assert len({source.task_id() for _ in range(3000)}) == 3000


@pytest.mark.parametrize("values", [{"latency": -1.0}, {"slots": 0}, {"latency_spread": 2.0}, {"queue": -1}])
def test_settings_are_checked(values: dict[str, float]) -> None:
    with pytest.raises(SettingError):
        SimulatorSettings(**values)  # type: ignore[arg-type]
