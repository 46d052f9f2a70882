"""What a listing writes: rows that are new, that are tried again, and that have ended and are wanted once more."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.describe.model.batch import Origin
from airflow_midjourney.describe.model.events import Event, EventKind
from airflow_midjourney.describe.model.status import BotType, Reason, Status
from airflow_midjourney.describe.table import matching
from airflow_midjourney.describe.table.matching import Asker, UnreadKey
from airflow_midjourney.describe.table.orders.seen_rows import SeenRow, name_submission
from tests.support import rows

if TYPE_CHECKING:
    from airflow_midjourney.describe.model.batch import Redescribe
    from airflow_midjourney.describe.table.database import Database, Transaction

UNSTORABLE = "a\x00.jpg"
ORIGIN = Origin("dag", "run", "task", 3, rows.LONG_AGO)
ME = Asker("me", BotType.MID_JOURNEY, "reader-2", origin=ORIGIN)
A_LITTLE = timedelta(seconds=1)


def list_as(tx: Transaction, asker: Asker, *keys: str) -> None:
    matching.write_page(tx, matching.compare_page(tx, [rows.listed(key) for key in keys], asker), asker)


def filled(row: dict[str, Any]) -> dict[str, Any]:
    """Give what a row holds, but for its number and zeroes."""
    return {name: value for name, value in row.items() if value not in (None, 0) and name != "id"}


def as_listed(tx: Transaction, key: str) -> dict[str, Any]:
    return {
        "image_uri": f"s3://photos/{key}",
        "bucket": "photos",
        "key": key,
        "bot_type": "MID_JOURNEY",
        "image_version": "etag",
        "etag": "etag",
        "size_bytes": 1000,
        "last_modified": rows.LONG_AGO,
        "is_current": True,
        "storage_class": "STANDARD",
        "max_attempts": 1,
        "batch_id": "me",
        "dag_id": "dag",
        "run_id": "run",
        "dag_task_id": "task",
        "map_index": 3,
        "logical_date": rows.LONG_AGO,
        "created_at": tx.now,
        "updated_at": tx.now,
    }


@pytest.mark.parametrize("other", ["0.jpg", "b.jpg"], ids=["before", "after"])
def test_a_new_row_holds_what_was_listed_and_one_that_cannot_be_sent_why(database: Database, other: str) -> None:
    with database.writing() as tx:
        list_as(tx, ME, *sorted([UNSTORABLE, other]))
        pending, rejected = sorted(rows.image_rows(tx), key=lambda row: str(row["status"]))

        assert filled(pending) == as_listed(tx, other) | {"status": "pending"}
        detail = "The key holds characters that the table cannot store; rename the object."
        assert filled(rejected) == as_listed(tx, rejected["key"]) | {
            "status": "rejected",
            "reason": "unprocessable",
            "detail": detail,
            "ended_at": tx.now,
        }
        assert list(tx.events) == [Event(EventKind.REJECTED, 1, Reason.UNPROCESSABLE)]

        list_as(tx, replace(ME, batch_id="another"), *sorted([UNSTORABLE, other]))
        assert len(tx.events) == 1
        assert len(rows.image_rows(tx)) == 2


def test_a_key_that_has_no_object_ends_anew_with_what_it_is_by_now(database: Database) -> None:
    with database.writing() as tx:
        matching.insert_missing(tx, rows.BUCKET, ["a"], ME)
        (row,) = rows.image_rows(tx)
        unknown = ("etag", "size_bytes", "last_modified", "storage_class")
        known = {name: value for name, value in as_listed(tx, "a").items() if name not in unknown}
        assert filled(row) == filled(known | {"image_version": "", "is_current": False, "id": 0}) | {
            "image_version": "",
            "status": "rejected",
            "reason": "missing",
            "ended_at": tx.now,
            "detail": "There is no object with this key.",
        }
        assert list(tx.events) == [Event(EventKind.REJECTED, 1, Reason.MISSING)]

        rows.set_columns(tx, row["id"], ended_at=rows.LONG_AGO, created_at=rows.LONG_AGO)
        denied = UnreadKey("a", Reason.DENIED, "403")
        matching.insert_denied(tx, rows.BUCKET, [denied, UnreadKey("b", Reason.DENIED, "403")], ME)
        again, other = rows.image_rows(tx)
        assert again == row | {
            "reason": "denied",
            "detail": "403",
            "rejected_before": "missing",
            "created_at": rows.LONG_AGO,
        }
        assert (other["key"], other["reason"], other["rejected_before"]) == ("b", "denied", None)
        assert list(tx.events)[1:] == [Event(EventKind.REJECTED, 1, Reason.DENIED)]


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.REJECTED])
def test_a_key_whose_row_is_more_than_rejected_is_not_looked_up_again(database: Database, status: Status) -> None:
    with database.writing() as tx:
        matching.insert_missing(tx, rows.BUCKET, ["a"], ME)
        rows.set_columns(tx, 1, status=status.value)
        before = rows.image_row(tx, 1)
        matching.insert_denied(tx, rows.BUCKET, [UnreadKey("a", Reason.DENIED, "403")], ME)

        assert rows.image_row(tx, 1) == before


def rejected_row(tx: Transaction, reason: Reason) -> dict[str, Any]:
    list_as(tx, replace(ME, reader="reader-1"), "a", "b")
    why = {"reason": reason.value, "detail": "why", "reader": "reader-1", "not_before": tx.now, "reservations": 3}
    rows.set_columns(tx, 1, status=Status.REJECTED.value, ended_at=tx.now - A_LITTLE, **why)
    tx.events.clear()
    return rows.image_row(tx, 1)


@pytest.mark.parametrize(
    ("started", "before"),
    [(None, "corrupt"), (timedelta(0), "corrupt"), (-A_LITTLE, "earlier"), (-A_LITTLE * 2, "earlier")],
)
def test_a_rejected_image_that_is_tried_again_waits_as_if_new_and_keeps_why_an_earlier_run_rejected_it(
    database: Database, started: timedelta | None, before: str
) -> None:
    with database.writing() as tx:
        rejected_row(tx, Reason.CORRUPT)
        rows.set_columns(tx, 1, rejected_before="earlier")
        row, other = rows.image_row(tx, 1), rows.image_row(tx, 2)
        asker = replace(ME, batch_id="next", started_at=None if started is None else tx.now + started)
        list_as(tx, asker, "a")

        assert rows.image_row(tx, 1) == row | {
            "status": "pending",
            "reason": None,
            "detail": None,
            "ended_at": None,
            "not_before": None,
            "reservations": 0,
            "rejected_before": before,
            "batch_id": "next",
        }
        assert rows.image_row(tx, 2) == other


def test_a_version_that_was_replaced_while_it_waited_is_rejected_and_one_that_was_sent_is_only_history(
    database: Database,
) -> None:
    with database.writing() as tx:
        list_as(tx, ME, "a", "b", "c")
        rows.set_columns(tx, 2, status=Status.SUBMITTED.value)
        other = rows.image_row(tx, 3)
        tx.events.clear()
        page = [rows.listed(key, "version 2") for key in "ab"]
        matching.write_page(tx, matching.compare_page(tx, page, ME), ME)

        replaced, sent = rows.image_row(tx, 1), rows.image_row(tx, 2)
        assert (replaced["status"], replaced["reason"], replaced["ended_at"]) == ("rejected", "replaced", tx.now)
        assert replaced["detail"].startswith("The object was replaced before this version was sent")
        assert (sent["status"], sent["reason"], sent["ended_at"]) == ("submitted", None, None)
        assert (replaced["is_current"], sent["is_current"]) == (False, False)
        assert rows.image_row(tx, 3) == other
        assert list(tx.events) == [Event(EventKind.REJECTED, 1, Reason.REPLACED)]


WANTED: dict[Redescribe, set[tuple[Status, Reason | None]]] = {
    "failed": {(Status.FAILED, None)},
    "in_doubt": {(Status.IN_DOUBT, None)},
    "all": {(Status.SUCCEEDED, None), (Status.FAILED, None), (Status.IN_DOUBT, None)},
    "erased": {(Status.REJECTED, Reason.ERASED)},
}


@pytest.mark.parametrize("redescribe", WANTED)
def test_what_a_batch_asks_for_is_described_again_and_nothing_else(database: Database, redescribe: Redescribe) -> None:
    states: list[tuple[Status, Reason | None]] = [(status, None) for status in Status]
    states += [(Status.REJECTED, Reason.ERASED), (Status.REJECTED, Reason.CORRUPT)]
    with database.writing() as tx:
        keys = [f"{number}" for number in range(len(states))]
        list_as(tx, ME, *keys)
        for number, (status, reason) in enumerate(states, 1):
            rows.set_columns(tx, number, status=status.value, reason=reason, reader=ME.reader)
        found = matching.compare_page(tx, [rows.listed(key) for key in keys], replace(ME, redescribe=redescribe))

        assert {states[row.image_id - 1] for row in found.again} == WANTED[redescribe]


def ended_row(tx: Transaction, status: Status = Status.FAILED) -> dict[str, Any]:
    """Put a row into the table that has ended, and has all that one may have."""
    list_as(tx, ME, "a", "b")
    moments = dict.fromkeys(("in_doubt_after", "doubt_checked_at", "absent_since", "not_before", "ended_at"), tx.now)
    facts = {"reason": "timeout", "detail": "why", "shares_id": 2, "submit_token": "token", "task_id": "1"}
    counters = {"attempts": 2, "reservations": 1, "prompt_1": "one", "prompt_count": 1, "price": 5}
    rows.set_columns(tx, 1, status=status.value, **moments, **facts, **counters)
    return rows.image_row(tx, 1)


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.FAILED, Status.IN_DOUBT])
def test_a_row_that_is_described_again_waits_as_if_never_sent_and_keeps_its_prompts(
    database: Database, status: Status
) -> None:
    with database.writing() as tx:
        row, other = ended_row(tx, status), rows.image_row(tx, 2)
        seen = SeenRow(1, status.value, name_submission("token"))
        since = tx.now - A_LITTLE

        assert matching.take_up_again(tx, [seen], "order", since, batch_id="order") == [1]
        emptied = ("reason", "detail", "shares_id", "submit_token", "task_id", "ended_at", "not_before")
        doubt = ("in_doubt_after", "doubt_checked_at", "absent_since")
        assert rows.image_row(tx, 1) == row | dict.fromkeys((*emptied, *doubt)) | {
            "status": "pending",
            "attempts": 0,
            "reservations": 0,
            "batch_id": "order",
            "redescribed_by": "order",
            "redescribed_at": since,
        }
        assert rows.image_row(tx, 2) == other


@pytest.mark.parametrize(
    ("columns", "is_taken"),
    [
        ({}, True),
        ({"redescribed_by": "another"}, True),
        ({"redescribed_by": "order"}, False),
        ({"submit_token": "a later one"}, False),
        ({"status": Status.SUCCEEDED.value}, False),
    ],
    ids=str,
)
def test_a_row_is_taken_up_once_by_each_order_and_only_as_it_was_seen(
    database: Database, columns: dict[str, Any], is_taken: bool
) -> None:
    with database.writing() as tx:
        ended_row(tx)
        rows.set_columns(tx, 1, updated_at=tx.now, **columns)
        seen = [SeenRow(1, Status.FAILED.value, name_submission("token"))]

        assert matching.take_up_again(tx, seen, "order", tx.now) == ([1] if is_taken else [])
        assert matching.take_up_again(tx, [], "order", tx.now) == []


@pytest.mark.parametrize(
    ("status", "reason"),
    [(Status.PENDING, None), (Status.SUBMITTING, None), (Status.SUBMITTED, None), (Status.REJECTED, "corrupt")],
)
def test_what_waits_or_was_never_sent_is_not_taken_up(database: Database, status: Status, reason: str | None) -> None:
    with database.writing() as tx:
        ended_row(tx, status)
        rows.set_columns(tx, 1, reason=reason)
        seen = [SeenRow(1, status.value, name_submission("token"))]

        assert matching.take_up_again(tx, seen, "order", tx.now) == []
        rows.set_columns(tx, 1, status=Status.REJECTED.value, reason=Reason.ERASED.value)
        seen = [SeenRow(1, Status.REJECTED.value, name_submission("token"))]
        assert matching.take_up_again(tx, seen, "order", tx.now) == [1]
