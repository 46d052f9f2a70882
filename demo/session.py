"""One demo from its start to its end."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

from demo.airflow_run import DAG_ID, Airflow
from demo.airflow_ui import keep_open
from demo.folder import shown
from demo.photos import BUCKET, PREFIX, make_images
from demo.processes import Children
from demo.progress import Progress
from demo.report import report
from demo.rows import read_rows, tally
from demo.services import connections, fill_bucket, read_bill, start_object_store, start_simulator

if TYPE_CHECKING:
    from pathlib import Path

    from demo.folder import DemoFolder
    from demo.interruption import Interruption
    from demo.photos import StoredImage
    from demo.screen import Screen
    from demo.services import Bill


def run_demo(folder: DemoFolder, repository: Path, screen: Screen, interruption: Interruption) -> int:
    """Run the demo and stop everything again.

    :return: the exit status.
    :raises ProcessError: if a part of it fails.
    :raises StoppedError: if somebody asked to stop.
    """
    _prepare(screen, folder)
    with Children() as children:
        airflow = Airflow(folder, repository, children, interruption)
        described = _describe(airflow, screen)
    return _report(airflow, screen, described)


def show_demo(folder: DemoFolder, repository: Path, screen: Screen, interruption: Interruption) -> int:
    """Run the demo, then leave Airflow running with its UI over what came of it, until somebody stops it.

    :raises ProcessError: if a part of it fails.
    :raises StoppedError: when somebody asks to stop.
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
    _forget_what_was_interrupted(screen, folder)
    folder.airflow_log.write_text("", encoding="utf-8")


def _report(airflow: Airflow, screen: Screen, described: _Described) -> int:
    rows = read_rows(airflow.folder.table)
    report(screen, airflow.folder, airflow.repository, rows, described.bill)
    return 1 if tally(rows).unfinished or not rows else 0


def _introduce(screen: Screen, folder: DemoFolder) -> None:
    screen.say("airflow-provider-midjourney: images under an S3 prefix become prompts in a table", "bold")
    screen.say(
        "A simulator stands in for Midjourney; it makes up its prompts from the pixels of each image. The S3 server"
    )
    screen.say("is a stand-in, too. Photographs, Airflow and the integration are real. Nothing leaves this machine.")
    screen.say(f"Everything is kept in {shown(folder.path)}; Airflow's log is {shown(folder.airflow_log)}.")
    screen.say()


def _forget_what_was_interrupted(screen: Screen, folder: DemoFolder) -> None:
    """Remove a table with images on their way: each simulator is a new one and knows nothing of them."""
    try:
        unfinished = tally(read_rows(folder.table)).unfinished
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
    fill_bucket(s3_url, BUCKET, images, interruption)
    screen.step(f"{len(images)} objects are in s3://{BUCKET}/{PREFIX}")
    simulator_url = simulator.url(interruption)
    airflow.finish_migration(migration)
    screen.step(f"Airflow runs the DAG {DAG_ID} (takes some seconds to start)")
    progress = Progress(screen, folder.table)
    found = connections(simulator_url, s3_url, folder.table)
    airflow.run_dag(found, progress.hear, progress.look)
    return _Described(read_bill(simulator_url), found)


def _make_images(folder: DemoFolder, interruption: Interruption) -> list[StoredImage]:
    images = []
    for image in make_images():
        interruption.check()
        (folder.photos / image.name).write_bytes(image.body)
        images.append(image)
    return images
