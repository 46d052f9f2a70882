"""Killed at random moments, most of them while submissions are open: nothing is lost, nothing is paid twice.

new-api has no list of tasks: images that were cut in their POST stay in doubt there, and with ``hold`` none is sent
again.
"""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import pytest

from airflow_midjourney.describe.model.batch import BatchOptions
from airflow_midjourney.describe.model.status import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.crash_runs import CrashSite
    from tests.support.places import MetadataPlace

#: Eight parts of 25 kills are 200, over every dialect and both databases; a fourth of them is to find a row
#: ``submitting``.
PARTS: Final = 8
KILLS: Final = 25
FOUND_SUBMITTING: Final = 7

#: Services whose list of tasks proves what they took.
LISTING: Final = ("novicezk", "trueai")
DIALECTS: Final = (*LISTING, "new-api", "new-api-2026")

IMAGES: Final = 5
SIDE_BY_SIDE: Final = 5

#: Seconds within which a run is killed, from its start, from the end of its listing or from its first claim.
LATEST_KILL: Final = 0.4
FROM: Final = (
    "before open_batch",
    "after _write_step",
    "after claim",
    "after claim",
    "after claim",
)


@pytest.mark.parametrize("part", range(PARTS))
def test_killed_at_any_moment_every_image_gets_its_prompts_and_is_paid_once(
    part: int,
    sqlite_place: MetadataPlace,
    postgres_place: MetadataPlace,
    site_at: Callable[..., CrashSite],
    photos: Callable[[int], list[bytes]],
    record_property: Callable[[str, object], None],
) -> None:
    place = (sqlite_place, postgres_place)[part % 2]
    dialect = DIALECTS[part // 2]
    sites = [site_at(place, dialect, ("slow_submit",), pause=0.3) for _ in range(SIDE_BY_SIDE)]
    moments = random.Random(part)
    kills = [(FROM[number % len(FROM)], moments.uniform(0.0, LATEST_KILL)) for number in range(KILLS)]

    def kill_some(share: int) -> int:
        kill_once = _kill_and_find_all if dialect in LISTING else _kill_and_hold
        return sum(kill_once(sites[share], photos(IMAGES), *kill) for kill in kills[share::SIDE_BY_SIDE])

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        found = sum(pool.map(kill_some, range(SIDE_BY_SIDE)))

    record_property("kills", KILLS)
    record_property("kills_that_found_a_row_submitting", found)
    assert found >= FOUND_SUBMITTING


def _kill_and_find_all(site: CrashSite, bodies: list[bytes], start: str, delay: float) -> bool:
    """Kill a run, run again, and find all images described and paid for once.

    :return: whether the kill left a row ``submitting``.
    """
    errand = site.prepare(bodies)
    errand.run_and_die(start, delay=delay)
    found = Status.SUBMITTING in site.statuses(errand)
    errand.run()
    assert site.statuses(errand) == [Status.SUCCEEDED] * len(bodies)
    assert site.billed() == [1] * len(bodies), site.story(errand)
    return found


def _kill_and_hold(site: CrashSite, bodies: list[bytes], start: str, delay: float) -> bool:
    """Kill a run, run again, and find each image described, or held in doubt; none is paid for twice.

    :return: whether the kill left a row ``submitting``.
    """
    errand = site.prepare(bodies, options=BatchOptions(in_doubt="hold"))
    errand.run_and_die(start, delay=delay)
    found = Status.SUBMITTING in site.statuses(errand)
    errand.run()
    statuses = site.statuses(errand)
    assert len(statuses) == len(bodies)
    assert set(statuses) <= {Status.SUCCEEDED, Status.IN_DOUBT}
    assert set(site.billed()) <= {1}, site.story(errand)
    return found
