"""Nothing that the demo starts outlives it, and its folder is its own."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]
import pytest

from demo.environment import isolated
from demo.folder import DemoFolder, FolderError
from demo.interruption import Interruption, StoppedError
from demo.processes import Child, Children, ProcessError, read_lines, wait_for_end

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: A process that starts another one, tells its id, and does not end when asked to.
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, lambda *_: None)
print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"]).pid, flush=True)
time.sleep(100)
"""


def start(children: Children, tmp_path: Path, code: str) -> Child:
    return children.start_with_pipe(
        "a process", (sys.executable, "-c", code), log=tmp_path / "log", environment=os.environ, folder=tmp_path
    )


def test_leaving_stops_even_what_does_not_want_to_and_what_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("demo.processes._PATIENCE", 0.3)
    with Interruption() as interruption, Children() as children:
        child = start(children, tmp_path, STUBBORN)
        grandchild = int(next(lines[0] for lines in read_lines(child, interruption) if lines))

    assert child.process.returncode == -signal.SIGKILL
    assert not psutil.pid_exists(grandchild) or psutil.Process(grandchild).status() == psutil.STATUS_ZOMBIE


def test_all_lines_are_read_with_the_last_one_that_has_no_end(tmp_path: Path) -> None:
    code = "import sys; print('x' * 100000); print('ü'); sys.stdout.write('no end')"
    with Interruption() as interruption, Children() as children:
        lines = [line for some in read_lines(start(children, tmp_path, code), interruption) for line in some]

    assert lines == ["x" * 100000, "ü", "no end"]


def test_a_process_that_fails_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Interruption() as interruption, Children() as children:
        child = children.start(
            "a process",
            (sys.executable, "-c", "print('last words'); raise SystemExit(3)"),
            log=log,
            environment=os.environ,
            folder=tmp_path,
        )
        with pytest.raises(ProcessError, match=r"(?s)a process ended with status 3.*last words"):
            wait_for_end(child, 30, interruption)


@pytest.fixture
def _without_nohup() -> Iterator[None]:
    """Tests that nohup started ignore what a closed terminal says."""
    theirs = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, theirs)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.usefixtures("_without_nohup")
def test_a_signal_is_noticed_at_the_next_check(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Interruption() as interruption:
        interruption.check()
        signal.raise_signal(number)
        time.sleep(0)
        with pytest.raises(StoppedError) as caught:
            interruption.pause()

    assert caught.value.number == number
    assert signal.getsignal(number) is before


def test_accounts_settings_and_proxies_of_the_user_stay_outside() -> None:
    theirs = {
        "PATH": "/bin",
        "AIRFLOW__CORE__EXECUTOR": "x",
        "AIRFLOW_CONN_AWS_DEFAULT": "x",
        "AWS_PROFILE": "x",
        "https_proxy": "x",
    }

    ours = isolated(theirs)

    assert ours["PATH"] == "/bin"
    assert "x" not in ours.values()


def test_a_folder_belongs_to_one_demo_at_a_time_and_to_demos_only(tmp_path: Path) -> None:
    mine = DemoFolder(tmp_path / "new" / ".demo")
    with mine.locked(), pytest.raises(FolderError, match="Another demo is running"), mine.locked():
        pass
    with mine.locked():
        mine.table.write_text("rows")
        mine.forget_table()
        assert not mine.table.exists()

    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(FolderError, match="files that no demo made"), DemoFolder(tmp_path).locked():
        pass


@pytest.mark.parametrize("name", ["100%", "why?", "#1"])
def test_a_folder_that_airflow_cannot_use_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(FolderError, match="use another --folder"), DemoFolder(tmp_path / name).locked():
        pass

    assert not (tmp_path / name).exists()
