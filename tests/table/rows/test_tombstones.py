"""What an erased image leaves, and which images it stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.describe.model.status import BotType, Reason, Status
from airflow_midjourney.describe.table import tombstones
from airflow_midjourney.describe.table.tombstones import content_mark, object_mark
from tests.support import rows

if TYPE_CHECKING:
    from airflow_midjourney.describe.table.database import Database, Transaction

BOT, OTHER_BOT = BotType.MID_JOURNEY, BotType.NIJI_JOURNEY
URI = "s3://photos/a"


def erased(tx: Transaction, **columns: Any) -> None:
    """Put a row into the table that stands for the erased image a, and one that stands for nothing."""
    rows.list_images(tx, [rows.listed("0"), rows.listed("a")])
    marks = {"image_uri": object_mark(URI, "etag", BOT), "content_sha256": content_mark("digest", BOT)}
    facts = {"image_version": "", "bucket": "", "status": Status.REJECTED.value, "reason": Reason.ERASED.value}
    rows.set_columns(tx, 2, **marks | facts | columns)


@pytest.mark.parametrize(
    ("columns", "is_erased"),
    [
        ({}, True),
        ({"image_uri": object_mark(URI, "another version", BOT)}, False),
        ({"image_uri": object_mark("s3://photos/b", "etag", BOT)}, False),
        ({"image_uri": object_mark(URI, "etag", OTHER_BOT)}, False),
        ({"bot_type": OTHER_BOT.value}, False),
        ({"image_version": "etag"}, False),
    ],
    ids=str,
)
def test_a_listed_image_is_known_as_erased_by_its_version_and_bot(
    database: Database, columns: dict[str, Any], is_erased: bool
) -> None:
    with database.writing() as tx:
        erased(tx, **columns)
        found = tombstones.erased_versions(tx, [rows.listed("0"), rows.listed("a")], BOT)

        assert found == ({(URI, "etag"): 2} if is_erased else {})
        assert tombstones.erased_versions(tx, [], BOT) == {}


@pytest.mark.parametrize(
    ("columns", "is_erased"),
    [({}, True), ({"content_sha256": content_mark("another", BOT)}, False), ({"bot_type": OTHER_BOT.value}, False)],
    ids=str,
)
def test_bytes_are_known_as_erased_by_their_digest_and_bot(
    database: Database, columns: dict[str, Any], is_erased: bool
) -> None:
    with database.writing() as tx:
        erased(tx, **columns)

        assert tombstones.was_erased(tx, "digest", BOT) == is_erased


@pytest.mark.parametrize("reason", [Reason.ERASED, Reason.CORRUPT, None])
def test_only_what_was_erased_is_forgotten_and_only_what_was_named(database: Database, reason: Reason | None) -> None:
    with database.writing() as tx:
        erased(tx, reason=reason)
        tombstones.forget_erasures(tx, [1])
        assert [row["id"] for row in rows.image_rows(tx)] == [1, 2]

        tombstones.forget_erasures(tx, [2])
        assert [row["id"] for row in rows.image_rows(tx)] == ([1] if reason is Reason.ERASED else [1, 2])
