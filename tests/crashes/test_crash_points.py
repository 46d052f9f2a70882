"""Killed before and after each commit, request and read, by name: the next run finishes the work."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeAlias

import pytest

from airflow_midjourney.describe.admin.resolve import doubtful_rows
from airflow_midjourney.describe.model.batch import BatchOptions
from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.describe.table.doubt.in_doubt import FEWEST_RESUBMISSIONS
from airflow_midjourney.testing.simulator.serving import UNTIL_HURRIED
from tests.support.crash_runs import PATIENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.crash_runs import CrashSite, Errand
    from tests.support.places import MetadataPlace

#: What every run does, whatever service it has.
ALWAYS: Final = frozenset(
    {
        "_find_missed",
        "_find_questions",
        "_goes_on",
        "_heard",
        "_progress",
        "_end_turn",
        "record_posts",
        "settle_rows",
        "_tidy",
        "_what_to_look_for",
        "_write_step",
        "alike_in_a_row",
        "check_access",
        "claim",
        "count",
        "find_waits",
        "end_probe_turn",
        "ensure_account",
        "find_room",
        "given_up",
        "has_claimable",
        "in_flight",
        "search_list",
        "list_by_condition",
        "list_page",
        "open_batch",
        "read",
        "read_account",
        "read_batch",
        "reject",
        "release_for_resubmission",
        "reserve",
        "submit_describe",
        "suspect",
        "take_poll_turn",
        "take_probe_turn",
    }
)

#: What it does where the service can be asked about a submission without an answer.
ASKED: Final = ALWAYS | {"adopt"}

#: What it does where the service cannot be asked.
NOT_ASKED: Final = ALWAYS | {"cannot_tell"}

#: What it does when a claim comes after another's submission has closed the account, when there is room but nothing to
#: send, when so much time passed between claiming and sending that nothing is sent, when a poll takes long, and when
#: images are read ahead while all slots are taken: a matter of moments.
PERHAPS: Final = frozenset(
    {
        "find_unread",
        "has_ended",
        "hold_poll_turn",
        "left_over_batches",
        "not_taken",
        "release",
        "reserve_left_over",
        "reserve_these",
    }
)

#: What it does for each image: killed amid them, too.
OF_EACH_IMAGE: Final = ("record_posts", "settle_rows", "claim", "read", "submit_describe")

#: What images do together that are ready at the same moment: how often it is passed is a matter of moments, too.
TOGETHER: Final = frozenset({"record_posts", "settle_rows", "claim", "suspect"})

#: One submission has no answer.
TROUBLE: Final = ("ambiguous_submit_reset:first=1",)

#: Images that can be sent; there is a copy of one of them beside, and one that is no image.
IMAGES: Final = 4

Check: TypeAlias = "Callable[[CrashSite, list[bytes], str, int], None]"


@dataclass(frozen=True)
class Ground:
    """Where runs are killed: four services and two databases, and what has to hold for each."""

    make_site: Callable[..., CrashSite]
    photos: Callable[[int], list[bytes]]
    sqlite: MetadataPlace
    postgres: MetadataPlace

    def novicezk(self) -> CrashSite:
        return self.make_site(self.sqlite, "novicezk", TROUBLE)

    def trueai(self) -> CrashSite:
        return self.make_site(self.postgres, "trueai", TROUBLE)

    def new_api(self, place: MetadataPlace) -> CrashSite:
        return self.make_site(place, "new-api", TROUBLE)

    def bodies(self) -> list[bytes]:
        some = self.photos(IMAGES)
        return [*some, some[0], b"no image"]

    def check(self, *crashes: tuple[Check, CrashSite, str, int]) -> None:
        """Crash at several points side by side, each on a site of its own."""
        with ThreadPoolExecutor(len(crashes)) as pool:
            checks = [pool.submit(check, site, self.bodies(), point, time) for check, site, point, time in crashes]
            for check in checks:
                check.result()


@pytest.fixture
def ground(
    site_at: Callable[..., CrashSite],
    photos: Callable[[int], list[bytes]],
    sqlite_place: MetadataPlace,
    postgres_place: MetadataPlace,
) -> Ground:
    return Ground(site_at, photos, sqlite_place, postgres_place)


def _names(passed: dict[str, int]) -> set[str]:
    """Give what was passed; single objects are read and decoded at points of their own, too."""
    return {name.split()[1] for name in passed} - {"reading", "decoding"} - PERHAPS


def test_the_points_are_all_that_a_run_passes_where_the_service_can_be_asked(ground: Ground) -> None:
    errand = ground.novicezk().prepare(ground.bodies(), account=PATIENT)

    assert _names(errand.run_here().passed) == ASKED


def test_the_points_are_all_that_a_run_passes_where_the_service_cannot_be_asked(ground: Ground) -> None:
    assert _names(ground.new_api(ground.sqlite).prepare(ground.bodies()).run_here().passed) == NOT_ASKED


@pytest.mark.parametrize("name", sorted(ASKED | PERHAPS))
def test_killed_at_a_point_nothing_is_lost_or_paid_twice_where_the_service_can_be_asked(
    ground: Ground, name: str
) -> None:
    ground.check(
        (_paid_once, ground.novicezk(), f"before {name}", 1),
        (_paid_once, ground.novicezk(), f"after {name}", 1),
        (_paid_once, ground.trueai(), f"before {name}", 1),
        (_paid_once, ground.trueai(), f"after {name}", 1),
    )


@pytest.mark.parametrize("name", OF_EACH_IMAGE)
def test_killed_amid_many_images_nothing_is_lost_or_paid_twice_where_the_service_can_be_asked(
    ground: Ground, name: str
) -> None:
    ground.check(
        (_paid_once, ground.novicezk(), f"before {name}", 3),
        (_paid_once, ground.novicezk(), f"after {name}", 4),
        (_paid_once, ground.trueai(), f"before {name}", 4),
        (_paid_once, ground.trueai(), f"after {name}", 3),
    )


@pytest.mark.parametrize("name", sorted(NOT_ASKED | PERHAPS))
def test_killed_at_a_point_what_nobody_can_tell_is_held_or_sent_again_within_bounds(ground: Ground, name: str) -> None:
    ground.check(
        (_held, ground.new_api(ground.sqlite), f"before {name}", 1),
        (_held, ground.new_api(ground.postgres), f"after {name}", 2 if name in OF_EACH_IMAGE else 1),
        (_sent_again, ground.new_api(ground.postgres), f"before {name}", 1),
        (_sent_again, ground.new_api(ground.sqlite), f"after {name}", 2 if name in OF_EACH_IMAGE else 1),
    )


@pytest.mark.parametrize("point", ["before answered_late", "after answered_late", "before fetch", "after fetch"])
def test_killed_while_a_late_or_a_single_answer_is_taken_it_is_not_paid_for_again(ground: Ground, point: str) -> None:
    late_and_alone = ("slow_work:first=1", "missing_list_id:first=1")
    site = ground.make_site(ground.sqlite, "novicezk", late_and_alone, pause=UNTIL_HURRIED)
    errand = site.prepare(ground.photos(IMAGES), account=PATIENT | {"task_timeout": 0.4})

    with ThreadPoolExecutor(1) as thread:
        killed = thread.submit(errand.run_and_die, point)
        while not killed.done() and not _any_was_given_up(site, errand):
            time.sleep(0.05)
        site.simulator.hurry()
    assert killed.result()
    errand.run()

    assert site.statuses(errand) == [Status.SUCCEEDED] * IMAGES
    assert site.billed() == [1] * IMAGES, site.story(errand)


def _any_was_given_up(site: CrashSite, errand: Errand) -> bool:
    return any(row.status == Status.PENDING and row.attempts for row in site.rows(errand))


def _paid_once(site: CrashSite, bodies: list[bytes], point: str, occurrence: int) -> None:
    errand = site.prepare(bodies)

    assert errand.run_and_die(point, occurrence) or _is_uncertain(point, occurrence)
    errand.run()

    assert site.statuses(errand) == [Status.SUCCEEDED] * (IMAGES + 1) + [Status.REJECTED], site.story(errand)
    assert site.billed() == [1] * IMAGES, site.story(errand)


def _held(site: CrashSite, bodies: list[bytes], point: str, occurrence: int) -> None:
    errand = site.prepare(bodies, options=replace(BatchOptions(), in_doubt="hold"))

    # Where doubtful rows are held, none is released.
    died = errand.run_and_die(point, occurrence)
    assert died or _is_uncertain(point, occurrence) or "release_for_resubmission" in point
    errand.run()

    *images, no_image = site.rows(errand)
    assert no_image.status == Status.REJECTED
    assert {row.status for row in images} <= {Status.SUCCEEDED, Status.IN_DOUBT}
    doubtful = {row.image_uri for row in images if row.status == Status.IN_DOUBT and row.shares_id is None}
    listed = asyncio.run(site.database.read(doubtful_rows, errand.scope))
    assert {row.image_uri for row in listed} == doubtful
    assert 1 <= len(doubtful) <= IMAGES
    # Images are claimed together: killed before the first POST, none was sent, and no process can tell.
    assert set(site.billed()) <= {1}


def _sent_again(site: CrashSite, bodies: list[bytes], point: str, occurrence: int) -> None:
    errand = site.prepare(bodies)

    assert errand.run_and_die(point, occurrence) or _is_uncertain(point, occurrence)
    errand.run()

    billed = site.billed()
    assert max(billed) <= 2
    assert billed.count(2) <= FEWEST_RESUBMISSIONS
    rows = site.rows(errand)
    sent_again = [row for row in rows if row.resubmitted_at is not None]
    held = [row for row in rows if row.status == Status.IN_DOUBT and row.shares_id is None and not row.resubmitted_at]
    assert 1 <= len(sent_again) <= FEWEST_RESUBMISSIONS
    assert not held or len(sent_again) == FEWEST_RESUBMISSIONS
    assert {row.status for row in rows[:-1]} <= {Status.SUCCEEDED, Status.IN_DOUBT}


def _is_uncertain(point: str, occurrence: int) -> bool:
    name = point.split()[1]
    return name in PERHAPS or (name in TOGETHER and occurrence > 1)
