"""The demo as a newcomer runs it: stopped half-way, run again, and once more."""

from __future__ import annotations

import os
import re
import shutil
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
from demo.photos import make_images
from demo.processes import Children
from tests.support.browser import started_browser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_midjourney.testing.simulator.serving import RunningSimulator


def start_demo(folder: Path, *options: str, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "demo", "--folder", str(folder), *options],
        cwd=REPOSITORY,
        env=os.environ | {"COLUMNS": "100"} | variables,
        stdin=subprocess.DEVNULL,
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


def run_to_its_end(folder: Path, *options: str, **variables: str) -> tuple[int, str]:
    demo = start_demo(folder, *options, **variables)
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


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Real photographs, and what lies beside them in a folder of a person."""
    folder = tmp_path / "My Pictures ü"
    made = {image.name: image.body for image in make_images()}
    for name in ("camera.jpg", "cat.jpg", "rocket.jpg", "coffee.webp", "cut-off.jpg"):
        path = folder / ("a trip, 2024" if name == "cat.jpg" else "") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(made[name])
    (folder / "a trip, 2024" / "the same (1).jpg").write_bytes(made["cat.jpg"])
    (folder / "to do.txt").write_text("buy a frame")
    (folder / "camera.txt").write_text("my own caption")
    (folder / "a trip, 2024" / "up").symlink_to(folder)
    return folder


def captions(pictures: Path) -> dict[str, str]:
    return {str(path.relative_to(pictures)): path.read_text() for path in pictures.rglob("*.txt")}


@pytest.mark.timeout(600)
def test_a_folder_of_one_s_own_is_described_once_and_gets_its_captions(tmp_path: Path, pictures: Path) -> None:
    options = ("--photos", str(pictures))
    before = {path: path.read_bytes() for path in pictures.rglob("*") if path.is_file()}

    status, output = run_to_its_end(tmp_path / ".demo", *options)

    assert status == 0, output
    assert "6 pictures among 8 files" in output
    assert "links to folders, which are not followed: 1" in output
    assert "\ndescribed 4 of 6 images, 1 shared, 1 rejected\n" in output
    assert "\na trip, 2024/the same" in output
    assert "billed 4 descriptions in this run" in output
    assert {path: path.read_bytes() for path in pictures.rglob("*") if path.is_file()} == before

    status, output = run_to_its_end(tmp_path / ".demo", *options)

    assert status == 0, output
    assert "Nothing to pay for: all 6 images" in output
    assert "billed 0 descriptions in this run" in output

    status, output = run_to_its_end(tmp_path / ".demo", *options, "--export", "kohya")

    assert status == 0, output
    assert "billed 0 descriptions in this run" in output
    assert "Captions: 4 written beside the pictures, 0 unchanged." in output
    assert "1 exist and were not written here, or were edited; they stay as they are: camera.txt" in output
    assert sorted(captions(pictures)) == [
        "a trip, 2024/cat.txt",
        "a trip, 2024/the same (1).txt",
        "camera.txt",
        "coffee.txt",
        "rocket.txt",
        "to do.txt",
    ]
    assert captions(pictures)["camera.txt"] == "my own caption"
    assert len(captions(pictures)["rocket.txt"]) > 20
    assert_nothing_is_left(tmp_path / ".demo")


@pytest.mark.timeout(600)
def test_a_real_service_is_paid_once_and_its_key_is_written_nowhere(
    tmp_path: Path, pictures: Path, simulate: Callable[..., RunningSimulator]
) -> None:
    key = "sk-of-a-real-service"
    service = simulate(dialect="new-api", key=key, latency=0.2, price=0.02)
    options = ("--photos", str(pictures), "--service", service.root)
    data = tmp_path / "data"
    variables = {"MIDJOURNEY_KEY": key, "PRICE": "0.02", "XDG_DATA_HOME": str(data)}

    status, output = run_to_its_end(tmp_path / ".demo", *options, **variables, PAY="yes")

    assert status == 0, output
    assert f"6 images of {pictures} would be sent to {service.root}, at most 0.12 USD at 0.02 each." in output
    assert "took 4 images in this run: 0.08 USD" in output
    assert service.counters()["billed"] == 4
    told = [output]

    # What `make clean` removes is not what was paid for.
    shutil.rmtree(tmp_path / ".demo")
    status, output = run_to_its_end(tmp_path / ".demo", *options, "--export", "kohya", **variables, PAY="yes")

    assert status == 0, output
    assert "Nothing to pay for: all 6 images" in output
    assert "Captions: 4 written" in output
    assert service.counters()["requests"]["submit"] == 4
    files = [path for folder in (tmp_path / ".demo", data, pictures) for path in folder.rglob("*") if path.is_file()]
    told += [output, *(path.read_bytes().decode("latin-1") for path in files)]
    assert [text for text in told if key in text] == []


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
        # The UI logs its reader in on the way.
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
            airflow.run_dag({}, {}, lambda line: None, lambda: None)

    assert "The run of describe_images failed:" in str(caught.value)
    assert "airflow.log" in str(caught.value)
    assert folder.airflow_log.read_text()
