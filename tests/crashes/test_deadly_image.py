"""An image that kills every worker that reads it is given up after three, and takes no other with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func

from airflow_midjourney.describe.model.batch import BatchOptions
from airflow_midjourney.describe.model.status import Reason, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.crash_runs import CrashSite

#: More than are read side by side at first.
IMAGES = 6
DEADLY = 2


@pytest.mark.parametrize("moment", ["before", "after"])
def test_the_third_worker_that_dies_while_it_decodes_an_image_is_the_last(
    moment: str, make_site: Callable[..., CrashSite], photos: Callable[[int], list[bytes]]
) -> None:
    site = make_site("novicezk")
    errand = site.prepare(photos(IMAGES))
    deadly = f"{errand.scope.prefixes[0]}{DEADLY:02}.jpg"

    deaths = [errand.run_and_die(f"{moment} decoding {deadly}") for _ in range(3)]
    errand.run()

    assert deaths == [True, True, True]
    statuses = [Status.SUCCEEDED] * IMAGES
    statuses[DEADLY] = Status.REJECTED
    assert site.statuses(errand) == statuses
    assert site.rows(errand)[DEADLY].reason == Reason.UNPROCESSABLE
    assert site.billed() == [1] * (IMAGES - 1)


@pytest.mark.parametrize(
    ("hangs", "suspected"),
    [
        ("before list_page", 0),
        ("before reserve", 0),
        ("before reading {}01.jpg", 0),
        ("after reading {}01.jpg", 0),
        ("before suspect", 0),
        # An image that was decoded once is beyond suspicion, the next time at the latest.
        ("before claim", 1),
    ],
)
def test_workers_that_die_while_the_store_or_the_database_hangs_say_nothing_about_an_image(
    hangs: str, suspected: int, make_site: Callable[..., CrashSite], photos: Callable[[int], list[bytes]]
) -> None:
    site = make_site("novicezk")
    errand = site.prepare(photos(2))

    deaths = [errand.run_and_die(hangs.format(errand.scope.prefixes[0])) for _ in range(4)]
    counted = [row.reservations for row in site.rows(errand)]
    errand.run()

    assert deaths == [True] * 4
    assert all(number <= suspected for number in counted)
    assert site.statuses(errand) == [Status.SUCCEEDED] * 2
    assert site.billed() == [1, 1]


def test_workers_that_die_while_the_service_hangs_say_nothing_about_an_image(
    make_site: Callable[..., CrashSite], photos: Callable[[int], list[bytes]]
) -> None:
    site = make_site("novicezk")
    errand = site.prepare(photos(IMAGES))

    deaths = [errand.run_and_die("before check_access") for _ in range(4)]
    reserved = [row.reservations for row in site.rows(errand)]
    errand.run()

    assert deaths == [True] * 4
    assert reserved == [0] * IMAGES
    assert site.statuses(errand) == [Status.SUCCEEDED] * IMAGES
    assert site.billed() == [1] * IMAGES


@pytest.mark.parametrize("knows_its_task", [True, False], ids=["tried again", "described again"])
def test_workers_that_die_while_they_ask_about_a_former_task_say_nothing_about_an_image(
    knows_its_task: bool, make_site: Callable[..., CrashSite], photos: Callable[[int], list[bytes]]
) -> None:
    site = make_site("novicezk", ("internal_error:first=1",))
    errand = site.prepare(photos(1), options=BatchOptions(max_attempts=1))
    errand.run()
    forgotten = {} if knows_its_task else {"task_id": None, "submit_token": None, "redescribed_at": func.now()}
    with site.database.writing() as tx:
        again = {"status": Status.PENDING, "ended_at": None, "reason": None} | forgotten
        tx.connection.execute(tx.tables.images.update().values(again))
        tx.connection.execute(tx.tables.submissions.update().values(reason=Reason.TIMEOUT))

    deaths = [errand.run_and_die("before fetch") for _ in range(4)]
    errand.run()

    assert deaths == [True] * 4
    assert site.statuses(errand) == [Status.SUCCEEDED]
