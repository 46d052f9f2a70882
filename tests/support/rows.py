"""Listed images, rows and claims for tests of the table."""

from __future__ import annotations

import hashlib
import secrets
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import event, select

from airflow_midjourney.describe.model.account import AccountSettings
from airflow_midjourney.describe.model.batch import BatchOptions, Origin, Scope
from airflow_midjourney.describe.model.status import BotType
from airflow_midjourney.describe.service.prompts import ParsedPrompts, parse_prompts
from airflow_midjourney.describe.storage.listed_images import ListedImage
from airflow_midjourney.describe.table import accounts, batches, claims, leases, matching, results, submissions
from airflow_midjourney.describe.table.claims import Claim, ClaimResult, ContentFacts
from airflow_midjourney.describe.table.columns import UTCDateTime
from airflow_midjourney.describe.table.doubt import former_tasks
from airflow_midjourney.describe.table.matching import Asker
from airflow_midjourney.describe.table.results import TaskAnswer
from airflow_midjourney.describe.table.submissions import PostFacts, Taken

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import timedelta

    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.database import Database, Transaction
    from airflow_midjourney.describe.table.leases import ReservedImage
    from airflow_midjourney.describe.table.results import InFlight, RemoteTimes

BUCKET = "photos"
READER = "reader-1"
ACCOUNT = AccountSettings(identity="https://service.example:443/me", max_in_flight=12)
EVERYTHING = Scope(BUCKET, ("",))
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def listed(key: str, version: str = "etag", **facts: Any) -> ListedImage:
    """Give an image as S3 lists it."""
    image = ListedImage(
        bucket=BUCKET, key=key, etag=version, size_bytes=1000, last_modified=LONG_AGO, storage_class="STANDARD"
    )
    return replace(image, **facts)


def list_images(
    tx: Transaction,
    images: Sequence[ListedImage],
    reader: str = READER,
    bot_type: BotType = BotType.MID_JOURNEY,
    batch: Batch | None = None,
) -> dict[str, int]:
    """Match images against the table, write what follows, and give the decisions taken.

    :param batch: whose listing it is; None for an unknown one.
    """
    asker = Asker("batch", bot_type, reader)
    if batch is not None:
        asker = replace(asker, batch_id=batch.batch_id, origin=batch.origin)
    comparison = matching.compare_page(tx, images, asker)
    matching.write_page(tx, comparison, asker)
    return {decision.value: number for decision, number in comparison.decisions.items()}


def open_batch(
    tx: Transaction,
    scope: Scope = EVERYTHING,
    *,
    run_id: str = "run",
    map_index: int | None = None,
    **options: Any,
) -> Batch:
    """Open a batch, with its account's row beside it."""
    accounts.ensure_account(tx, ACCOUNT)
    return batches.open_batch(tx, scope, BatchOptions(**options), Origin("dag", run_id, "task", map_index))


def content(body: str) -> ContentFacts:
    """Give the facts about an image with these bytes."""
    return ContentFacts(hashlib.sha256(body.encode()).hexdigest(), "image/jpeg", 64, 48, "version-1", READER)


def request(batch: Batch, image: ReservedImage, body: str | None = None, holder: str = "holder") -> Claim:
    """Ask to claim a reserved row whose bytes are ``body``; by default bytes of its own."""
    return Claim(
        image,
        holder,
        secrets.token_urlsafe(24),
        batch,
        batch.origin,
        content(f"{image.id}" if body is None else body),
    )


def claim_next(
    tx: Transaction, batch: Batch, body: str | None = None, account: AccountSettings = ACCOUNT
) -> tuple[ClaimResult, Claim]:
    """Reserve the next row of a batch and claim it; former tasks of its bytes have no answer when asked for."""
    (row,) = leases.reserve(tx, batch, "holder", 1)
    wanted = request(batch, row, body)
    return claim(tx, wanted, account), wanted


def claim(tx: Transaction, wanted: Claim, account: AccountSettings = ACCOUNT) -> ClaimResult:
    """Claim a reserved row; former tasks of its bytes have no answer when they are asked for."""
    asked = frozenset(one.submit_token for one in former_tasks.unasked(tx, wanted))
    return claim_alone(tx, replace(wanted, asked=asked), account)


def claim_alone(tx: Transaction, wanted: Claim, account: AccountSettings = ACCOUNT) -> ClaimResult:
    """Claim a reserved row as a worker does that sends no other at that moment."""
    (result,) = claims.claim(tx, [wanted], account)
    return result


def accepted(tx: Transaction, submit_token: str, task_id: str, facts: PostFacts) -> bool:
    """Record that the service took one image, as a worker does that has no other answer to record."""
    (moved,) = submissions.accepted(tx, [Taken(submit_token, task_id, facts)])
    return moved


def described(tx: Transaction, row: InFlight, prompts: ParsedPrompts, raw: str, times: RemoteTimes) -> bool:
    """Write the prompts of one image, as a poll does that brings no other."""
    (moved,) = results.described(tx, [TaskAnswer(row, prompts, raw, times)])
    return moved


def submit_next(
    tx: Transaction, batch: Batch, task_id: str = "1", body: str | None = None, account: AccountSettings = ACCOUNT
) -> InFlight:
    """Reserve, claim and have accepted the next row of a batch."""
    result, wanted = claim_next(tx, batch, body, account)
    assert result is ClaimResult.CLAIMED
    assert accepted(tx, wanted.submit_token, task_id, PostFacts(200, 1))
    return in_flight(tx, wanted.submit_token, account)


