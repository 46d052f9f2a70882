"""A folder of the user's own from its start to its end: on the simulator, or on a service that costs money."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from demo.airflow_run import DAG_ID, Airflow, RunError
from demo.airflow_ui import keep_open
from demo.captions import RECORD, write_captions
from demo.folder import shown
from demo.processes import Children
from demo.progress import Progress
from demo.real_service import agree
from demo.report import report
from demo.rows import read_paid, read_planned, read_rows, tally
from demo.services import (
    RealBill,
    connections,
    read_bill,
    real,
    simulated,
    start_folder_store,
    start_simulator,
)
from demo.session import forget_what_was_interrupted, say_how_to_read

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from demo.captions import Outcome
    from demo.folder import DemoFolder
    from demo.interruption import Interruption
    from demo.photo_folder import PhotoFolder
    from demo.real_service import RealService
    from demo.screen import Screen
    from demo.services import Bill

#: Names of pictures or captions that one line tells.
_MOST_NAMES: Final = 20

#: What the export's reasons mean here.
_REASONS: Final = {
    "unsupported": "kohya's trainers do not read such files (they read PNG, JPEG, WebP and BMP)",
    "refused": "the prompt is a sentence of a model that did not describe the image",
    "near_empty": "the prompt is too short",
}


@dataclass(frozen=True, slots=True)
class Order:
    """What the user asked for.

    :param service: None for the simulator.
    :param captions: whether to leave captions beside the pictures.
    :param stay: whether to leave Airflow running.
    """

    photos: PhotoFolder
    service: RealService | None
    captions: bool
    stay: bool


def answers_folder(environment: Mapping[str, str]) -> Path:
    """Give where answers are kept that were paid for: outside the repository, where ``make clean`` finds nothing."""
    data = environment.get("XDG_DATA_HOME", "")
    return (Path(data) if data.startswith("/") else Path.home() / ".local" / "share") / "airflow-provider-midjourney"


def describe_own(order: Order, folder: DemoFolder, repository: Path, screen: Screen, interruption: Interruption) -> int:
    """Describe the folder, write the captions if they are asked for, and stop everything again.

    :return: the exit status.
    :raises ProcessError: if a part of it fails; what the table holds is shown before.
    :raises DeclinedError: if the user does not agree to the price.
    :raises ServiceError: if there is no way to ask.
    :raises PhotosError: if captions cannot be written.
    :raises StoppedError: if the user asked to stop.
    """
    _introduce(order, folder, screen)
    if order.service is None:
        forget_what_was_interrupted(screen, folder, order.photos.pictures)
    folder.airflow_log.write_text("", encoding="utf-8")
    with Children() as children:
        airflow = Airflow(folder, repository, children, interruption)
        started = _start(order, airflow, screen)
        cap = _cap(order, airflow, started, screen)
        failure = _run(order, airflow, started, screen, cap)
        status = _finish(order, airflow, started.bill(), screen)
        if failure is not None:
            raise failure
        if order.stay:
            keep_open(airflow, started.variables, screen)
    return status


@dataclass(frozen=True, slots=True)
class _Started:
    """The servers.

    :param variables: connections and settings of Airflow.
    :param bill: asks what this run has cost so far.
    """

    variables: dict[str, str]
    bill: Callable[[], Bill]


def _introduce(order: Order, folder: DemoFolder, screen: Screen) -> None:
    screen.say(f"airflow-provider-midjourney: the pictures of {order.photos.path} become prompts in a table", "bold")
    for line in order.photos.contents().lines():
        screen.say(f"  {line}")
    if order.service is None:
        screen.say("A simulator stands in for Midjourney: it makes up its prompts from the pixels. Nothing leaves this")
        screen.say("machine, and nothing is to be paid. SERVICE=https://... describes them for real.")
    screen.say(f"The pictures stay where they are. The table is {shown(folder.table)}; {_who_removes(order)}.")
    screen.say()


def _who_removes(order: Order) -> str:
    return "`make clean` removes it" if order.service is None else "its answers are paid for, so no command removes it"


def _start(order: Order, airflow: Airflow, screen: Screen) -> _Started:
    folder, interruption, children = airflow.folder, airflow.interruption, airflow.children
    screen.step("Starting an S3 server that shows the folder, and Airflow's database")
    migration, login = airflow.start_migration(), secrets.token_hex(12)
    store = start_folder_store(children, folder, airflow.repository, order.photos, login)
    if order.service is None:
        url = start_simulator(children, folder, airflow.repository).url(interruption)
        service, bill = simulated(url), _play_bill(url)
    else:
        service, bill = real(order.service), _real_bill(order.service, folder.table)
    s3_url = store.url(interruption)
    airflow.finish_migration(migration)
    return _Started(connections(service, s3_url, folder.table, login), bill)


def _play_bill(url: str) -> Callable[[], Bill]:
    return lambda: read_bill(url)


def _real_bill(service: RealService, table: Path) -> Callable[[], Bill]:
    before = read_paid(table)
    return lambda: RealBill(read_paid(table) - before, service)


def _cap(order: Order, airflow: Airflow, started: _Started, screen: Screen) -> int | None:
    """Say how many images the run may pay for: what the user has agreed to, or all that there are in play money.

    :return: None for no cap.
    """
    if order.service is None:
        return None
    screen.step("Counting what would be sent (Airflow takes some seconds to start)")
    airflow.run_dag(_conf(order) | {"plan_only": True}, started.variables, lambda line: None, lambda: None)
    number = read_planned(airflow.folder.table)
    if number:
        agree(number, str(order.photos.path), order.service, screen, airflow.interruption)
    return number


def _run(order: Order, airflow: Airflow, started: _Started, screen: Screen, cap: int | None) -> RunError | None:
    """Run the DAG, where there is something to send or to wait for.

    :return: why it failed: the table is shown first.
    """
    pictures = order.photos.pictures
    if cap == 0 and not tally(read_rows(airflow.folder.table, pictures)).unfinished:
        return None
    screen.step(f"Airflow runs the DAG {DAG_ID} (takes some seconds to start)")
    progress = Progress(screen, airflow.folder.table, pictures)
    conf = _conf(order) | ({} if cap is None else {"max_submissions": cap})
    try:
        airflow.run_dag(conf, started.variables, progress.hear, progress.look)
    except RunError as error:
        return error
    return None


def _conf(order: Order) -> dict[str, object]:
    pictures = order.photos.pictures
    return {"bucket": pictures.bucket, "prefix": pictures.prefix}


def _finish(order: Order, airflow: Airflow, bill: Bill, screen: Screen) -> int:
    folder, pictures = airflow.folder, order.photos.pictures
    rows = read_rows(folder.table, pictures)
    report(screen, pictures, rows, bill)
    if order.captions:
        outcome = write_captions(order.photos, folder.table, is_play=order.service is None)
        _say_captions(order, outcome, screen)
    screen.say()
    screen.say("Where to look next:")
    say_how_to_read(screen, folder)
    if not order.captions:
        screen.say("  EXPORT=kohya: captions as files beside the pictures, for LoRA trainers; nothing is paid again")
    counted = tally(rows)
    if counted.unfinished:
        screen.say(f"Run it once more: {counted.unfinished} images are not done yet.")
    return 1 if counted.unfinished or not rows else 0


def _say_captions(order: Order, outcome: Outcome, screen: Screen) -> None:
    screen.say()
    screen.say(f"Captions: {outcome.written} written beside the pictures, {outcome.unchanged} unchanged.", "bold")
    if order.service is None:
        screen.say("The simulator made them up. A run with SERVICE= replaces all that you have not edited.")
    _say_names(screen, "exist and were not written here, or were edited; they stay as they are", outcome.kept)
    _say_names(screen, "have none, since another picture has the same name but for its ending", outcome.collisions)
    for reason, number in outcome.left_out.items():
        screen.say(f"  {number} have none: {_REASONS.get(reason, reason)}")
    if outcome.gone:
        screen.say(f"  {outcome.gone} have none: the picture is not there any more")
    screen.say(f"{RECORD} in that folder says which captions were written here.")


def _say_names(screen: Screen, what: str, names: list[str]) -> None:
    if not names:
        return
    more = f" and {len(names) - _MOST_NAMES:,} more" if len(names) > _MOST_NAMES else ""
    screen.say(f"  {len(names)} {what}: {', '.join(names[:_MOST_NAMES])}{more}")
