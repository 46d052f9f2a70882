"""The database goes away between an accepted POST and its record: the record is written when it is back."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.exc import OperationalError, ProgrammingError

from airflow_midjourney.describe.model.errors import TableError
from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.describe.table.schema import TableNames
from airflow_midjourney.testing.simulator.serving import UNTIL_HURRIED
from tests.support.crash_runs import PATIENT
from tests.support.places import MetadataPlace
from tests.support.postgres import start_server, stop_server

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_midjourney.describe.table.database import Database, Transaction
    from tests.support.crash import CrashingEngine
    from tests.support.crash_runs import CrashSite

IMAGES = 3


def _wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 180
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _are_answered(site: CrashSite, engine: CrashingEngine) -> bool:
    # Some may not have come to the service yet.
    site.simulator.hurry()
    return engine.points.passed["after submit_describe"] == IMAGES


def test_what_was_accepted_while_postgres_was_down_is_recorded_when_it_is_up(
    tmp_path_factory: pytest.TempPathFactory,
    site_at: Callable[..., CrashSite],
    photos: Callable[[int], list[bytes]],
) -> None:
    folder = tmp_path_factory.mktemp("postgres_that_stops")
    url = start_server(folder).url()
    site = site_at(MetadataPlace(url, TableNames()), "novicezk", ("slow_submit",), pause=UNTIL_HURRIED)
    errand = site.prepare(photos(IMAGES), account=PATIENT)
    engine = errand.engine()
    running = threading.Thread(target=errand.finish, args=(engine,))
    running.start()
    try:
        _wait_until(lambda: engine.points.passed["before submit_describe"] == IMAGES)

        stop_server(folder)
        _wait_until(lambda: _are_answered(site, engine))
        _wait_until(lambda: engine.points.passed["before record_posts"] > 0)
        recorded_meanwhile = engine.points.passed["after record_posts"]
    finally:
        start_server(folder)
        running.join()

    assert recorded_meanwhile == 0
    assert site.statuses(errand) == [Status.SUCCEEDED] * IMAGES
    assert [(post.outcome, post.detail) for post in site.submissions(errand)] == [("accepted", "提交成功")] * IMAGES
    assert site.billed() == [1] * IMAGES
    site.database.engine.dispose()
    stop_server(folder)


class _Trouble:
    """A query that fails some times before it succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    def __call__(self, tx: Transaction) -> str:
        if self.errors:
            raise self.errors.pop(0)
        return "written"


@pytest.mark.parametrize(
    "words",
    [
        "database or disk is full",
        'FATAL: password authentication failed for user "me"',
        "words that no list foresees",
    ],
)
def test_what_people_have_to_mend_does_not_lose_a_record(database: Database, words: str) -> None:
    error = OperationalError("", {}, sqlite3.OperationalError(words))

    assert asyncio.run(database.write_at_any_cost(_Trouble(error, error))) == "written"
    with pytest.raises(TableError):
        asyncio.run(database.write(_Trouble(error)))


def test_a_statement_that_is_wrong_in_itself_is_not_repeated_for_ever(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_midjourney.describe.table.database.DISBELIEF", 0.0)
    error = ProgrammingError("", {}, sqlite3.ProgrammingError("no such column"))

    with pytest.raises(TableError, match="no such column"):
        asyncio.run(database.write_at_any_cost(_Trouble(error)))
