"""Erased images: nothing of them is left but two digests, which keep them from being paid for again by accident."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

from airflow_midjourney.describe.admin.erase import ErasureReport, erase
from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.model.status import BotType, Status
from airflow_midjourney.describe.table import matching, results, submissions
from airflow_midjourney.describe.table.claims import ClaimResult
from airflow_midjourney.describe.table.doubt import late_results
from airflow_midjourney.describe.table.duplicates import resolve_shared
from airflow_midjourney.describe.table.matching import Asker
from airflow_midjourney.describe.table.results import RemoteTimes
from airflow_midjourney.describe.table.submissions import PostFacts
from airflow_midjourney.describe.table.tombstones import erased_versions, was_erased
from tests.support import rows

if TYPE_CHECKING:
    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.database import Database, Transaction

PRIVATE = "customers/jane-doe.jpg"
SECRET = "a woman at a window"
SCOPE = Scope(rows.BUCKET, ("customers/",))


def describe(tx: Transaction, batch: Batch, key: str, body: str, task_id: str = "1") -> int:
    """Describe one image to its end."""
    rows.list_images(tx, [rows.listed(key, version=f"etag-{key}")])
    row = rows.submit_next(tx, batch, task_id, body)
    prompts = rows.parse_prompts(f"1️⃣ {SECRET} --ar 3:2\n\n2️⃣ {SECRET}, etching --ar 3:2")
    assert prompts is not None
    assert rows.described(tx, row, prompts, f"raw {SECRET}", RemoteTimes())
    return row.id


def list_again(tx: Transaction, *images: Any, redescribe: Any = None, batch: str = "other") -> dict[str, int]:
    asker = Asker(batch, BotType.MID_JOURNEY, rows.READER, redescribe)
    comparison = matching.compare_page(tx, images, asker)
    matching.write_page(tx, comparison, asker)
    return {decision.value: number for decision, number in comparison.decisions.items()}


def dump(tx: Transaction) -> str:
    """Give all that the tables hold, as text."""
    tables = (tx.tables.images, tx.tables.submissions, tx.tables.batches, tx.tables.members)
    return json.dumps(
        [dict(row) for table in tables for row in tx.connection.execute(table.select()).mappings()], default=str
    )


def test_nothing_about_the_image_is_left_and_the_bill_keeps_its_money(database: Database) -> None:
    with database.writing() as tx:
        batch = rows.open_batch(tx, Scope(rows.BUCKET, keys=(PRIVATE, "other/b.jpg")))
        image_id = describe(tx, batch, PRIVATE, "bytes of jane")
        paid = rows.bill(tx)

    report = erase(database, [SCOPE], "a run")

    assert report == ErasureReport(erased=1)
    with database.reading() as tx:
        everything = dump(tx)
        assert [word for word in ("jane", SECRET, "customers", f"etag-{PRIVATE}") if word in everything] == []
        assert rows.content("bytes of jane").content_sha256 not in everything
        (bill,) = rows.bill(tx)
        gone = {"task_id": None, "detail": None, "content_sha256": bill["content_sha256"]}
        assert bill == paid[0] | gone | {"settled_at": bill["settled_at"]}
        row = rows.image_row(tx, image_id)
        assert (row["status"], row["reason"], row["detail"]) == ("rejected", "erased", "Erased by a run.")
        assert tx.connection.execute(tx.tables.batches.select()).mappings().one()["keys"] == ["erased-0", "other/b.jpg"]
    assert erase(database, [SCOPE], "a run") == ErasureReport()


def test_the_same_object_is_not_listed_as_new_and_the_same_bytes_are_not_sent(database: Database) -> None:
    with database.writing() as tx:
        batch = rows.open_batch(tx)
        describe(tx, batch, PRIVATE, "bytes of jane")
    erase(database, [SCOPE], "a run")

    with database.writing() as tx:
        again = rows.listed(PRIVATE, version=f"etag-{PRIVATE}")
        assert list_again(tx, again, rows.listed("copies/x.jpg"), rows.listed(PRIVATE + "2")) == {"erased": 1, "new": 2}
        result, _ = rows.claim_next(tx, batch, "bytes of jane")
        assert result is ClaimResult.ERASED
        (rejected,) = (row for row in rows.image_rows(tx) if row["key"] == "copies/x.jpg")
        assert (rejected["status"], rejected["reason"]) == ("rejected", "erased")
        assert "redescribe='erased'" in rejected["detail"]
        assert list_again(tx, rows.listed("copies/x.jpg")) == {"erased": 1}
        assert rows.claim_next(tx, batch, "other bytes")[0] is ClaimResult.CLAIMED
        assert len(rows.bill(tx)) == 2


def test_a_new_version_of_an_erased_object_is_another_image(database: Database) -> None:
    with database.writing() as tx:
        describe(tx, rows.open_batch(tx), PRIVATE, "bytes of jane")
    erase(database, [SCOPE], "a run")
    with database.writing() as tx:
        assert list_again(tx, rows.listed(PRIVATE, version="a new picture")) == {"new": 1}


@pytest.mark.parametrize("key", [PRIVATE, "copies/x.jpg"])
def test_on_purpose_it_is_described_again_once(key: str, database: Database) -> None:
    with database.writing() as tx:
        batch = rows.open_batch(tx)
        describe(tx, batch, PRIVATE, "bytes of jane")
    erase(database, [SCOPE], "a run")

    with database.writing() as tx:
        image = rows.listed(key, version=f"etag-{PRIVATE}")
        if key != PRIVATE:
            list_again(tx, image)
            assert rows.claim_next(tx, batch, "bytes of jane")[0] is ClaimResult.ERASED
        assert list_again(tx, image, redescribe="erased") == {"again": 1}
        row = rows.submit_next(tx, batch, "2", "bytes of jane")
        assert rows.described(tx, row, rows.four_prompts(), "raw", RemoteTimes())
        assert list_again(tx, image, redescribe="erased") == {"done": 1}
        assert list_again(tx, image) == {"done": 1}
        assert len(rows.bill(tx)) == 2

    assert erase(database, [Scope(rows.BUCKET, ("",))], "a run").erased == 1


def test_what_is_on_its_way_is_erased_when_it_is_answered(database: Database) -> None:
    with database.writing() as tx:
        batch = rows.open_batch(tx)
        rows.list_images(
            tx, [rows.listed("customers/a.jpg"), rows.listed("customers/b.jpg"), rows.listed("customers/c.jpg")]
        )
        sent = rows.submit_next(tx, batch, "7")
        claimed, request = rows.claim_next(tx, batch)
        assert claimed is ClaimResult.CLAIMED

    assert erase(database, [SCOPE], "a run") == ErasureReport(erased=1, on_their_way=2)

    with database.writing() as tx:
        assert rows.described(tx, sent, rows.four_prompts(), "raw", RemoteTimes())
        assert rows.accepted(tx, request.submit_token, "8", PostFacts())
        rows.set_columns(tx, request.image_id, status=Status.FAILED, reason="timeout")
    assert erase(database, [SCOPE], "a run") == ErasureReport(erased=2)


def test_an_answer_that_comes_late_writes_nothing_back(database: Database) -> None:
    with database.writing() as tx:
        batch = rows.open_batch(tx)
        rows.list_images(tx, [rows.listed("customers/a.jpg"), rows.listed("customers/b.jpg")])
        row = rows.submit_next(tx, batch, "7")
        results.ended(tx, row, submissions.Reason.TIMEOUT, "slow", RemoteTimes(), "")
        rows.set_columns(tx, row.id, status=Status.FAILED, reason="timeout")
        tx.connection.execute(tx.tables.submissions.update().values(reason="timeout"))
        (given_up,) = late_results.given_up(tx, rows.ACCOUNT.identity)
        _, doubtful = rows.claim_next(tx, batch)
        rows.set_columns(tx, doubtful.image_id, status=Status.IN_DOUBT)

    assert erase(database, [SCOPE], "a run").erased == 2

    with database.writing() as tx:
        assert late_results.given_up(tx, rows.ACCOUNT.identity) == []
        assert not late_results.answered_late(
            tx, rows.ACCOUNT.identity, given_up, rows.four_prompts(), "raw", RemoteTimes()
        )
        # The slow worker of the doubtful one: it was taken, so it is in the bill, and nowhere else.
        assert not rows.accepted(tx, doubtful.submit_token, "9", PostFacts())
        assert {row["status"] for row in rows.image_rows(tx)} == {"rejected"}
        assert "one" not in {row["prompt_1"] for row in rows.image_rows(tx)}
        assert [line["outcome"] for line in rows.bill(tx)] == ["accepted", "accepted"]


def test_a_worker_that_was_reading_the_image_has_lost_it(database: Database) -> None:
    with database.writing() as tx:
        batch = rows.open_batch(tx)
        rows.list_images(tx, [rows.listed("customers/a.jpg")])
        (reserved,) = rows.leases.reserve(tx, batch, "holder", 1)
    erase(database, [SCOPE], "a run")
    with database.writing() as tx:
        assert rows.claim(tx, rows.request(batch, reserved)) is ClaimResult.LOST
        assert rows.bill(tx) == []


def test_a_twin_that_waited_for_an_erased_image_is_not_sent(database: Database) -> None:
    with database.writing() as tx:
        batch = rows.open_batch(tx)
        rows.list_images(tx, [rows.listed("customers/a.jpg"), rows.listed("twin/b.jpg")])
        _, first = rows.claim_next(tx, batch, "same")
        assert rows.claim_next(tx, batch, "same")[0] is ClaimResult.SHARED
        rows.set_columns(tx, first.image_id, status=Status.IN_DOUBT)
        assert resolve_shared(tx) == 1
    erase(database, [SCOPE], "a run")

    with database.writing() as tx:
        assert resolve_shared(tx) == 1
        assert rows.claim_next(tx, batch, "same")[0] is ClaimResult.ERASED
        assert len(rows.bill(tx)) == 1


def test_twins_outside_the_scope_are_counted_and_still_shared(database: Database) -> None:
    with database.writing() as tx:
        batch = rows.open_batch(tx)
        describe(tx, batch, PRIVATE, "same")
        rows.list_images(tx, [rows.listed("twin/b.jpg")])
        assert rows.claim_next(tx, batch, "same")[0] is ClaimResult.SHARED

    assert erase(database, [SCOPE], "a run") == ErasureReport(erased=1, twins=1)

    with database.writing() as tx:
        rows.list_images(tx, [rows.listed("twin/c.jpg")])
        assert rows.claim_next(tx, batch, "same")[0] is ClaimResult.SHARED


def test_a_key_without_an_object_leaves_no_digest_that_a_name_gives_away(database: Database) -> None:
    with database.writing() as tx:
        asker = Asker("batch", BotType.MID_JOURNEY, rows.READER)
        matching.insert_missing(tx, rows.BUCKET, [PRIVATE], asker)
    assert erase(database, [SCOPE], "a run").erased == 1
    with database.reading() as tx:
        assert erased_versions(tx, [rows.listed(PRIVATE, version="")], "MID_JOURNEY") == {}
        assert "jane" not in dump(tx)


def test_it_costs_one_look_into_an_index_a_page_and_none_where_all_is_known(database: Database) -> None:
    images = [rows.listed(f"in/{number}.jpg") for number in range(50)]
    with database.writing() as tx:
        rows.fill_with_finished_rows(tx, 20_000)
    rows.analyze(database)
    with database.writing() as tx:
        assert statements_of(database, tx, images) == 2
        rows.list_images(tx, images)
        assert statements_of(database, tx, images) == 1
    with rows.plans(database) as plans, database.writing() as tx:
        erased_versions(tx, images, "MID_JOURNEY")
        was_erased(tx, "0" * 64, "MID_JOURNEY")
    assert len(plans) == 2
    assert [plan for plan in plans if "Seq Scan" in plan or "SCAN" in plan] == []


def statements_of(database: Database, tx: Transaction, images: list[Any]) -> int:
    """Count what comparing a page asks the database."""
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    matching.compare_page(tx, images, Asker("batch", BotType.MID_JOURNEY, rows.READER))
    event.remove(database.engine, "before_cursor_execute", note)
    return len(asked)
