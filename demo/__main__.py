"""``python -m demo``: describe a dozen real images on embedded parts and show the result."""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from demo.environment import isolated
from demo.interruption import Interruption, StoppedError

if TYPE_CHECKING:
    from collections.abc import Sequence

REPOSITORY: Final = Path(__file__).resolve().parents[1]

_NEEDED: Final = ("airflow", "boto3", "moto", "PIL", "rich", "skimage", "uvicorn")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0, 1 after a failure, 130 after Ctrl-C."""
    given = _parser().parse_args(arguments)
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        print(f"demo: this Python lacks {', '.join(missing)}; run `make demo`, which installs them.", file=sys.stderr)
        return 1
    _isolate_this_process()
    with Interruption() as interruption:
        try:
            return _run(given.folder, interruption, stay=given.ui)
        except StoppedError as stop:
            _say(f"Stopped by {stop.name}; nothing is left running.")
            return 128 + stop.number
        except BrokenPipeError:
            _close_output()
            return 128 + signal.SIGPIPE


def _run(folder: Path, interruption: Interruption, *, stay: bool) -> int:
    from demo.folder import DemoFolder, FolderError
    from demo.processes import ProcessError
    from demo.screen import Screen
    from demo.session import run_demo, show_demo

    screen = Screen()
    demo_folder = DemoFolder(folder.resolve())
    try:
        with demo_folder.locked():
            run = show_demo if stay else run_demo
            return run(demo_folder, REPOSITORY, screen, interruption)
    except (FolderError, ProcessError) as error:
        screen.failure(str(error))
        return 1


def _say(line: str) -> None:
    try:
        print(f"\n{line}", flush=True)
    except BrokenPipeError:
        _close_output()


def _close_output() -> None:
    """Send what is still buffered nowhere: whoever read the output has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _isolate_this_process() -> None:
    settings = isolated(os.environ)
    os.environ.clear()
    os.environ.update(settings)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument(
        "--folder",
        type=Path,
        default=REPOSITORY / ".demo",
        help="where everything that the demo makes is kept (default: .demo in the repository)",
    )
    parser.add_argument("--ui", action="store_true", help="then leave Airflow running with its UI, until Ctrl-C")
    return parser


if __name__ == "__main__":
    sys.exit(main())
