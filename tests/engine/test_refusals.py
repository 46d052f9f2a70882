"""Whether a no is an image's own or stops the run: answers 401 and 403 of the service, objects that S3 denies."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

import pytest

from airflow_midjourney.describe.engine.context import Worker
from airflow_midjourney.describe.engine.refusals.denials import Denials, turn_away
from airflow_midjourney.describe.engine.refusals.forbidden import Forbidden, judge, stops_the_run
from airflow_midjourney.describe.model.errors import (
    ObjectDeniedError,
    ObjectUnavailableError,
    ServiceDeniedError,
    StorageDeniedError,
    StorageError,
    StorageUnavailableError,
)
from airflow_midjourney.describe.model.status import Reason, Status
from airflow_midjourney.describe.service.submit_response import Accepted, Denied, Refused, Unavailable
from airflow_midjourney.describe.table import leases
from tests.support import rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.service.submit_response import DenialKind, SubmitOutcome
    from airflow_midjourney.describe.storage.listed_images import ListedImage
    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.describe.table.leases import ReservedImage

FIREWALL: Final = Denied("forbidden", 403, None, "blocked by a firewall")
KEY: Final = Denied("unauthorised", 401, None, "who are you")
YES: Final = Accepted("1", 200, 1)


class Scene:
    """A worker with as many pending rows as are asked for, of which it has reserved some.

    :param reserved: how many it has.
    """

    def __init__(self, database: Database, images: int = 1, reserved: int = 0) -> None:
        self.database = database
        self.reads: list[str] = []
        self.readable: set[str] = set()
        self.access: Exception | None = None
        self.access_asked = 0
        with database.writing() as tx:
            rows.list_images(tx, [rows.listed(f"{number:02}.jpg") for number in range(images)])
            self.batch: Batch = rows.open_batch(tx)
            self.reserved = leases.reserve(tx, self.batch, "holder", reserved)
        self.worker = Worker(
            database=database,
            service=cast("Any", None),
            client=cast("Any", SimpleNamespace(check_access=self._check_access)),
            account=rows.ACCOUNT,
            images=cast("Any", SimpleNamespace(read_part=self._read_part)),
            holder="holder",
        )

    async def _check_access(self) -> None:
        self.access_asked += 1
        if self.access is not None:
            raise self.access

    def _read_part(self, image: ListedImage, _first: int, _size: int) -> bytes:
        self.reads.append(image.key)
        if image.key not in self.readable:
            raise ObjectDeniedError("denied")
        return b"x"

    def judge(self, *outcomes: SubmitOutcome, image_id: int = 1) -> SubmitOutcome:
        """Judge the answers to POSTs of one image, and give what the last came to."""

        async def each() -> SubmitOutcome:
            judged = [await judge(self.worker, self.batch, image_id, one) for one in outcomes]
            return judged[-1]

        return asyncio.run(each())

    def stops(self, outcome: SubmitOutcome, image_id: int = 1) -> bool:
        return isinstance(outcome, Denied) and stops_the_run(self.worker, image_id, outcome)

    def an_image_is_taken(self) -> None:
        with self.database.writing() as tx:
            rows.submit_next(tx, self.batch)

    def turn_away(self, row: ReservedImage, error: StorageError, denials: Denials) -> None:
        asyncio.run(turn_away(self.worker, self.batch, row, cast("Any", error), denials))

    def turn_away_all(self, some: Sequence[ReservedImage], denials: Denials) -> None:
        for row in some:
            self.turn_away(row, ObjectDeniedError(f"denied {row.key}", http_status=403, code="AccessDenied"), denials)

    def row(self, image_id: int) -> dict[str, Any]:
        with self.database.reading() as tx:
            return rows.image_row(tx, image_id)


@pytest.fixture
def scene(database: Database) -> Scene:
    return Scene(database)


def test_an_image_is_refused_when_its_third_post_is_forbidden_while_others_pass(scene: Scene) -> None:
    scene.an_image_is_taken()

    assert scene.judge(FIREWALL, FIREWALL) == FIREWALL
    assert not scene.stops(FIREWALL)
    assert scene.judge(FIREWALL) == Refused(
        Reason.REFUSED, 403, None, "HTTP 403 to each of 3 POSTs, while other images pass: blocked by a firewall"
    )


def test_a_refusal_without_words_says_so(scene: Scene) -> None:
    scene.an_image_is_taken()

    refused = scene.judge(*[replace(FIREWALL, description="")] * 3)

    assert isinstance(refused, Refused)
    assert refused.description.endswith("pass: no explanation")


def test_where_no_other_image_passes_the_third_time_stops_the_run(scene: Scene) -> None:
    assert scene.judge(FIREWALL, FIREWALL) == FIREWALL
    assert not scene.stops(FIREWALL)
    assert scene.judge(FIREWALL) == FIREWALL
    assert scene.stops(FIREWALL)


def test_ten_different_images_in_a_row_stop_the_run(scene: Scene) -> None:
    for image_id in range(1, 10):
        scene.judge(FIREWALL, image_id=image_id)
        assert not scene.stops(FIREWALL, image_id)
    scene.judge(FIREWALL, image_id=10)

    assert scene.stops(FIREWALL, 10)


def test_an_image_that_passes_ends_the_row_and_those_before_it_begin_no_other(scene: Scene) -> None:
    for image_id in range(1, 10):
        scene.judge(FIREWALL, image_id=image_id)
    scene.judge(YES, image_id=99)
    for image_id in (*range(11, 20), 1):
        scene.judge(FIREWALL, image_id=image_id)
        assert not scene.stops(FIREWALL, image_id)
    scene.judge(YES, image_id=99)

    assert scene.worker.forbidden.passed_over == {*range(1, 10), *range(11, 20)}
    assert scene.worker.forbidden.in_a_row == set()


def test_a_key_that_may_not_even_read_stops_the_run_at_once_and_no_image_is_to_blame(scene: Scene) -> None:
    scene.an_image_is_taken()
    scene.access = ServiceDeniedError("401")

    assert scene.judge(KEY) == KEY
    assert scene.stops(KEY)
    assert scene.judge(KEY, KEY) == KEY


def test_a_401_of_a_key_that_may_read_is_the_images(scene: Scene) -> None:
    scene.an_image_is_taken()

    assert scene.judge(KEY, KEY) == KEY
    assert not scene.stops(KEY)
    assert isinstance(scene.judge(KEY), Refused)
    assert scene.access_asked == 3


def test_a_403_is_no_reason_to_ask_whether_the_key_may_read(scene: Scene) -> None:
    scene.access = ServiceDeniedError("403")

    assert scene.judge(FIREWALL) == FIREWALL
    assert scene.access_asked == 0
    assert not scene.stops(FIREWALL)


@pytest.mark.parametrize(
    ("kind", "description"), [("no_credit", "no quota"), ("forbidden", "该令牌无权访问模型 midjourney")]
)
def test_what_holds_for_all_images_stops_the_run_at_once_and_is_held_against_none(
    scene: Scene, kind: DenialKind, description: str
) -> None:
    denied = Denied(kind, 403, None, description)
    scene.an_image_is_taken()

    assert scene.judge(denied, denied, denied) == denied
    assert scene.stops(denied)
    assert scene.worker.forbidden == Forbidden()


def test_any_other_answer_is_left_as_it_is(scene: Scene) -> None:
    away = Unavailable(None, 502, None, "bad gateway")

    assert scene.judge(away) == away
    assert scene.judge(YES) == YES
    assert scene.worker.forbidden == Forbidden()


def test_an_object_that_is_denied_is_put_last_once_and_ends_the_second_time(database: Database) -> None:
    scene = Scene(database, reserved=1)
    (row,) = scene.reserved
    denials = Denials()

    scene.turn_away_all([row], denials)
    first = scene.row(row.id)
    with database.writing() as tx:
        (again,) = leases.reserve(tx, scene.batch, "holder", 1)
    scene.turn_away_all([again], denials)

    # Where S3 said no, waiting changes nothing.
    assert (first["status"], first["reserved_by"]) == (Status.PENDING, None)
    assert first["not_before"] == first["updated_at"]
    last = scene.row(row.id)
    assert (last["status"], last["reason"], last["detail"]) == (Status.REJECTED, Reason.DENIED, "denied 00.jpg")
    assert scene.reads == []


@pytest.mark.parametrize("anything_read", [True, False])
def test_an_object_at_which_s3_fails_waits_and_ends_the_second_time_unless_s3_gave_none_at_all(
    database: Database, anything_read: bool
) -> None:
    scene = Scene(database, reserved=1)
    (row,) = scene.reserved
    denials = Denials(anything_read=anything_read)
    error = ObjectUnavailableError("internal error", http_status=500)

    scene.turn_away(row, error, denials)
    first = scene.row(row.id)
    assert first["not_before"] - first["updated_at"] == timedelta(seconds=10)
    with database.writing() as tx:
        rows.set_columns(tx, row.id, not_before=None)
        (again,) = leases.reserve(tx, scene.batch, "holder", 1)
    if anything_read:
        scene.turn_away(again, error, denials)
    else:
        with pytest.raises(ObjectUnavailableError):
            scene.turn_away(again, error, denials)

    last = scene.row(row.id)
    assert last["status"] == (Status.REJECTED if anything_read else Status.PENDING)
    assert last["reserved_by"] is None


def test_ten_denied_objects_in_a_row_and_no_other_that_can_be_read_stop_the_run(database: Database) -> None:
    scene = Scene(database, images=20, reserved=11)
    denials = Denials()
    scene.turn_away_all(scene.reserved[:9], denials)
    assert scene.reads == []

    with pytest.raises(StorageDeniedError, match="S3 gave none of the latest 10 objects, and no other") as stopped:
        scene.turn_away_all(scene.reserved[9:10], denials)

    assert (stopped.value.http_status, stopped.value.code) == (403, "AccessDenied")
    # Those that workers would come to last.
    assert sorted(scene.reads) == ["17.jpg", "18.jpg", "19.jpg"]
    assert scene.row(scene.reserved[9].id)["status"] == Status.PENDING
    with pytest.raises(StorageDeniedError, match="latest 10"):
        scene.turn_away_all(scene.reserved[10:], denials)
    assert len(scene.reads) == 3


@pytest.mark.parametrize("times_read", [0, 1])
def test_where_s3_fails_at_ten_in_a_row_a_later_try_may_help(database: Database, times_read: int) -> None:
    scene = Scene(database, images=12, reserved=10)
    denials = Denials(reads=Counter({scene.reserved[9].id: times_read}))
    scene.turn_away_all(scene.reserved[:9], denials)

    with pytest.raises(StorageUnavailableError, match="S3 gave none of the latest 10") as stopped:
        scene.turn_away(scene.reserved[9], ObjectUnavailableError("internal error", http_status=500), denials)

    assert stopped.value.retry_helps


def test_ten_denied_objects_are_their_own_fault_where_another_can_be_read(database: Database) -> None:
    scene = Scene(database, images=12, reserved=10)
    scene.readable = {"11.jpg"}
    denials = Denials()

    scene.turn_away_all(scene.reserved, denials)

    assert denials.anything_read
    assert denials.in_a_row == set()
    assert denials.verdict is None


def test_an_object_that_was_read_ends_the_row(database: Database) -> None:
    scene = Scene(database, images=12, reserved=10)
    denials = Denials()
    scene.turn_away_all(scene.reserved[:5], denials)

    denials.note_read()
    scene.turn_away_all(scene.reserved[5:], denials)

    assert scene.reads == []
