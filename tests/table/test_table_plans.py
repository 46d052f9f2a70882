"""With many finished rows in the table, no query walks through them: it goes by an index."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.schema import CreateSchema

from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.model.status import BotType, Reason, Status
from airflow_midjourney.describe.queries import batch as batch_module
from airflow_midjourney.describe.queries import failures, gallery, spend
from airflow_midjourney.describe.queries.filters import Filters, Span
from airflow_midjourney.describe.queries.gallery import Cursor
from airflow_midjourney.describe.service.callback_url import digest_of
from airflow_midjourney.describe.table import (
    accounts,
    batches,
    budgets,
    callbacks,
    counts,
    duplicates,
    latency,
    leases,
    matching,
    poll_schedule,
    results,
    submissions,
)
from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.describe.table.doubt import in_doubt, late_results
from airflow_midjourney.describe.table.matching import Asker
from airflow_midjourney.describe.table.migrations import ensure_tables
from airflow_midjourney.describe.table.schema import TableNames
from tests.support import rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from airflow_midjourney.describe.table.database import Database, Transaction

FINISHED = 100_000
#: The new images lie between the finished ones, as a prefix that is described again and again has them.
MIXED = Scope(rows.BUCKET, ("old/",))
#: Each of them holds the rows that are on their way, and hardly any other.
OF_FEW_ROWS = ("ix_image_prompts_in_flight", "uq_image_prompts_twin", "ix_image_prompts_open")


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database with many finished rows, made once: filling it takes longer than all the tests."""
    if request.param == "sqlite":
        url, names = f"sqlite:///{tmp_path_factory.mktemp('plans')}/image_prompts.sqlite", TableNames()
    else:
        url, names = request.getfixturevalue("postgres_url"), TableNames(schema="plans")
    opened = open_database(url, names)
    if names.schema:
        with opened.writing() as tx:
            tx.connection.execute(CreateSchema(names.schema))
    ensure_tables(opened)
    with opened.writing() as tx:
        rows.fill_with_finished_rows(tx, FINISHED)
    rows.analyze(opened)
    yield opened
    opened.close()


@pytest.fixture
def full(filled: Database) -> Iterator[Database]:
    with filled.writing() as tx:
        rows.list_images(tx, [rows.listed(f"old/{number}0.jpg") for number in range(5)])
    yield filled
    with filled.writing() as tx:
        tables = tx.tables
        tx.connection.execute(tables.images.delete().where(tables.images.c.key.like("%.jpg")))
        tx.connection.execute(tables.submissions.delete().where(tables.submissions.c.batch_id != "old"))
        tx.connection.execute(tables.batches.delete())
        tx.connection.execute(tables.accounts.delete())


def scans(found: list[str]) -> list[str]:
    """Give the plans that walk through the whole metadata table, or through all rows of a bucket or prefix."""
    return [plan for plan in found if walks(plan)]


def walks(plan: str) -> bool:
    return any(
        words in plan
        for words in (
            "Seq Scan on image_prompts ",
            "Seq Scan on image_prompts\n",
            "Seq Scan on image_prompts_submissions ",
            "SCAN image_prompts\n",
            "ix_image_prompts_scope (bucket=? AND bot_type=? AND key>? AND key<?)",
            "ix_image_prompts_scope (bucket=? AND bot_type=?)",
            "ix_image_prompts_ended (bucket=? AND bot_type=?)",
            "ix_image_prompts_submissions_day",
        )
    ) or plan.endswith(("SCAN image_prompts", "Seq Scan on image_prompts"))


def is_of_latest_answers(plan: str) -> bool:
    """Say whether a plan follows a day's submissions backwards and looks their images up: for twenty of them."""
    by_number = ("image_prompts USING INTEGER PRIMARY KEY", "Index Scan using image_prompts_pkey")
    return "ix_image_prompts_submissions_day" in plan and any(words in plan for words in by_number)


def uses(found: list[str], *indexes: str) -> bool:
    return any(index in plan for plan in found for index in indexes)


