"""How many images are read and sent in one round, and what ends it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from airflow_midjourney.describe.engine import submit as submit_module
from airflow_midjourney.describe.engine.refusals.denials import Denials
from airflow_midjourney.describe.engine.submit import Round, find_room, submit_some
from airflow_midjourney.describe.model.errors import (
    ServiceDeniedError,
)
from airflow_midjourney.describe.model.status import Reason, Status
from airflow_midjourney.describe.service.submit_response import (
    Denied,
    Refused,
)
from airflow_midjourney.describe.table import accounts, leases
from tests.support import rows
from tests.support.sending import ACCOUNT, FULL, YES, Scene

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_midjourney.describe.service.submit_response import SubmitOutcome
    from airflow_midjourney.describe.storage.listed_images import ListedImage, StoredImage
    from airflow_midjourney.describe.table.database import Database


def room(scene: Scene, **account: Any) -> int:
    with scene.database.reading() as tx:
        return find_room(tx, replace(ACCOUNT, **account), scene.batch)


def test_room_is_what_slots_and_caps_leave(database: Database) -> None:
    scene = Scene(database, options={"max_submissions": 3})
    assert room(scene) == 3
    assert room(scene, max_in_flight=2) == 2
    scene.send()
    assert room(scene) == 2
    assert room(scene, max_in_flight=2) == 1


def test_after_a_no_there_is_room_for_one_image(scene: Scene) -> None:
    scene.change(lambda tx: rows.set_account(tx, blocked_reason="full", blocked_until=tx.now))

    assert room(scene) == 1
    assert room(scene, max_in_flight=0) == 0


def submit(scene: Scene) -> int:
    return cast("int", scene.run(lambda: submit_some(scene.worker, scene.batch)))


def test_all_that_there_is_room_for_are_sent_and_counted(scene: Scene) -> None:
    assert submit(scene) == 3
    assert scene.statuses == [Status.SUBMITTED] * 3
    assert scene.service.asked == ["access"]
    assert submit(scene) == 0


@pytest.mark.parametrize(("in_flight", "sent"), [(2, 2), (0, 0)])
def test_no_more_are_read_than_there_is_room_for(database: Database, in_flight: int, sent: int) -> None:
    scene = Scene(database, account=replace(ACCOUNT, max_in_flight=in_flight))

    assert submit(scene) == sent
    assert [row["reservations"] for row in scene.rows] == [0] * 3
    assert scene.statuses.count(Status.SUBMITTED) == sent


def test_no_more_rows_are_reserved_than_a_round_takes(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submit_module, "ROWS_A_ROUND", 2)

    assert submit(scene) == 2


def test_where_nothing_is_to_be_sent_the_service_is_not_asked(database: Database) -> None:
    scene = Scene(database, images=0)

    assert submit(scene) == 0
    assert scene.service.asked == []


def test_the_key_is_proved_once_by_each_worker(scene: Scene) -> None:
    scene.worker.access_checked = True

    assert submit(scene) == 3
    assert scene.service.asked == []


def one_lane(scene: Scene, monkeypatch: pytest.MonkeyPatch, number: int = 3) -> Round:
    monkeypatch.setattr(submit_module, "IMAGES_SIDE_BY_SIDE", 1)
    return Round(scene.worker, scene.batch, scene.reserve(number), Denials())


@pytest.mark.parametrize("why", ["no room", "stopping", "time is over"])
def test_a_round_ends_and_gives_back_what_was_not_read(
    database: Database, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    scene = Scene(database, account=replace(ACCOUNT, poll_interval=-1.0 if why == "time is over" else 1000.0))
    if why == "no room":
        scene.service.answers = [FULL]
    if why == "stopping":
        answer = scene.service.submit_describe

        async def answer_and_stop(**post: Any) -> SubmitOutcome:
            scene.worker.told_to_stop = True
            return await answer(**post)

        scene.service.submit_describe = answer_and_stop  # type: ignore[method-assign]

    assert scene.run(lambda: one_lane(scene, monkeypatch).run()) == 1

    assert len(scene.service.posts) == 1
    assert scene.statuses[1:] == [Status.PENDING] * 2
    assert [(row["reserved_by"], row["reservations"]) for row in scene.rows[1:]] == [(None, 0)] * 2


def test_what_stops_the_run_is_raised_when_all_rows_are_given_back(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.service.answers = [Denied("no_credit", 402, None, "no quota")]

    with pytest.raises(ServiceDeniedError):
        scene.run(lambda: one_lane(scene, monkeypatch).run())

    assert [row["reserved_by"] for row in scene.rows] == [None] * 3
    assert len(scene.service.posts) == 1


def test_one_image_that_is_refused_ends_no_round(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.service.answers = [Refused(Reason.BANNED, 200, 24, "banned"), YES]

    assert scene.run(lambda: one_lane(scene, monkeypatch).run()) == 3
    assert scene.statuses == [Status.FAILED, Status.SUBMITTED, Status.SUBMITTED]


def test_so_many_images_are_sent_side_by_side(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submit_module, "IMAGES_SIDE_BY_SIDE", 2)
    at_once: list[int] = []
    answer = scene.service.submit_describe
    open_posts = 0

    async def answer_later(**post: Any) -> SubmitOutcome:
        nonlocal open_posts
        open_posts += 1
        at_once.append(open_posts)
        if len(at_once) == 1:
            for _ in range(60_000):
                if len(at_once) > 1:
                    break
                await asyncio.sleep(0.001)
        open_posts -= 1
        return await answer(**post)

    scene.service.submit_describe = answer_later  # type: ignore[method-assign]

    assert scene.run(lambda: Round(scene.worker, scene.batch, scene.reserve(3), Denials()).run()) == 3
    assert max(at_once) == 2


def test_after_a_no_one_worker_at_a_time_reads_and_a_yes_closes_the_breaker(scene: Scene) -> None:
    scene.worker.access_checked = True
    scene.change(lambda tx: rows.set_account(tx, blocked_reason="full", blocked_until=tx.now, blocked_since=tx.now))
    turns: list[bool] = []
    read = scene.read

    def read_beside_another(image: ListedImage, suspect: Callable[[], None]) -> StoredImage:
        with scene.database.reading() as tx:
            turns.append(accounts.read_account(tx, ACCOUNT.identity).is_blocked)
        return read(image, suspect)

    scene.worker.images = cast("Any", SimpleNamespace(read=read_beside_another))

    assert submit(scene) == 1

    assert turns == [True]
    assert scene.worker.probe_until is None
    assert scene.state.blocked_reason is None


def test_a_turn_with_nothing_to_read_goes_to_another_worker(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.worker.access_checked = True
    scene.change(lambda tx: rows.set_account(tx, blocked_reason="full", blocked_until=tx.now, blocked_since=tx.now))
    scene.change(lambda tx: leases.reserve(tx, scene.batch, "another", 3))

    assert submit(scene) == 0

    assert not scene.state.is_blocked


def test_while_another_has_the_turn_nothing_is_reserved(scene: Scene) -> None:
    scene.worker.access_checked = True
    scene.change(lambda tx: rows.set_account(tx, blocked_reason="full", blocked_until=tx.now + timedelta(hours=1)))
    reserved = submit(scene)

    assert reserved == 0
    assert scene.service.posts == []
