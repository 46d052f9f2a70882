"""``python -m demo``: describe a dozen photographs, or a folder of one's own, on embedded parts and show the result."""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from demo.environment import isolated, proxies_of
from demo.interruption import Interruption, StoppedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from demo.own_photos import Order

REPOSITORY: Final = Path(__file__).resolve().parents[1]

_NEEDED: Final = ("airflow", "boto3", "moto", "PIL", "rich", "skimage", "uvicorn")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0, 1 after a failure, 130 after Ctrl-C."""
    given = _parser().parse_args(arguments)
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        print(f"demo: this Python lacks {', '.join(missing)}; run `make demo`, which installs them.", file=sys.stderr)
        return 1
    sys.path.insert(0, str(REPOSITORY / "plugins"))
    try:
        order = _read_order(given)
    except KeyboardInterrupt:
        _say("Stopped by Ctrl-C; nothing was started.")
        return 130
    except ValueError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    _isolate_this_process(order)
    with Interruption() as interruption:
        try:
            return _run(given, order, interruption)
        except StoppedError as stop:
            _say(f"Stopped by {stop.name}; nothing is left running.")
            return 128 + stop.number
        except BrokenPipeError:
            _close_output()
            return 128 + signal.SIGPIPE


def _run(given: argparse.Namespace, order: Order | None, interruption: Interruption) -> int:
    from airflow_midjourney.describe.model.errors import DescribeError
    from demo.folder import DemoFolder, FolderError
    from demo.own_photos import answers_folder, describe_own
    from demo.photo_folder import PhotosError
    from demo.processes import ProcessError
    from demo.real_service import DeclinedError, ServiceError
    from demo.screen import Screen
    from demo.session import run_demo, show_demo

    screen = Screen()
    is_real = order is not None and order.service is not None
    folder = DemoFolder(given.folder.resolve(), answers_folder(os.environ) if is_real else None)
    try:
        with folder.locked():
            if order is not None:
                return describe_own(order, folder, REPOSITORY, screen, interruption)
            run = show_demo if given.ui else run_demo
            return run(folder, REPOSITORY, screen, interruption)
    except DeclinedError:
        screen.say("Nothing was sent, and nothing is to be paid.")
        return 0
    except (DescribeError, FolderError, PhotosError, ProcessError, ServiceError) as error:
        screen.failure(str(error))
        return 1


def _read_order(given: argparse.Namespace) -> Order | None:
    """Read the user's order about a folder of their own; None for the demo's photographs.

    :raises ValueError: for what makes no sense.
    """
    if given.photos is None:
        if given.service is not None or given.export is not None:
            raise ValueError("SERVICE and EXPORT are for a folder of your own: add PHOTOS=~/pictures.")
        return None
    if given.export not in (None, "kohya"):
        raise ValueError(f"EXPORT={given.export} is not known here; EXPORT=kohya is.")
    from demo.own_photos import Order
    from demo.photo_folder import PhotosError, open_photos
    from demo.real_service import ServiceError, read_service

    try:
        photos = open_photos(given.photos)
        service = None if given.service is None else read_service(given.service, os.environ)
    except (PhotosError, ServiceError) as error:
        raise ValueError(str(error)) from None
    return Order(photos, service, captions=given.export is not None, stay=given.ui)


def _say(line: str) -> None:
    try:
        print(f"\n{line}", flush=True)
    except BrokenPipeError:
        _close_output()


def _close_output() -> None:
    """Send what is still buffered nowhere: the reader of the output has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _isolate_this_process(order: Order | None) -> None:
    """Leave the user's settings and keys outside; a real service may lie behind the user's own web gateway."""
    settings = isolated(os.environ)
    if order is not None and order.service is not None:
        settings |= proxies_of(os.environ)
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
    parser.add_argument("--photos", help="a folder of your own to describe instead of the demo's photographs")
    parser.add_argument("--service", help="the address of a real service, instead of the simulator; costs money")
    parser.add_argument("--export", help="kohya: leave captions beside the pictures")
    parser.add_argument("--ui", action="store_true", help="then leave Airflow running with its UI, until Ctrl-C")
    return parser


if __name__ == "__main__":
    sys.exit(main())
