"""What a killed worker had sent is back with the next poll, long before its time for an answer is over."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from airflow_midjourney.describe.model.status import Status
from tests.support.crash_runs import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.crash_runs import CrashSite

IMAGES = 4

#: Seconds after which nothing is doubtful yet: a run that had to wait so long would be broken off.
GRACE = 600.0


@pytest.mark.parametrize("dialect", ["novicezk", "trueai"])
def test_the_next_try_finds_it_with_its_first_list_and_pays_once(
    make_site: Callable[..., CrashSite], photos: Callable[[int], list[bytes]], dialect: str
) -> None:
    site = make_site(dialect)
    account = ACCOUNT | {"submit_deadline": 20.0, "doubt_grace": GRACE}
    errand = site.prepare(photos(IMAGES), account=account)
    assert errand.run_and_die("after submit_describe", IMAGES)

    passed = replace(errand, run_id="next").run_here().passed

    assert site.statuses(errand) == [Status.SUCCEEDED] * IMAGES
    assert site.billed() == [1] * IMAGES
    # One list brings all of them back.
    assert passed["after adopt"] == 1