def test_reserving_and_claiming_look_at_unfinished_rows_only(full: Database) -> None:
    with rows.plans(full) as found, full.writing() as tx:
        batch = rows.open_batch(tx, MIXED)
        rows.submit_next(tx, batch)

    assert [plan for plan in scans(found) if not is_of_latest_answers(plan)] == []
    assert uses(found, "ix_image_prompts_open")
    assert uses(found, *OF_FEW_ROWS)
    assert uses(found, "ix_image_prompts_content")


def test_counting_looks_at_what_is_open_or_ended_lately(full: Database) -> None:
    with full.writing() as tx:
        batch = rows.open_batch(tx, MIXED)
        rows.submit_next(tx, batch)
    with rows.plans(full) as found, full.reading() as tx:
        counts.count_open(tx, batch)
        counts.count(tx, batch)
        latency.oldest_in_flight(tx, rows.ACCOUNT.identity)
        accounts.read_account(tx, rows.ACCOUNT.identity)
    assert scans(found) == []
    assert uses(found, "ix_image_prompts_open")
    assert uses(found, "ix_image_prompts_ended")
    assert uses(found, *OF_FEW_ROWS)


def test_a_page_looks_at_what_is_open_or_ended_lately(full: Database) -> None:
    with full.writing() as tx:
        batch = rows.open_batch(tx, MIXED)
        rows.submit_next(tx, batch)
    with rows.plans(full) as found, full.looking() as tx:
        batch_module.overview(tx, batch.batch_id)
    assert scans(found) == []
    assert uses(found, "ix_image_prompts_open")
    assert uses(found, "ix_image_prompts_ended")


def test_settling_looks_at_what_is_on_its_way_only(full: Database) -> None:
    with full.writing() as tx:
        batch = rows.open_batch(tx, MIXED)
        rows.submit_next(tx, batch, body="same")
        rows.claim_next(tx, batch, body="same")
        sent = rows.submit_next(tx, batch, task_id="2")
    with rows.plans(full) as found, full.writing() as tx:
        results.in_flight(tx, rows.ACCOUNT.identity)
        submissions.doubt_overdue(tx)
        results.ended(tx, sent, Reason.BANNED, "", results.RemoteTimes(), "")
        duplicates.resolve_shared(tx)
    assert scans(found) == []
    assert uses(found, *OF_FEW_ROWS)
    assert uses(found, "ix_image_prompts_sharing")


def test_a_callback_and_those_who_listen_for_it_look_at_what_is_on_its_way_only(full: Database) -> None:
    digests = [digest_of(f"{number}") for number in range(20)]
    with full.writing() as tx:
        batch = rows.open_batch(tx, MIXED)
        for number, digest in enumerate(digests[:3]):
            sent = rows.submit_next(tx, batch, task_id=f"{number}")
            rows.set_columns(tx, sent.id, callback_digest=digest)
    with rows.plans(full) as found, full.writing() as tx:
        assert callbacks.mark_called(tx, digests[2:]) == 1
    assert len(found) == 1
    assert scans(found) == []
    assert uses(found, "ix_image_prompts_callback", *OF_FEW_ROWS)
    with rows.plans(full) as found, full.writing() as tx:
        assert tx.connection.execute(callbacks.called_rows(tx.tables.images, rows.ACCOUNT.identity)).first()
        assert poll_schedule.is_called_for(tx, rows.ACCOUNT.identity)
        accounts.read_account(tx, rows.ACCOUNT.identity)
        callbacks.note_asked(tx, [sent.id], tx.now)
    assert scans(found) == []
    assert uses(found, *OF_FEW_ROWS)


@pytest.mark.parametrize("keys", [["old/1", "old/99999"], [f"old/{number}" for number in range(2000, 3000)]])
def test_matching_a_page_looks_at_its_keys_only(full: Database, keys: list[str]) -> None:
    with rows.plans(full) as found, full.reading() as tx:
        compared = matching.compare_page(
            tx, [rows.listed(key) for key in keys], Asker("batch", BotType.MID_JOURNEY, rows.READER)
        )
    assert compared.listed(len(keys)).done == len(keys)
    assert scans(found) == []
    assert any("image_prompts_scope" in plan for plan in found)


