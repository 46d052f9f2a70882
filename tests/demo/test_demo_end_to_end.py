"""The demo as a newcomer runs it: stopped half-way, run again, and once more."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import psutil  # type: ignore[import-untyped]
import pytest

from demo.__main__ import REPOSITORY
from demo.airflow_run import Airflow, RunError
from demo.folder import DemoFolder
from demo.interruption import Interruption
from demo.processes import Children
from tests.support.browser import started_browser

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def start_demo(folder: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "demo", "--folder", str(folder), *options],
        cwd=REPOSITORY,
        env=os.environ | {"COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def stop_on_the_way(folder: Path) -> tuple[int, str]:
    """Press Ctrl-C while images are on their way."""
    demo = start_demo(folder)
    assert demo.stdout is not None
    output = ""
    for line in demo.stdout:
        output += line
        if " on their way" in line:
            demo.send_signal(signal.SIGINT)
    return demo.wait(), output


def run_to_its_end(folder: Path) -> tuple[int, str]:
    demo = start_demo(folder)
    output, _ = demo.communicate()
    return demo.returncode, output


def assert_nothing_is_left(folder: Path) -> None:
    left = []
    for process in psutil.process_iter():
        try:
            facts = " ".join([*process.cmdline(), process.cwd(), process.environ().get("AIRFLOW_HOME", "")])
        except psutil.Error:
            continue
        left += [facts] if str(folder) in facts else []
    assert left == []
    for service in ("simulator", "s3"):
        address = urlsplit((folder / f"{service}.url").read_text().strip())
        with pytest.raises(ConnectionRefusedError), socket.create_connection((address.hostname, address.port), 5):
            pass


def statuses(folder: Path) -> dict[str, int]:
    connection = sqlite3.connect(folder / "image_prompts.sqlite")
    found = dict(connection.execute("SELECT status, count(*) FROM image_prompts GROUP BY status"))
    connection.close()
    return found


def test_it_can_be_stopped_and_run_again_and_pays_once(tmp_path: Path) -> None:
    folder = tmp_path / "my demo"

    status, output = stop_on_the_way(folder)

    assert status == 130, output
    assert output.endswith("\nStopped by Ctrl-C; nothing is left running.\n")
    assert "Traceback" not in output
    assert_nothing_is_left(folder)
    assert sum(statuses(folder).values()) == 12

    status, output = run_to_its_end(folder)

    assert status == 0, output
    assert "images unfinished: starting afresh" in output
    assert "\ndescribed 8 of 12 images, 1 shared, 3 rejected\n" in output
    assert "billed 8 descriptions in this run: 0.40 USD" in output
    assert "Nothing to pay for" not in output
    assert statuses(folder) == {"succeeded": 9, "rejected": 3}
    assert "\x1b" not in output
    assert_nothing_is_left(folder)

    status, output = run_to_its_end(folder)

    assert status == 0, output
    assert "wait: Nothing to pay for: 9 of 12 images have their prompts, 3 rejected before." in output
    assert "\ndescribed 8 of 12 images, 1 shared, 3 rejected\nNothing to pay for: all 12 images" in output
    assert "billed 0 descriptions in this run: 0.00 USD" in output
    assert_nothing_is_left(folder)


@pytest.fixture(scope="module")
def left_running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the Airflow that the demo has left running."""
    folder = tmp_path_factory.mktemp("left") / "demo"
    demo = start_demo(folder, "--ui")
    assert demo.stdout is not None
    output = ""
    for line in demo.stdout:
        output += line
        if line.startswith("Ctrl-C stops everything."):
            break
    try:
        found = re.search(r"Batches:  (http://127\.0\.0\.1:\d+/)plugin/midjourney", output)
        assert found is not None, output
        yield found[1]
    finally:
        demo.send_signal(signal.SIGINT)
        rest, _ = demo.communicate()

    assert demo.returncode == 130
    assert rest.endswith("\nStopped by Ctrl-C; nothing is left running.\n")
    assert_nothing_is_left(folder)


def test_airflow_is_left_running_for_who_wants_to_look(left_running: str) -> None:
    with httpx.Client(base_url=left_running, follow_redirects=True, timeout=60) as client:
        # Whoever opens the UI is logged in on the way.
        assert client.get("api/v2/auth/login").status_code == 200
        listed = client.get("midjourney/batches")
        assert listed.status_code == 200
        assert "describe_images" in listed.text
        (address, *_) = re.findall('batch[?]id=[^"]+', listed.text)
        batch = client.get(f"midjourney/{unescape(address)}")
        assert "12 of 12 images have ended (100 %)." in batch.text


def test_the_pages_are_in_airflows_menu_and_on_its_runs_and_tasks(left_running: str) -> None:
    with started_browser() as browser:
        page = browser.new_page(base_url=left_running)
        page.set_default_timeout(60_000)
        ours = page.frame_locator("iframe")

        page.goto("")
        page.get_by_role("link", name="Midjourney").click()
        ours.get_by_text("9 described").wait_for()
        assert "/plugin/midjourney" in page.url

        page.goto("dags/describe_images/runs")
        page.locator("a[href*='/dags/describe_images/runs/']").first.click()
        page.get_by_role("heading", name="manual__").wait_for()
        run = page.url
        page.locator("a[href$='/plugin/midjourney-run']").click()
        ours.get_by_text("Run: manual__").wait_for()
        assert run in page.url
        ours.get_by_text("9 described").wait_for()

        for task in ("submit", "wait"):
            page.goto(run)
            page.locator(f"a[href*='/runs/'][href$='/tasks/{task}']").first.click()
            page.locator("a[href$='/plugin/midjourney-task']").click()
            ours.get_by_role("heading", name="12 of 12 images have ended (100 %).").wait_for()
            assert f"/tasks/{task}/" in page.url


def test_a_run_that_fails_says_why(tmp_path: Path) -> None:
    folder = DemoFolder(tmp_path / ".demo")
    with folder.locked(), Interruption() as interruption, Children() as children:
        airflow = Airflow(folder, tmp_path / "a folder without DAGs", children, interruption)
        with pytest.raises(RunError) as caught:
            airflow.run_dag({}, lambda line: None, lambda: None)

    assert "The run of describe_images failed:" in str(caught.value)
    assert "airflow.log" in str(caught.value)
    assert folder.airflow_log.read_text()
