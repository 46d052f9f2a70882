"""Rows of ``…_batches``: opening a batch, walking its listing, and its scope as SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, and_, func, literal, or_, select

from airflow_midjourney.describe.model.batch import Batch, BatchOptions, Listed, Origin, Position, Scope
from airflow_midjourney.describe.model.errors import BatchError
from airflow_midjourney.describe.model.status import OPEN, BotType, Status
from airflow_midjourney.describe.model.text import storable
from airflow_midjourney.describe.table.columns import FilteredText
from airflow_midjourney.describe.table.schema import has_status

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from airflow_midjourney.describe.storage.listed_images import ListedImage
    from airflow_midjourney.describe.table.database import Transaction
    from airflow_midjourney.describe.table.schema import Tables

_LAST_CODE_POINT = 0x10FFFF

_SURROGATES = range(0xD800, 0xE000)


def open_batch(tx: Transaction, scope: Scope, options: BatchOptions, origin: Origin) -> Batch:
    """Make the batch's row, or take it up again.

    A batch whose listing had not ended goes on where it stopped. One whose listing had ended, or would have found
    something else, is listed again from the beginning. When it first started never changes, so a clear cannot hide
    what failed before it.
    """
    batches = tx.tables.batches
    described = _describing(scope, options, origin)
    tx.connection.execute(
        tx.insert(batches)
        .values(
            batch_id=origin.batch_id,
            started_at=tx.now,
            tried_at=tx.now,
            updated_at=tx.now,
            **described,
            **_fresh_listing(),
        )
        .on_conflict_do_nothing()
    )
    known = _locked_batch(tx, origin.batch_id)
    restart = known.listing_ended_at is not None or _listed_by(known.scope, known.options) != _listed_by(scope, options)
    if restart and known.scope.manifest:
        forget_members(tx, origin.batch_id)
    tx.connection.execute(
        batches.update()
        .where(batches.c.batch_id == origin.batch_id)
        .values(updated_at=tx.now, tried_at=tx.now, **described, **(_fresh_listing() if restart else {}))
    )
    return read_batch(tx, origin.batch_id)


def read_batch(tx: Transaction, batch_id: str) -> Batch:
    """Give a batch by its id.

    :raises BatchError: if there is none.
    """
    batches = tx.tables.batches
    row = tx.connection.execute(select(batches).where(batches.c.batch_id == batch_id)).mappings().first()
    if row is None:
        raise BatchError(
            f"There is no batch {batch_id!r} in {batches.fullname!r}. Give the sensor the operator's output"
            " (batch=submit.output) and the same database connection."
        )
    return to_batch(row)


def batches_of_tasks(
    tx: Transaction, dag_id: str, run_id: str, task_ids: Collection[str], map_index: int | None
) -> list[str]:
    """Give the ids of the batches that tasks of a run have opened.

    :param map_index: of the task that asks: where tasks are mapped alike, only the batch with its own index is meant.
    """
    batches = tx.tables.batches
    rows = tx.connection.execute(
        select(batches.c.batch_id, batches.c.map_index)
        .where(batches.c.dag_id == dag_id, batches.c.run_id == run_id, batches.c.dag_task_id.in_(task_ids))
        .order_by(batches.c.dag_task_id, batches.c.map_index)
    ).all()
    alike = [row.batch_id for row in rows if map_index is not None and row.map_index == map_index]
    return alike or [row.batch_id for row in rows]


def begin_try(tx: Transaction, batch_id: str) -> Batch:
    """Note that a task of the batch starts anew: what stopped the try before says nothing about this one."""
    batches = tx.tables.batches
    tx.connection.execute(batches.update().where(batches.c.batch_id == batch_id).values(tried_at=tx.now))
    return read_batch(tx, batch_id)


def move_listing(tx: Transaction, batch_id: str, seen: Position, position: Position, found: Listed) -> bool:
    """Keep how far the listing has come, in the transaction that wrote what it found.

    :param seen: where the listing stood when the page was asked for.
    :return: False if another worker has listed this page meanwhile; then it is not counted twice.
    """
    batches = tx.tables.batches
    batch = _locked_batch(tx, batch_id)
    if batch.position != seen or batch.listing_ended_at is not None:
        return False
    tx.connection.execute(
        batches.update()
        .where(batches.c.batch_id == batch_id)
        .values(
            listing_source=position.source,
            listing_after=position.after,
            listing_continuation=position.continuation or None,
            listed=(batch.listed + found).to_json(),
            updated_at=tx.now,
        )
    )
    return True


def end_listing(tx: Transaction, batch_id: str) -> None:
    """Close the scope: rows that come later belong to later batches."""
    batches, images = tx.tables.batches, tx.tables.images
    last = select(func.coalesce(func.max(images.c.id), 0)).scalar_subquery()
    tx.connection.execute(
        batches.update()
        .where(batches.c.batch_id == batch_id)
        .values(listing_ended_at=tx.now, listing_continuation=None, last_row_id=last, updated_at=tx.now)
    )


def restart_listing(tx: Transaction, batch_id: str, seen: Position, at: Position | None = None) -> None:
    """List from the beginning again, because what was listed is not there any more or makes no sense.

    :param seen: where the listing stood when that was found; if another worker has moved it since, it stays.
    :param at: how the beginning is written down, where it is not the usual one.
    """
    batches = tx.tables.batches
    if _locked_batch(tx, batch_id).position != seen:
        return
    forget_members(tx, batch_id)
    start = at or Position()
    fresh = _fresh_listing() | {"listing_source": start.source, "listing_after": start.after}
    tx.connection.execute(batches.update().where(batches.c.batch_id == batch_id).values(updated_at=tx.now, **fresh))


def in_scope(tables: Tables, batch: Batch) -> ColumnElement[bool]:
    """Give the condition that a row belongs to the batch."""
    images, scope = tables.images.c, batch.scope
    return and_(images.bucket == scope.bucket, images.bot_type == scope.bot_type, _has_its_keys(tables, batch))


def turns_out_in_scope(tables: Tables, batch: Batch) -> ColumnElement[bool]:
    """Give :func:`in_scope` for rows that are found by something else: SQLite looks none up by this."""
    bucket, bot_type = FilteredText(tables.images.c.bucket), FilteredText(tables.images.c.bot_type)
    scope = batch.scope
    return and_(bucket == scope.bucket, bot_type == scope.bot_type.value, _has_its_keys(tables, batch))


def _has_its_keys(tables: Tables, batch: Batch) -> ColumnElement[bool]:
    scope = batch.scope
    where = is_member(tables, batch.batch_id) if scope.manifest else scope_keys(tables, scope)
    return where if batch.last_row_id is None else and_(where, tables.images.c.id <= batch.last_row_id)


def left_over(tables: Tables, batch: Batch) -> ColumnElement[bool]:
    """Give the condition that a pending row could be of an earlier run: of the same bucket, for the same bot."""
    images = tables.images.c
    return and_(
        has_status(tables.images, *OPEN),
        images.status == Status.PENDING,
        images.bot_type == batch.scope.bot_type,
        images.bucket == batch.scope.bucket,
    )


def left_over_batches(tx: Transaction, batch: Batch) -> list[Batch]:
    """Give earlier batches of the same task, with the same connections, that wanted rows and did not send them.

    Whether their runs are over, Airflow alone knows.
    """
    batches, images = tx.tables.batches, tx.tables.images.c
    pending = select(images.id).where(left_over(tx.tables, batch), images.batch_id == batches.c.batch_id)
    rows = tx.connection.execute(
        select(batches)
        .where(
            batches.c.dag_id == batch.origin.dag_id,
            batches.c.dag_task_id == batch.origin.dag_task_id,
            batches.c.started_at < batch.started_at,
            pending.exists(),
        )
        .order_by(batches.c.started_at)
    ).mappings()
    return [one for one in map(to_batch, rows) if _connections(one.options) == _connections(batch.options)]


def _connections(options: BatchOptions) -> tuple[str, str]:
    return options.mj_conn_id, options.aws_conn_id


def has_own_rows(tx: Transaction, batch: Batch) -> bool:
    """Say whether the batch had anything to do with a row of its scope since it started."""
    images = tx.tables.images
    return any(_has(tx, batch, one) for one in (has_status(images, *OPEN), images.c.ended_at >= batch.started_at))


def has_ended(tx: Transaction, batch: Batch) -> bool:
    """Say whether all rows of a batch that has any of its own have ended."""
    return has_own_rows(tx, batch) and not _has(tx, batch, has_status(tx.tables.images, *OPEN))


def _has(tx: Transaction, batch: Batch, condition: ColumnElement[bool]) -> bool:
    query = select(tx.tables.images.c.id).where(in_scope(tx.tables, batch), condition)
    return tx.connection.execute(query.limit(1)).first() is not None


def scope_keys(tables: Tables, scope: Scope) -> ColumnElement[bool]:
    """Give the condition on the key alone, of a scope that has one."""
    key = FilteredText(tables.images.c.key)
    if scope.keys:
        return key.in_([storable(wanted) for wanted in scope.keys])
    return or_(*(_starts_with(key, storable(prefix)) for prefix in scope.prefixes))


def after_prefix(prefix: str) -> str | None:
    """Give the smallest text that is greater than everything under the prefix; None if there is none."""
    trimmed = prefix.rstrip(chr(_LAST_CODE_POINT))
    if not trimmed:
        return None
    following = ord(trimmed[-1]) + 1
    if following in _SURROGATES:
        following = _SURROGATES.stop
    return trimmed[:-1] + chr(following)


def _starts_with(key: ColumnElement[str], prefix: str) -> ColumnElement[bool]:
    end = after_prefix(prefix)
    return key >= prefix if end is None else and_(key >= prefix, key < end)


def _listed_by(scope: Scope, options: BatchOptions) -> tuple[Any, ...]:
    """Give what a listing depends on: a plan, for one, leaves no rows behind."""
    return scope, options.suffixes, options.plan_only


def _locked_batch(tx: Transaction, batch_id: str) -> Batch:
    batches = tx.tables.batches
    query = select(batches).where(batches.c.batch_id == batch_id).with_for_update()
    return to_batch(tx.connection.execute(query).mappings().one())


def _describing(scope: Scope, options: BatchOptions, origin: Origin) -> dict[str, Any]:
    return {
        "bucket": scope.bucket,
        "prefixes": list(scope.prefixes),
        "keys": list(scope.keys),
        "manifest": scope.manifest,
        "bot_type": scope.bot_type.value,
        "options": options.to_json(),
        "dag_id": origin.dag_id,
        "run_id": origin.run_id,
        "dag_task_id": origin.dag_task_id,
        "map_index": origin.map_index,
        "logical_date": origin.logical_date,
    }


def _fresh_listing() -> dict[str, Any]:
    return {
        "listing_source": 0,
        "listing_after": "",
        "listing_continuation": None,
        "listing_ended_at": None,
        "last_row_id": None,
        "listed": Listed().to_json(),
    }


def to_batch(row: Any) -> Batch:
    """Give a batch as its row has it."""
    return Batch(
        batch_id=row["batch_id"],
        scope=Scope(
            bucket=row["bucket"],
            prefixes=tuple(row["prefixes"]),
            keys=tuple(row["keys"]),
            bot_type=BotType(row["bot_type"]),
            manifest=row["manifest"] or "",
        ),
        options=BatchOptions.from_json(row["options"]),
        origin=Origin(row["dag_id"], row["run_id"], row["dag_task_id"], row["map_index"], row["logical_date"]),
        started_at=row["started_at"],
        tried_at=row["tried_at"],
        position=Position(row["listing_source"], row["listing_after"], row["listing_continuation"] or ""),
        listing_ended_at=row["listing_ended_at"],
        last_row_id=row["last_row_id"],
        listed=Listed.from_json(row["listed"]),
        waits_for_slots=row["waits_for_slots"] or 0,
        waits_until=row["waits_until"],
    )


def add_members(tx: Transaction, batch: Batch, keys: Sequence[str]) -> None:
    """Take the rows of a page of keys into the batch, once they are written; twice is the same.

    What had ended before the batch started, and stays so, is left out: the batch has nothing to do with it, and a
    million finished images that are listed every day would fill the table.
    """
    images, members = tx.tables.images.c, tx.tables.members
    concerned = or_(
        images.ended_at.is_(None), images.ended_at >= batch.started_at, images.status == Status.IN_DOUBT.value
    )
    rows = select(literal(batch.batch_id), images.id).where(
        images.bucket == batch.scope.bucket,
        images.bot_type == batch.scope.bot_type,
        images.key.in_([storable(key) for key in keys]),
        concerned,
    )
    tx.connection.execute(tx.insert(members).from_select(["batch_id", "image_id"], rows).on_conflict_do_nothing())


def forget_members(tx: Transaction, batch_id: str) -> None:
    """Empty a batch whose manifest is listed from the beginning."""
    members = tx.tables.members
    tx.connection.execute(members.delete().where(members.c.batch_id == batch_id))


def is_member(tables: Tables, batch_id: str) -> ColumnElement[bool]:
    """Give the condition that a row was listed by a batch's manifest.

    For each row that the other conditions leave, it is one look into an index; so the rows have to be few, and they
    are: open rows, and rows that ended since the batch started.
    """
    members = tables.members.c
    wanted = select(members.image_id).where(members.batch_id == batch_id, members.image_id == tables.images.c.id)
    return wanted.correlate(tables.images).exists()


def disputed_keys(tx: Transaction, images: Sequence[ListedImage], bot_type: BotType) -> set[str]:
    """Give the keys of objects about which a manifest and the table do not agree, so that S3 has to be asked.

    A manifest may be days old. A version beside another one may be the older one, and what was rejected may have been
    replaced since.

    :param images: objects of one bucket.
    :return: their keys as the table stores them.
    """
    if not images:
        return set()
    rows = tx.tables.images.c
    etags = {storable(image.key): storable(image.etag) for image in images}
    query = select(rows.key, rows.image_version, rows.status).where(
        rows.bucket == images[0].bucket, rows.bot_type == bot_type, rows.key.in_(list(etags))
    )
    return {
        key
        for key, version, status in tx.connection.execute(query)
        if version != etags[key] or status == Status.REJECTED
    }