def test_doubts_late_answers_and_left_overs_are_found_at_once(full: Database) -> None:
    identity = rows.ACCOUNT.identity
    with full.writing() as tx:
        earlier = rows.open_batch(tx, MIXED, run_id="earlier")
        _, doubtful = rows.claim_next(tx, earlier)
        rows.set_columns(tx, doubtful.image_id, status="in_doubt", ended_at=tx.now, doubt_checked_at=tx.now)
        sent = rows.submit_next(tx, earlier)
        results.ended(tx, sent, Reason.LOST, "", results.RemoteTimes(), "")
        # The day's first count reads the day, and later ones go on from there.
        budgets.move_on(tx, budgets.day_that_pays(tx, identity))
    with full.writing() as tx:
        batch = rows.open_batch(tx, MIXED)
    with rows.plans(full) as found, full.writing() as tx:
        in_doubt.unresolved(tx, identity)
        assert in_doubt.release_for_resubmission(tx, batch, identity) != []
        assert [one.submit_token for one in late_results.given_up(tx, identity)] == [sent.submit_token]
        counts.count_undecided(tx, batch, identity)
        earlier = [one.batch_id for one in batches.left_over_batches(tx, batch)]
        leases.reserve_left_over(tx, batch, earlier, "holder", 3)
    assert scans(found) == []
    assert uses(found, "ix_image_prompts_in_doubt")
    assert uses(found, "ix_image_prompts_submissions_unanswered", "ix_image_prompts_submissions_image")


