"""A row is suspected while its bytes are decoded, and at no other time."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from airflow_midjourney.describe.engine.reading import image_reader
from airflow_midjourney.describe.imaging.prepare import PreparedImage, prepare
from airflow_midjourney.describe.model.status import Status
from tests.support import rows
from tests.support.sending import ACCOUNT, Scene, sent_before

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_midjourney.describe.storage.listed_images import ListedImage, StoredImage
    from airflow_midjourney.describe.table.database import Database


@pytest.mark.parametrize("deaths", [0, 1])
def test_a_death_counts_against_an_image_only_while_it_is_decoded(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, deaths: int
) -> None:
    sent_before(scene)
    scene.change(lambda tx: rows.set_columns(tx, 1, reservations=deaths))
    seen: list[int] = []

    def note() -> None:
        seen.append(scene.rows[0]["reservations"])

    def note_and_read(image: ListedImage, suspect: Callable[[], None]) -> StoredImage:
        note()
        return scene.read(image, suspect)

    def note_and_prepare(body: bytes, **options: Any) -> PreparedImage:
        note()
        return prepare(body, **options)

    scene.service.during = note
    scene.worker.images = cast("Any", SimpleNamespace(read=note_and_read))
    monkeypatch.setattr(image_reader, "prepare", note_and_prepare)

    scene.send()
    note()

    assert scene.statuses[0] is Status.SUBMITTED
    assert seen == [deaths, deaths, deaths + 1, 0]


def test_an_image_that_was_decoded_is_acquitted_though_there_is_no_room_for_it(database: Database) -> None:
    scene = Scene(database, account=replace(ACCOUNT, max_in_flight=0))
    scene.change(lambda tx: rows.set_columns(tx, 1, reservations=1))

    scene.send()

    assert scene.rows[0]["reservations"] == 0


def test_a_store_that_takes_its_time_may_suspect_the_row_that_it_reads(scene: Scene) -> None:
    seen: list[int] = []

    def drip(image: ListedImage, suspect: Callable[[], None]) -> StoredImage:
        suspect()
        seen.append(scene.rows[0]["reservations"])
        return scene.read(image, suspect)

    scene.worker.images = cast("Any", SimpleNamespace(read=drip))
    scene.send()

    assert seen == [1]
    assert scene.rows[0]["reservations"] == 0
