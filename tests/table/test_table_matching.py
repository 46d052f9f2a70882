"""What becomes of a listed image: decided by what the table knows of its versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.model.status import BotType, Reason, Status
from airflow_midjourney.describe.storage.listed_images import ListedImage
from airflow_midjourney.describe.table import claims, leases, matching
from airflow_midjourney.describe.table.matching import Asker
from tests.support import rows

if TYPE_CHECKING:
    from airflow_midjourney.describe.table.database import Database, Transaction

KEY = "a'; drop table--<script>.jpg"
ARCHIVED = {"storage_class": "DEEP_ARCHIVE"}


def reject(tx: Transaction, reason: Reason, reader: str = rows.READER) -> None:
    batch = rows.open_batch(tx)
    (reserved,) = leases.reserve(tx, batch, "holder", 1)
    leases.reject(tx, reserved.id, "holder", reason, "why", reader)


def succeed(tx: Transaction) -> None:
    rows.submit_next(tx, rows.open_batch(tx))
    tx.connection.execute(tx.tables.images.update().values(status=Status.SUCCEEDED, ended_at=tx.now))


def summary(tx: Transaction) -> list[tuple[str, bool, str, str | None]]:
    return [(row["image_version"], row["is_current"], row["status"], row["reason"]) for row in rows.image_rows(tx)]


def test_a_new_image_gets_a_row_that_holds_what_was_listed(database: Database) -> None:
    with database.writing() as tx:
        assert rows.list_images(tx, [rows.listed(KEY, "v1")]) == {"new": 1}
        (row,) = rows.image_rows(tx)

    assert (row["image_uri"], row["bucket"], row["key"]) == (f"s3://photos/{KEY}", "photos", KEY)
    assert (row["image_version"], row["etag"], row["is_current"]) == ("v1", "v1", True)
    assert (row["size_bytes"], row["last_modified"]) == (1000, rows.LONG_AGO)
    assert (row["bot_type"], row["status"], row["attempts"]) == ("MID_JOURNEY", "pending", 0)
    assert row["created_at"] is not None


def test_listed_again_nothing_changes(database: Database) -> None:
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed(KEY)])
        before = rows.image_rows(tx)

        assert rows.list_images(tx, [rows.listed(KEY)]) == {"pending": 1}
        assert rows.image_rows(tx) == before


def test_both_bots_have_rows_of_their_own(database: Database) -> None:
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed(KEY)])

        assert rows.list_images(tx, [rows.listed(KEY)], bot_type=BotType.NIJI_JOURNEY) == {"new": 1}
        assert len(rows.image_rows(tx)) == 2


def test_an_overwritten_image_gets_a_new_row_and_the_old_one_is_kept(database: Database) -> None:
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed(KEY, "v1")])
        succeed(tx)

        assert rows.list_images(tx, [rows.listed(KEY, "v2")]) == {"changed": 1}
        assert summary(tx) == [("v1", False, "succeeded", None), ("v2", True, "pending", None)]


def test_a_version_that_was_replaced_before_it_was_sent_never_will_be(database: Database) -> None:
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed(KEY, "v1")])
        batch = rows.open_batch(tx)
        (reserved,) = leases.reserve(tx, batch, "holder", 1)
        rows.list_images(tx, [rows.listed(KEY, "v2")])

        assert summary(tx) == [("v1", False, "rejected", "replaced"), ("v2", True, "pending", None)]
        assert rows.claim_alone(tx, rows.request(batch, reserved), rows.ACCOUNT) is claims.ClaimResult.LOST


def test_back_to_an_earlier_version_that_has_its_prompts_costs_nothing(database: Database) -> None:
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed(KEY, "A")])
        succeed(tx)
        rows.list_images(tx, [rows.listed(KEY, "B")])

        assert rows.list_images(tx, [rows.listed(KEY, "A")]) == {"done": 1}
        assert summary(tx) == [("A", True, "succeeded", None), ("B", False, "rejected", "replaced")]


def test_back_to_an_earlier_version_that_was_never_sent_it_is_wanted_again(database: Database) -> None:
    with database.writing() as tx:
        for version in ("A", "B"):
            rows.list_images(tx, [rows.listed(KEY, version)])

        assert rows.list_images(tx, [rows.listed(KEY, "A")]) == {"reopened": 1}
        assert summary(tx) == [("A", True, "pending", None), ("B", False, "rejected", "replaced")]


@pytest.mark.parametrize("reason", [Reason.CORRUPT, Reason.UNSUPPORTED_FORMAT, Reason.TOO_LARGE])
def test_what_one_reader_could_not_read_is_left_to_a_better_one(database: Database, reason: Reason) -> None:
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed(KEY)])
        reject(tx, reason)

        assert rows.list_images(tx, [rows.listed(KEY)]) == {"rejected": 1}
        assert rows.list_images(tx, [rows.listed(KEY)], reader="reader-2") == {"reopened": 1}
        (row,) = rows.image_rows(tx)
    assert (row["status"], row["reason"], row["detail"], row["ended_at"]) == ("pending", None, None, None)


@pytest.mark.parametrize("reason", [Reason.EMPTY, Reason.UNPROCESSABLE])
def test_no_reader_changes_what_is_wrong_with_the_object_itself(database: Database, reason: Reason) -> None:
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed(KEY)])
        reject(tx, reason)

        assert rows.list_images(tx, [rows.listed(KEY)], reader="reader-2") == {"rejected": 1}


@pytest.mark.parametrize("reason", [Reason.MISSING, Reason.REPLACED])
def test_what_was_gone_when_it_was_read_and_is_listed_again_is_back(database: Database, reason: Reason) -> None:
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed(KEY)])
        reject(tx, reason)

        assert rows.list_images(tx, [rows.listed(KEY)]) == {"reopened": 1}


@pytest.mark.parametrize(
    ("now", "decision"),
    [
        (ARCHIVED, "rejected"),
        ({**ARCHIVED, "restored": True}, "reopened"),
        ({"storage_class": "STANDARD"}, "reopened"),
        ({"storage_class": "GLACIER_IR"}, "reopened"),
    ],
)
def test_an_archived_image_waits_for_its_restore(database: Database, now: dict[str, Any], decision: str) -> None:
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed(KEY, **ARCHIVED)])
        reject(tx, Reason.ARCHIVED)

        assert rows.list_images(tx, [rows.listed(KEY, **now)]) == {decision: 1}


@pytest.mark.parametrize("status", ["failed", "in_doubt", "succeeded", "submitted", "submitting"])
def test_what_was_sent_is_left_as_it_is(database: Database, status: str) -> None:
    decisions = {"succeeded": "done", "submitted": "waiting", "submitting": "waiting"}
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed(KEY)])
        rows.set_columns(tx, rows.image_rows(tx)[0]["id"], status=status)
        before = rows.image_rows(tx)

        assert rows.list_images(tx, [rows.listed(KEY)], reader="reader-2") == {decisions.get(status, status): 1}
        assert rows.image_rows(tx) == before


@pytest.mark.parametrize("key", ["nul\x00.jpg", "half\ud800.jpg"])
def test_a_key_that_cannot_be_stored_has_a_row_that_says_so(database: Database, key: str) -> None:
    with database.writing() as tx:
        assert rows.list_images(tx, [rows.listed(key)]) == {"new": 1}
        assert rows.list_images(tx, [rows.listed(key)]) == {"rejected": 1}
        (row,) = rows.image_rows(tx)

    assert (row["status"], row["reason"]) == ("rejected", "unprocessable")
    assert "rename" in row["detail"]


def test_hostile_text_is_stored_as_it_is(database: Database) -> None:
    keys = [KEY, "\u202efdp.gpj", "new\nline", "🦊.png", "%s %(x)s :name ?", "\\x00"]
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed(key) for key in sorted(keys)])
        assert rows.list_images(tx, [rows.listed(key) for key in sorted(keys)]) == {"pending": len(keys)}

        assert sorted(row["key"] for row in rows.image_rows(tx)) == sorted(keys)


def test_a_page_of_a_thousand_is_compared_whole(database: Database) -> None:
    page = [rows.listed(f"{number:04}.jpg") for number in range(1000)]
    with database.writing() as tx:
        assert rows.list_images(tx, page[:600]) == {"new": 600}
        assert rows.list_images(tx, page) == {"pending": 600, "new": 400}


def test_reading_a_page_writes_nothing(database: Database) -> None:
    with database.writing() as tx:
        compared = matching.compare_page(tx, [rows.listed(KEY)], Asker("batch", BotType.MID_JOURNEY, rows.READER))

        assert (compared.listed(5, 2).keys, compared.listed(5, 2).images, compared.listed(5, 2).rejected) == (5, 3, 2)
        assert rows.image_rows(tx) == []


def list_missing(tx: Transaction, key: str) -> None:
    matching.insert_missing(tx, rows.BUCKET, [key], Asker("batch", BotType.MID_JOURNEY, rows.READER))


def test_a_key_without_an_object_has_a_row_that_ends_anew_with_each_batch(database: Database) -> None:
    with database.writing() as tx:
        list_missing(tx, KEY)
        (row,) = rows.image_rows(tx)
        rows.set_columns(tx, row["id"], ended_at=rows.LONG_AGO)
        list_missing(tx, KEY)
        (again,) = rows.image_rows(tx)

    assert (row["status"], row["reason"], row["is_current"]) == ("rejected", "missing", False)
    assert again["ended_at"] > rows.LONG_AGO


def test_an_object_that_appears_where_there_was_none_is_wanted(database: Database) -> None:
    with database.writing() as tx:
        list_missing(tx, KEY)
        rows.list_images(tx, [rows.listed(KEY, "v1")])

        assert summary(tx) == [("", False, "rejected", "missing"), ("v1", True, "pending", None)]
        assert len(leases.reserve(tx, rows.open_batch(tx, Scope(rows.BUCKET, keys=(KEY,))), "holder", 5)) == 1


def test_listed_images_of_two_buckets_do_not_meet(database: Database) -> None:
    other = ListedImage("other", KEY, "v2", 1, rows.LONG_AGO)
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed(KEY, "v1")])

        assert rows.list_images(tx, [other]) == {"new": 1}
        assert [row["is_current"] for row in rows.image_rows(tx)] == [True, True]