def test_ending_a_listing_finds_the_last_row_at_once(full: Database) -> None:
    with full.writing() as tx:
        batch = rows.open_batch(tx, MIXED)
    with rows.plans(full) as found, full.writing() as tx:
        batches.end_listing(tx, batch.batch_id)
    assert all("Seq Scan on image_prompts\n" not in plan for plan in found)
    assert any("image_prompts_pkey" in plan or "SEARCH image_prompts" in plan for plan in found)


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        (Filters(), "ix_image_prompts_of_dag"),
        (Filters(text="no such words"), "ix_image_prompts_of_dag"),
        (Filters(run_id="run"), "ix_image_prompts_of_dag_run"),
        (Filters(reason=Reason.BANNED), "ix_image_prompts_of_dag_end"),
        (Filters(reason=Reason.BANNED, within=Span.WEEK), "ix_image_prompts_of_dag_end"),
        (Filters(status=Status.FAILED), "ix_image_prompts_of_dag_end"),
        (Filters(reason=Reason.BANNED, run_id="run"), "ix_image_prompts_of_run_end"),
        (Filters(status=Status.PENDING), "ix_image_prompts_open"),
        (Filters(status=Status.IN_DOUBT), "ix_image_prompts_of_dag_doubt"),
        (Filters(status=Status.SUCCEEDED), "ix_image_prompts_of_dag_answer"),
        (Filters(status=Status.SUCCEEDED, dag_id="dag"), "ix_image_prompts_of_dag_answer"),
        (Filters(prefix="s3://photos/old/5"), "image_prompts_version"),
        (Filters(batch="dag/task/run"), "image_prompts_version"),
        (Filters(batch="dag/task/run", in_flight=True), "ix_image_prompts_open"),
        (Filters(batch="dag/task/run", status=Status.PENDING), "ix_image_prompts_open"),
        (Filters(batch="dag/task/run", status=Status.SUCCEEDED), "ix_image_prompts_of_dag_answer"),
        (Filters(batch="dag/task/run", status=Status.FAILED), "ix_image_prompts_of_dag_end"),
        (Filters(batch="dag/task/run", reason=Reason.BANNED), "ix_image_prompts_of_dag_end"),
    ],
    ids=[
        "all",
        "text",
        "run",
        "reason",
        "week",
        "status",
        "run's reason",
        "open",
        "doubtful",
        "described",
        "described by one",
        "prefix",
        "batch",
        "batch in flight",
        "batch pending",
        "batch described",
        "batch failed",
        "batch's reason",
    ],
)
def test_a_page_of_the_gallery_walks_along_an_index(full: Database, filters: Filters, index: str) -> None:
    with full.writing() as tx:
        batch = rows.open_batch(tx, MIXED)
        rows.submit_next(tx, batch)
        rows.set_columns(tx, rows.submit_next(tx, batch, task_id="2").id, status="in_doubt")
    cursor = Cursor(FINISHED // 2)
    with rows.plans(full) as found, full.reading() as tx:
        gallery.turn_page(tx, filters, frozenset({"dag"}), cursor, 48)
        gallery.turn_page(tx, filters, frozenset({"dag"}), Cursor(cursor.row_id, backwards=True), 48)
    assert walked(found) == []
    also = {"image_prompts_version": "sqlite_autoindex_image_prompts_1", "ix_image_prompts_of_dag_doubt": "in_doubt"}
    assert uses(found, index, also.get(index, index))


def test_a_page_in_the_middle_of_everybodys_images_walks_along_their_numbers(full: Database) -> None:
    everybody = frozenset(f"dag{number}" for number in range(gallery.MOST_LANES + 1))
    with rows.plans(full) as found, full.reading() as tx:
        page = gallery.turn_page(tx, Filters(text="no such words"), everybody, Cursor(FINISHED), 48)
    assert walked(found) == []
    assert (page.rows, page.complete) == ((), False)
    assert page.following == Cursor(FINISHED - sum(gallery.STEPS))


def test_counting_reasons_looks_at_failures_only(full: Database) -> None:
    with full.writing() as tx:
        batch = rows.open_batch(tx, MIXED)
    with rows.plans(full) as found, full.reading() as tx:
        failures.count_reasons(tx, Filters(within=Span.WEEK), frozenset({"dag"}))
        failures.count_reasons(tx, Filters(batch=batch.batch_id), frozenset({"dag"}))
    assert walked(found) == []
    assert uses(found, *(f"ix_image_prompts_of_{what}" for what in ("dag_end", "run_end", "dag_reason")))


def test_a_day_of_the_bill_is_read_along_its_index_and_no_other_day(full: Database) -> None:
    with full.writing() as tx:
        batch = rows.open_batch(tx, MIXED)
        rows.submit_next(tx, batch)
        today = tx.now.date()
    with rows.plans(full) as found, full.reading() as tx:
        lines = [line for day in spend.days_until(today - timedelta(days=1), 3) for line in _spend_of(tx, day)]
    assert lines == []
    of_the_bill = [plan for plan in found if "image_prompts_submissions" in plan]
    assert len(of_the_bill) == 3
    assert all("ix_image_prompts_submissions_day" in plan for plan in of_the_bill)
    assert not any("Seq Scan on image_prompts_submissions" in plan for plan in found)

    with full.reading() as tx:
        (line,) = _spend_of(tx, today)
    with rows.plans(full) as found, full.reading() as tx:
        assert spend.connections_of(tx, [line]) == {rows.ACCOUNT.identity: "midjourney_default"}
    assert scans(found) == []


def _spend_of(tx: Transaction, day: date) -> list[spend.SpendLine]:
    return spend.spend_of_day(tx, day, frozenset({"dag"}))


def walked(found: list[str]) -> list[str]:
    """Give the plans that look at more rows than a page may; an index of few rows may be walked."""
    return [plan for plan in found if any(walks(line) or is_a_scan(line) for line in plan.split("\n"))]


def is_a_scan(line: str) -> bool:
    if "SCAN image_prompts" in line:
        return not any(index in line for index in (*OF_FEW_ROWS, "ix_image_prompts_in_doubt"))
    return "Seq Scan on image_prompts " in f"{line} "
