"""One demo from its start to its end."""

from __future__ import annotations

import shlex
import shutil
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from demo.airflow_run import DAG_ID, LIMIT, Airflow
from demo.airflow_ui import keep_open
from demo.folder import shown
from demo.photos import PICTURES, make_images
from demo.processes import Children
from demo.progress import Progress
from demo.report import report
from demo.rows import read_rows, tally
from demo.services import connections, fill_bucket, read_bill, simulated, start_object_store, start_simulator

if TYPE_CHECKING:
    from pathlib import Path

    from demo.folder import DemoFolder
    from demo.interruption import Interruption
    from demo.photos import StoredImage
    from demo.pictures import Pictures
    from demo.screen import Screen
    from demo.services import Bill

_EXAMPLE_QUERY: Final = "SELECT key, status, prompt_1 FROM image_prompts"


def run_demo(folder: DemoFolder, repository: Path, screen: Screen, interruption: Interruption) -> int:
    """Run the demo and stop everything again.

    :return: the exit status.
    :raises ProcessError: if a part of it fails.
    :raises StoppedError: if a person asked to stop.
    """
    _prepare(screen, folder)
    with Children() as children:
        airflow = Airflow(folder, repository, children, interruption)
        described = _describe(airflow, screen)
    return _report(airflow, screen, described)


def show_demo(folder: DemoFolder, repository: Path, screen: Screen, interruption: Interruption) -> int:
    """Run the demo, then leave Airflow running with its UI over what came of it, until a person stops it.

    :raises ProcessError: if a part of it fails.
    :raises StoppedError: when a person asks to stop.
    """
    _prepare(screen, folder)
    with Children() as children:
        airflow = Airflow(folder, repository, children, interruption)
        described = _describe(airflow, screen)
        status = _report(airflow, screen, described)
        keep_open(airflow, described.connections, screen)
    return status


@dataclass(frozen=True, slots=True)
class _Described:
    """What a run has left.

    :param connections: Airflow's, as environment variables.
    """

    bill: Bill
    connections: dict[str, str]


def _prepare(screen: Screen, folder: DemoFolder) -> None:
    _introduce(screen, folder)
    forget_what_was_interrupted(screen, folder, PICTURES)
    folder.airflow_log.write_text("", encoding="utf-8")


def _report(airflow: Airflow, screen: Screen, described: _Described) -> int:
    rows = read_rows(airflow.folder.table, PICTURES)
    report(screen, PICTURES, rows, described.bill)
    _say_where_next(airflow, screen, described.bill)
    return 1 if tally(rows).unfinished or not rows else 0


def _introduce(screen: Screen, folder: DemoFolder) -> None:
    screen.say("airflow-provider-midjourney: images under an S3 prefix become prompts in a table", "bold")
    screen.say(
        "A simulator stands in for Midjourney; it makes up its prompts from the pixels of each image. The S3 server"
    )
    screen.say("is a stand-in, too. Photographs, Airflow and the integration are real. Nothing leaves this machine.")
    screen.say(f"Everything is kept in {shown(folder.path)}; Airflow's log is {shown(folder.airflow_log)}.")
    screen.say()


def forget_what_was_interrupted(screen: Screen, folder: DemoFolder, pictures: Pictures) -> None:
    """Remove a table with images on their way: each simulator is a new one and knows nothing of them."""
    try:
        unfinished = tally(read_rows(folder.table, pictures)).unfinished
    except sqlite3.DatabaseError:
        screen.step(f"{shown(folder.table)} cannot be read: starting afresh")
        folder.forget_table()
        return
    if unfinished:
        screen.step(f"The last demo left {unfinished} images unfinished: starting afresh")
        folder.forget_table()


def _describe(airflow: Airflow, screen: Screen) -> _Described:
    folder, interruption = airflow.folder, airflow.interruption
    screen.step("Starting a simulator, an S3 server and Airflow's database")
    migration = airflow.start_migration()
    simulator = start_simulator(airflow.children, folder, airflow.repository)
    store = start_object_store(airflow.children, folder, airflow.repository)
    images = _make_images(folder, interruption)
    s3_url = store.url(interruption)
    fill_bucket(s3_url, PICTURES.bucket, images, interruption)
    screen.step(f"{len(images)} objects are in s3://{PICTURES.bucket}/{PICTURES.prefix}")
    simulator_url = simulator.url(interruption)
    airflow.finish_migration(migration)
    screen.step(f"Airflow runs the DAG {DAG_ID} (takes some seconds to start)")
    progress = Progress(screen, folder.table, PICTURES)
    found = connections(simulated(simulator_url), s3_url, folder.table)
    conf = {"bucket": PICTURES.bucket, "prefix": PICTURES.prefix}
    airflow.run_dag(conf, found, progress.hear, progress.look, LIMIT)
    return _Described(read_bill(simulator_url), found)


def _say_where_next(airflow: Airflow, screen: Screen, bill: Bill) -> None:
    folder = airflow.folder
    screen.say()
    screen.say("Where to look next:")
    say_how_to_read(screen, folder)
    screen.say(f"  {shown(folder.photos)}: the images; {shown(folder.airflow_log)}: all that Airflow said")
    screen.say("  make demo UI=1: the same, and then Airflow's pages in a browser")
    screen.say("  make demo PHOTOS=~/pictures: a folder of your own")
    screen.say(f"  {shown(airflow.repository / 'README.md')}: the same with your own bucket and service")
    if bill.billed:
        screen.say("Run it once more: it will pay for nothing, because every image has its row now.")


def say_how_to_read(screen: Screen, folder: DemoFolder) -> None:
    """Name a command that reads the table; not every machine has it."""
    table = shlex.quote(shown(folder.table))
    if shutil.which("sqlite3"):
        screen.say(f"  sqlite3 {table} '{_EXAMPLE_QUERY}'")
    else:
        screen.say(f"  {table}: the table, a file of SQLite for any program that reads such")


def _make_images(folder: DemoFolder, interruption: Interruption) -> list[StoredImage]:
    images = []
    for image in make_images():
        interruption.check()
        (folder.photos / image.name).write_bytes(image.body)
        images.append(image)
    return images
