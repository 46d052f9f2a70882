"""How many blocks of Postgres the queries touch that would grow with the table: counted, so no machine is too slow."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest
from sqlalchemy import event
from sqlalchemy.schema import CreateSchema

from airflow_midjourney.describe.admin import erase, reparse
from airflow_midjourney.describe.engine.listing import LOOK_AHEAD
from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.table import budgets, counts, leases, submissions
from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.describe.table.migrations import ensure_tables
from airflow_midjourney.describe.table.schema import TableNames
from airflow_midjourney.describe.table.submissions import PostFacts
from airflow_midjourney.describe.table.walks.key_order import key_ranges
from tests.support import rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_midjourney.describe.table.database import Database, Transaction

#: Under each of the prefixes: ``old/``, which statistics know, and ``new/`` and ``wait/``, which they do not.
ROWS: Final = 20_000
NEW: Final = Scope(rows.BUCKET, ("new/",))
WAITING: Final = Scope(rows.BUCKET, ("wait/",))
OLD: Final = Scope(rows.BUCKET, ("old/",))

#: The rows of another prefix: finished as they are, or pending.
_COPY: Final = """
    INSERT INTO {images} (
        image_uri, bucket, key, image_version, is_current, bot_type, status, attempts, max_attempts, content_sha256,
        account, submit_token, reservations, silence_before, silence_before_missing, ended_at, created_at, updated_at
    )
    SELECT replace(image_uri, 'old/', '{prefix}'), bucket, replace(key, 'old/', '{prefix}'), image_version, true,
        bot_type, '{status}', 1, 2, CASE '{status}' WHEN 'succeeded' THEN '{prefix}' || content_sha256 END,
        account, CASE '{status}' WHEN 'succeeded' THEN '{prefix}' || submit_token END, 0, 0, 0,
        CASE '{status}' WHEN 'succeeded' THEN ended_at END, created_at, updated_at
    FROM {images} WHERE key LIKE 'old/%%' ORDER BY md5(key)
"""


@pytest.fixture(scope="module")
def filled(postgres_url: str) -> Iterator[Database]:
    """Tables whose statistics know one of three prefixes, as on the morning of a new day."""
    opened = open_database(postgres_url, TableNames(schema="blocks"))
    with opened.writing() as tx:
        tx.connection.execute(CreateSchema("blocks"))
    ensure_tables(opened)
    with opened.writing() as tx:
        images = tx.tables.images.fullname
        for table in (images, tx.tables.submissions.fullname):
            tx.connection.exec_driver_sql(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
        rows.fill_with_finished_rows(tx, ROWS)
        tx.connection.exec_driver_sql(f"UPDATE {images} SET prompt_raw = '1. a 2. b 3. c 4. d'")
    rows.analyze(opened)
    with opened.writing() as tx:
        for prefix, status in (("new/", "succeeded"), ("wait/", "pending")):
            tx.connection.exec_driver_sql(_COPY.format(images=images, prefix=prefix, status=status))
        rows.list_images(tx, [rows.listed(f"new/{number}5.jpg") for number in range(20)])
    yield opened
    opened.close()


@contextmanager
def blocks(database: Database) -> Iterator[list[int]]:
    """Collect how many blocks each SELECT of the block touches, when it is asked once more; nothing of that stays."""
    seen: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT") and "FROM" in statement:
            seen.append((statement, parameters))

    found: list[int] = []
    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
    with database.engine.connect() as connection:
        for statement, parameters in seen:
            explained = connection.exec_driver_sql(
                f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {statement}", parameters
            ).scalar_one()
            (plan,) = json.loads(explained) if isinstance(explained, str) else explained
            found.append(plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"])
        connection.rollback()


@contextmanager
def undone(database: Database) -> Iterator[Transaction]:
    """Open a transaction of which nothing stays."""
    with database.writing() as tx:
        yield tx
        tx.connection.rollback()


def test_a_prefix_that_statistics_do_not_know_costs_no_walk_through_what_has_ended_under_it(filled: Database) -> None:
    with blocks(filled) as found, undone(filled) as tx:
        batch = rows.open_batch(tx, NEW)
        assert counts.count_open(tx, batch).pending == 20
        assert len(leases.reserve(tx, batch, "holder", 16)) == 16
        assert leases.has_claimable(tx, batch)
        assert counts.count_undecided(tx, batch, rows.ACCOUNT.identity) == 0
    assert sum(found) < ROWS / 20


def test_pending_rows_are_counted_as_far_as_anything_follows_from_them(filled: Database) -> None:
    with blocks(filled) as found, undone(filled) as tx:
        batch = rows.open_batch(tx, WAITING)
        open_rows = counts.count_open(tx, batch)
    assert (open_rows.pending, open_rows.claimable) == (counts.MOST_PENDING, counts.MOST_PENDING)
    assert open_rows.left_to_submit == "1,000 or more"
    assert counts.MOST_PENDING > LOOK_AHEAD
    assert sum(found) < ROWS / 4


def test_purge_and_reparse_page_along_the_index_of_keys(filled: Database) -> None:
    (keys,) = key_ranges(OLD)
    with blocks(filled) as found, undone(filled) as tx:
        step = erase.erase_some(tx, OLD, keys, None, [], "a run")
        assert step is not None
        assert erase.erase_some(tx, OLD, keys, step.last, [], "a run") is not None
        page = reparse.answered_rows(tx, OLD, keys, step.last, again=False)
        assert len(page) == reparse.REPARSED_AT_ONCE
    # Two steps of 200 and a page of 500: each row is some visits, of its bill, its twins and its reviews among them.
    assert max(found) < ROWS / 8


def test_a_refusal_counts_its_image_s_own_part_of_the_bill(filled: Database) -> None:
    with filled.writing() as tx:
        batch = rows.open_batch(tx, NEW)
        tokens = []
        for _ in range(submissions.MOST_TURNED_AWAY - 1):
            (image,) = leases.reserve(tx, batch, "holder", 1)
            wanted = rows.request(batch, image)
            rows.claim(tx, wanted)
            tokens.append(wanted.submit_token)
            submissions.not_taken(tx, wanted.submit_token, Outcome.UNAVAILABLE, PostFacts(503))
            rows.set_columns(tx, image.id, not_before=None)
    with blocks(filled) as found, undone(filled) as tx:
        (image,) = leases.reserve(tx, batch, "holder", 1)
        wanted = rows.request(batch, image)
        rows.claim(tx, wanted)
        del found[:]
        submissions.not_taken(tx, wanted.submit_token, Outcome.UNAVAILABLE, PostFacts(503))
    assert sum(found) < ROWS / 20


def test_a_page_counts_no_long_day_that_no_cap_keeps_a_tally_of(filled: Database) -> None:
    with blocks(filled) as found, filled.looking() as tx:
        assert budgets.spent_today_at_most(tx, rows.ACCOUNT, 500) is None
    assert sum(found) < ROWS / 10
