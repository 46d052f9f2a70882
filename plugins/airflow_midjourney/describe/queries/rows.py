"""Reading what the table holds, page by page in the order of the keys: constant memory, each row once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import ColumnElement, func, select

from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.describe.table.schema import PROMPT_COLUMNS
from airflow_midjourney.describe.table.schema.reviews import REVIEW_COLUMNS, is_newest, review_facts
from airflow_midjourney.describe.table.walks.key_order import KeyRange, RowCursor, key_ranges, on_the_way

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from decimal import Decimal

    from sqlalchemy import Row

    from airflow_midjourney.describe.model.batch import Scope
    from airflow_midjourney.describe.table.database import Database, Transaction

#: Rows read at once.
PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class DescribedImage:
    """One row of the metadata table, as others may see it: no tokens, leases or accounts.

    :param prompts: one to four if the image has its prompts, else none.
    :param decision: a person's newest one: ``approved``, ``rejected``, or ``outdated`` where the prompts are of another
        describe than the reviewer saw. None where there is none, or it was withdrawn.
    :param caption: the approved text. None unless approved.
    :param caption_source: ``prompt_1`` to ``prompt_4``, or ``edited`` by the reviewer.
    """

    id: int
    image_uri: str
    bucket: str
    key: str
    image_version: str
    etag: str | None
    version_id: str | None
    is_current: bool
    size_bytes: int | None
    last_modified: datetime | None
    content_sha256: str | None
    media_type: str | None
    width: int | None
    height: int | None
    bot_type: str
    status: str
    reason: str | None
    detail: str | None
    prompts: tuple[str, ...]
    prompt_raw: str | None
    aspect_ratio: str | None
    parser_version: int | None
    task_id: str | None
    price: Decimal | None
    currency: str | None
    submitted_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    ended_at: datetime | None
    dag_id: str | None
    run_id: str | None
    dag_task_id: str | None
    logical_date: datetime | None
    storage_class: str | None
    caption: str | None
    caption_source: str | None
    decision: str | None
    reviewer: str | None
    reviewed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows to read.

    :param scope: bucket, prefixes or keys, and bot; not a manifest.
    :param statuses: none for all.
    :param current_only: False to read versions that were replaced, too.
    :param since: only what ended at this moment or later, UTC.
    :param until: only what ended before this moment, UTC.
    """

    scope: Scope
    statuses: tuple[Status, ...] = (Status.SUCCEEDED,)
    current_only: bool = True
    since: datetime | None = None
    until: datetime | None = None


def read_rows(database: Database, wanted: Wanted, page: int = PAGE) -> Iterator[DescribedImage]:
    """Give the wanted rows in the order of their keys, each once, and none that came after the first page.

    Each page is a transaction of its own, so no snapshot is held in the database for as long as an export takes, and
    a database that restarts is waited for. A row is as it was when its page was read. Of an image whose current version
    changes meanwhile, one version is read, if current ones are asked for.

    :param page: rows in memory at once.
    :raises TableError: if the database cannot be used.
    """
    last_id = database.read_here(_last_id)
    for keys in key_ranges(wanted.scope):
        after: RowCursor | None = None
        while True:
            rows = database.read_here(_read_page, wanted, keys, last_id, after, page)
            for row in rows:
                if wanted.current_only and after is not None and row.key == after.key:
                    continue
                after = RowCursor(row.key, row.id)
                yield row
            if len(rows) < page:
                break
            after = RowCursor(rows[-1].key, rows[-1].id)


def _last_id(tx: Transaction) -> int:
    last: int = tx.connection.execute(select(func.coalesce(func.max(tx.tables.images.c.id), 0))).scalar_one()
    return last


def _read_page(
    tx: Transaction, wanted: Wanted, keys: KeyRange, last_id: int, after: RowCursor | None, limit: int
) -> list[DescribedImage]:
    table, reviews = tx.tables.images, tx.tables.reviews
    images = table.c
    columns = [images[name] for name in DescribedImage.__slots__ if name not in ("prompts", *REVIEW_COLUMNS)]
    query = (
        select(*columns, *(images[name] for name in PROMPT_COLUMNS), *review_facts(table, reviews))
        .select_from(table.outerjoin(reviews, is_newest(table, reviews)))
        .where(on_the_way(tx.tables, wanted.scope, keys, after), *_conditions(tx, wanted), images.id <= last_id)
        .order_by(images.key, images.id)
        .limit(limit)
    )
    return [_described(row) for row in tx.connection.execute(query)]


def _conditions(tx: Transaction, wanted: Wanted) -> Iterator[ColumnElement[bool]]:
    images = tx.tables.images.c
    if wanted.statuses:
        yield images.status.in_([status.value for status in wanted.statuses])
    if wanted.current_only:
        yield images.is_current
    if wanted.since is not None:
        yield images.ended_at >= wanted.since
    if wanted.until is not None:
        yield images.ended_at < wanted.until


def _described(row: Row[tuple[object, ...]]) -> DescribedImage:
    facts = dict(row._mapping)
    prompts = tuple(text for text in (facts.pop(name) for name in PROMPT_COLUMNS) if text)
    return DescribedImage(prompts=prompts, **facts)
