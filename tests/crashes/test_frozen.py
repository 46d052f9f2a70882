"""A worker that is frozen past its lease and claim and goes on when another has taken over: paid once, nothing lost."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from airflow_midjourney.describe.model.status import Status
from tests.support.crash_runs import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.crash_runs import CrashSite

#: One image at a time: no other thread of the frozen process holds a lock of the database.
IMAGES = 2
ONE_AT_A_TIME = ACCOUNT | {"max_in_flight": 1}

#: Where it is frozen: with a lease; with a claim and nothing sent; with the answer in its hands; amid a poll.
POINTS = ("after reserve", "after claim", "before submit_describe", "after submit_describe", "after list_by_condition")


@pytest.mark.parametrize("dialect", ["novicezk", "trueai"])
@pytest.mark.parametrize("point", POINTS)
def test_what_a_frozen_worker_held_is_done_by_another_and_not_again_when_it_goes_on(
    make_site: Callable[..., CrashSite], photos: Callable[[int], list[bytes]], point: str, dialect: str
) -> None:
    site = make_site(dialect)
    errand = site.prepare(photos(IMAGES), account=ONE_AT_A_TIME)

    with errand.frozen(point):
        replace(errand, run_id="next").run_here()
        assert site.statuses(errand) == [Status.SUCCEEDED] * IMAGES

    assert site.statuses(errand) == [Status.SUCCEEDED] * IMAGES
    assert site.billed() == [1] * IMAGES


def test_one_that_goes_on_before_another_came_sends_nothing_late(
    make_site: Callable[..., CrashSite], photos: Callable[[int], list[bytes]]
) -> None:
    site = make_site("novicezk")
    errand = site.prepare(photos(IMAGES), account=ONE_AT_A_TIME)

    with errand.frozen("before submit_describe"):
        time.sleep(2 * (ONE_AT_A_TIME["submit_deadline"] + ONE_AT_A_TIME["doubt_grace"]))

    assert site.statuses(errand) == [Status.SUCCEEDED] * IMAGES
    assert site.billed() == [1] * IMAGES