def in_flight(tx: Transaction, submit_token: str, account: AccountSettings = ACCOUNT) -> InFlight:
    """Give a submitted row as settling sees it."""
    (found,) = (row for row in results.in_flight(tx, account.identity) if row.submit_token == submit_token)
    return found


def four_prompts() -> ParsedPrompts:
    """Give an answer."""
    prompts = parse_prompts("1️⃣ one --ar 3:2\n\n2️⃣ two --ar 3:2\n\n3️⃣ three --ar 3:2\n\n4️⃣ four --ar 3:2")
    assert prompts is not None
    return prompts


def image_rows(tx: Transaction) -> list[dict[str, Any]]:
    """Give all rows of the metadata table in the order of their ids."""
    query = select(tx.tables.images).order_by(tx.tables.images.c.id)
    return [dict(row) for row in tx.connection.execute(query).mappings()]


def image_row(tx: Transaction, image_id: int) -> dict[str, Any]:
    """Give one row of the metadata table."""
    (found,) = (row for row in image_rows(tx) if row["id"] == image_id)
    return found


def bill(tx: Transaction) -> list[dict[str, Any]]:
    """Give all submissions in the order of their ids."""
    query = select(tx.tables.submissions).order_by(tx.tables.submissions.c.id)
    return [dict(row) for row in tx.connection.execute(query).mappings()]


def set_columns(tx: Transaction, image_id: int, **values: Any) -> None:
    """Change a row behind the engine's back, for instance to let time pass."""
    images = tx.tables.images
    tx.connection.execute(images.update().where(images.c.id == image_id).values(**values))


def set_account(tx: Transaction, **values: Any) -> None:
    """Change the account's row behind the engine's back."""
    tx.connection.execute(tx.tables.accounts.update().values(**values))


def let_time_pass(tx: Transaction, gone: timedelta) -> None:
    """Move every moment in the tables into the past, as if nothing had been done for a while."""
    for table in (tx.tables.images, tx.tables.submissions, tx.tables.accounts, tx.tables.batches):
        moments = [column for column in table.c if isinstance(column.type, UTCDateTime)]
        keys = list(table.primary_key)
        for row in tx.connection.execute(select(table)).mappings().all():
            earlier = {column.key: row[column] - gone for column in moments if row[column] is not None}
            this_one = [column == row[column.name] for column in keys]
            tx.connection.execute(table.update().where(*this_one).values(**earlier))


@contextmanager
def plans(database: Database) -> Iterator[list[str]]:
    """Collect how the database would run each statement of the block, after the block."""
    seen: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith(("SELECT", "UPDATE")) and "FROM" in statement.replace("UPDATE", "FROM"):
            seen.append((statement, parameters))

    found: list[str] = []
    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
    explain = "EXPLAIN QUERY PLAN " if database.engine.dialect.name == "sqlite" else "EXPLAIN "
    with database.reading() as tx:
        for statement, parameters in seen:
            lines = tx.connection.exec_driver_sql(explain + statement, parameters).all()
            found.append("\n".join(str(line[-1]) for line in lines))


_FINISHED_ROWS = """
    INSERT INTO {images} (
        image_uri, bucket, key, image_version, is_current, bot_type, status, attempts, max_attempts, content_sha256,
        account, submit_token, reservations, silence_before, silence_before_missing, ended_at, created_at, updated_at
    )
    SELECT 's3://photos/old/' || n, 'photos', 'old/' || n, 'etag', {true}, 'MID_JOURNEY', 'succeeded', 1, 2, 'sha' || n,
        '{account}', 'sent' || n, 0, 0, 0, {long_ago}, {long_ago}, {long_ago}
    FROM ({numbers}) AS numbers
"""

_THEIR_SUBMISSIONS = """
    INSERT INTO {submissions} (
        image_id, submit_token, batch_id, cap_scope, account, task_id, outcome, result,
        claimed_at, answered_at, settled_at
    )
    SELECT id, submit_token, 'old', 'old', account, 'task' || id, 'accepted', 'succeeded', {now}, {now}, {now}
    FROM {images}
"""

_NUMBERS = "WITH RECURSIVE up(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM up WHERE n < {number}) SELECT n FROM up"


def fill_with_finished_rows(tx: Transaction, number: int) -> None:
    """Put finished rows of another prefix of the bucket into the table, and today's bill for them, quickly."""
    values = {
        "images": tx.tables.images.fullname,
        "submissions": tx.tables.submissions.fullname,
        "account": ACCOUNT.identity,
        "numbers": _NUMBERS.format(number=number),
        "true": "true" if tx.is_postgres else "1",
        "long_ago": "timestamptz '2020-01-01'" if tx.is_postgres else "'2020-01-01 00:00:00.000000'",
        "now": "now()" if tx.is_postgres else "strftime('%Y-%m-%d %H:%M:%f000', 'now')",
    }
    for statement in (_FINISHED_ROWS, _THEIR_SUBMISSIONS):
        tx.connection.exec_driver_sql(statement.format(**values))


def analyze(database: Database) -> None:
    """Let Postgres learn how its rows are spread, as autovacuum does in time; SQLite has nothing like it."""
    if database.engine.dialect.name == "sqlite":
        return
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")
