"""Killed at random moments, most of them while submissions are open: nothing is lost, nothing is paid twice."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import pytest

from airflow_midjourney.describe.model.status import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.crash_runs import CrashSite
    from tests.support.places import MetadataPlace

#: Eight parts of 25 kills are 200, and a fourth of them is to find a row ``submitting``.
PARTS: Final = 8
KILLS: Final = 25
FOUND_SUBMITTING: Final = 7

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
    dialect = ("novicezk", "trueai")[part // 2 % 2]
    sites = [site_at(place, dialect, ("slow_submit",), pause=0.3) for _ in range(SIDE_BY_SIDE)]
    moments = random.Random(part)
    kills = [(FROM[number % len(FROM)], moments.uniform(0.0, LATEST_KILL)) for number in range(KILLS)]

    def kill_some(share: int) -> int:
        return sum(_kill_once(sites[share], photos(IMAGES), *kill) for kill in kills[share::SIDE_BY_SIDE])

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        found = sum(pool.map(kill_some, range(SIDE_BY_SIDE)))

    record_property("kills", KILLS)
    record_property("kills_that_found_a_row_submitting", found)
    assert found >= FOUND_SUBMITTING


def _kill_once(site: CrashSite, bodies: list[bytes], start: str, delay: float) -> bool:
    """Kill a run, run again, and check the bill.

    :return: whether the kill left a row ``submitting``.
    """
    errand = site.prepare(bodies)
    errand.run_and_die(start, delay=delay)
    found = Status.SUBMITTING in site.statuses(errand)
    errand.run()
    assert site.statuses(errand) == [Status.SUCCEEDED] * len(bodies)
    assert site.billed() == [1] * len(bodies), site.story(errand)
    return found
