"""What a killed worker had sent is back with the next poll, long before its time for an answer is over."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from airflow_midjourney.describe.model.status import Status
from tests.support.crash_runs import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.crash_runs import CrashSite, Errand

IMAGES = 4

#: Seconds after which nothing is doubtful yet.
GRACE = 120.0

#: Seconds by which a run may take longer that takes over from a killed worker.
BACK_WITHIN = 10.0


@pytest.mark.parametrize("dialect", ["novicezk", "trueai"])
def test_the_next_try_finds_it_within_seconds_and_pays_once(
    make_site: Callable[..., CrashSite], photos: Callable[[int], list[bytes]], dialect: str
) -> None:
    site = make_site(dialect)
    account = ACCOUNT | {"submit_deadline": 20.0, "doubt_grace": GRACE}
    undisturbed = seconds_of(site.prepare(photos(IMAGES), account=account))
    errand = site.prepare(photos(IMAGES), account=account)
    assert errand.run_and_die("after submit_describe", IMAGES)

    killed = seconds_of(replace(errand, run_id="next"))

    assert site.statuses(errand) == [Status.SUCCEEDED] * IMAGES
    assert site.billed() == [1] * IMAGES
    # The machine may be busy with other tests: then the whole run takes longer, undisturbed or not.
    assert killed < 2 * undisturbed + BACK_WITHIN


def seconds_of(errand: Errand) -> float:
    """Make a run, and give how long it took."""
    began = time.monotonic()
    errand.run_here()
    return time.monotonic() - began
