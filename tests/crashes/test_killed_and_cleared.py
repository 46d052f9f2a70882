"""Killed and cleared by a person: the next run finishes what was left, and no failure is hidden."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from airflow_midjourney.describe.engine.verdict import Ending, Tolerance, Verdict, judge
from airflow_midjourney.describe.model.status import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.crash_runs import CrashSite, Errand

IMAGES = 5
BANNED = 2


def _verdict(errand: Errand) -> Verdict:
    """Run to the end in this process, and judge as the sensor does."""
    engine = errand.engine()
    batch, counts = asyncio.run(engine.describe(errand.scope, errand.options, errand.run_id))
    engine.database.close()
    return judge(batch, counts, Tolerance(), "image_prompts")


@pytest.mark.parametrize("point", ["after claim", "before record_posts", "after record_posts", "before settle_rows"])
def test_what_a_killed_run_leaves_is_finished_by_the_next_run(
    make_site: Callable[..., CrashSite], photos: Callable[[int], list[bytes]], point: str
) -> None:
    site = make_site("novicezk")
    errand = site.prepare(photos(IMAGES))

    assert errand.run_and_die(point, 2)
    verdict = _verdict(replace(errand, run_id="another"))

    assert verdict.ending is Ending.GOOD
    assert site.statuses(errand) == [Status.SUCCEEDED] * IMAGES
    assert site.billed() == [1] * IMAGES


def test_a_clear_does_not_hide_what_failed_before_it(
    make_site: Callable[..., CrashSite], photos: Callable[[int], list[bytes]]
) -> None:
    site = make_site("novicezk", (f"banned_image:first={BANNED}",))
    errand = site.prepare(photos(IMAGES))

    first = _verdict(errand)
    cleared = _verdict(errand)
    assert errand.run_and_die("after _write_step")
    cleared_and_killed_and_cleared = _verdict(errand)

    assert first.ending is Ending.BAD
    assert f"banned: {BANNED}" in first.message
    assert cleared.ending is cleared_and_killed_and_cleared.ending is Ending.BAD
    assert f"banned: {BANNED}" in cleared_and_killed_and_cleared.message
    assert site.statuses(errand).count(Status.FAILED) == BANNED
    assert site.billed() == [1] * IMAGES


def test_what_failed_in_a_killed_run_counts_when_it_is_cleared(
    make_site: Callable[..., CrashSite], photos: Callable[[int], list[bytes]]
) -> None:
    site = make_site("novicezk", (f"banned_image:first={BANNED}",))
    errand = site.prepare(photos(IMAGES))

    assert errand.run_and_die("after count")
    verdict = _verdict(errand)

    assert verdict.ending is Ending.BAD
    assert f"banned: {BANNED}" in verdict.message
    assert site.billed() == [1] * IMAGES
