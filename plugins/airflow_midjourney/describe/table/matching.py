"""Matching what S3 lists against the rows: one query a page, and one home for what becomes of each image."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, Table, and_, case, func, not_, or_, select

from airflow_midjourney.describe.model.batch import Listed, Origin
from airflow_midjourney.describe.model.events import Event, EventKind
from airflow_midjourney.describe.model.status import DEPENDS_ON_THE_READER, NOT_THE_IMAGES_CONTENT, Reason, Status
from airflow_midjourney.describe.model.text import storable
from airflow_midjourney.describe.storage.listed_images import ListedImage
from airflow_midjourney.describe.table.orders.seen_rows import SeenRow, name_submission, still_the_same
from airflow_midjourney.describe.table.tombstones import erased_versions, forget_erasures
from airflow_midjourney.describe.table.transitions import ListingMove, OrderMove
from airflow_midjourney.describe.table.updates import build_update, move_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from airflow_midjourney.describe.model.batch import Redescribe
    from airflow_midjourney.describe.model.status import BotType
    from airflow_midjourney.describe.table.database import Transaction


class Decision(StrEnum):
    """What becomes of a listed image; the values are the counters of :class:`Listed`."""

    NEW = "new"
    CHANGED = "changed"
    REOPENED = "reopened"
    AGAIN = "again"
    PENDING = "pending"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    REJECTED = "rejected"
    IN_DOUBT = "in_doubt"
    ERASED = "erased"


#: What ``redescribe`` takes up again. ``all`` is all that has ended and was sent.
_REDESCRIBED: Final[dict[str, tuple[Status, ...]]] = {
    "failed": (Status.FAILED,),
    "in_doubt": (Status.IN_DOUBT,),
    "all": (Status.SUCCEEDED, Status.FAILED, Status.IN_DOUBT),
}

_BY_STATUS: Final = {
    Status.PENDING: Decision.PENDING,
    Status.SUBMITTING: Decision.WAITING,
    Status.SUBMITTED: Decision.WAITING,
    Status.SUCCEEDED: Decision.DONE,
    Status.FAILED: Decision.FAILED,
    Status.REJECTED: Decision.REJECTED,
    Status.IN_DOUBT: Decision.IN_DOUBT,
}


@dataclass(frozen=True, slots=True)
class KnownVersion:
    """A row as far as a listing needs it."""

    id: int
    image_version: str
    status: Status
    reason: str | None
    reader: str | None
    is_current: bool
    ended_at: datetime | None
    redescribed_by: str | None
    redescribed_at: datetime | None
    submit_token: str | None


@dataclass(slots=True)
class Comparison:
    """One page, compared: which images are new, which rows change, and the counts.

    :param insert: images that get a row.
    :param revived: of these, URI and version of erased images that are wanted again, with the row that says so.
    :param reopen: ids of rejected rows that are tried again.
    :param again: rows that have ended and are described again because someone asked for it, as they were found.
    :param restore: ids of rows whose version is the current one again.
    :param outdated: ids of rows whose object was replaced.
    """

    decisions: Counter[Decision] = field(default_factory=Counter)
    insert: list[ListedImage] = field(default_factory=list)
    revived: dict[tuple[str, str], int] = field(default_factory=dict)
    reopen: list[int] = field(default_factory=list)
    again: list[SeenRow] = field(default_factory=list)
    restore: list[int] = field(default_factory=list)
    outdated: list[int] = field(default_factory=list)

    def listed(self, keys: int, missing: int = 0) -> Listed:
        """Give the counts.

        :param keys: keys that the page held in all.
        :param missing: explicit keys that have no object; they are rejected.
        """
        counts = Counter({decision.value: count for decision, count in self.decisions.items()})
        counts[Decision.REJECTED.value] += missing
        return Listed(keys=keys, images=counts.total(), **counts)


@dataclass(frozen=True, slots=True)
class Asker:
    """Who lists, and what decides whether a row that has ended is taken up again.

    :param reader: the fingerprint of what this process can read.
    :param redescribe: which rows are to be described again.
    :param started_at: when the batch first started: answers that are younger need not be given again.
    :param origin: the task that lists, for the lineage of rows that were never sent.
    """

    batch_id: str
    bot_type: BotType
    reader: str
    redescribe: Redescribe | None = None
    started_at: datetime | None = None
    origin: Origin = field(default_factory=Origin)


def compare_page(tx: Transaction, images: Sequence[ListedImage], asker: Asker) -> Comparison:
    """Decide what becomes of each image of a page. Reads only.

    :param images: objects of one bucket, in the order of their keys.
    """
    comparison = Comparison()
    known = _known_versions(tx, images, asker.bot_type)
    new = [image for image in images if _same_version(image, known) is None]
    erased = erased_versions(tx, new, asker.bot_type)
    for image in images:
        versions = known.get(storable(image.key), [])
        same = _same_version(image, known)
        comparison.outdated += [row.id for row in versions if row is not same and row.is_current]
        if same is None:
            decision = _decide_about_new(image, versions, erased, asker)
            if decision is not Decision.ERASED:
                comparison.insert.append(image)
            if decision is Decision.AGAIN:
                comparison.revived[image.uri, image.etag] = erased[image.uri, image.etag]
        else:
            decision = _decide_again(image, same, asker)
            if decision is Decision.REOPENED:
                comparison.reopen.append(same.id)
            elif decision is Decision.AGAIN:
                comparison.again.append(SeenRow(same.id, same.status.value, name_submission(same.submit_token)))
            if not same.is_current:
                comparison.restore.append(same.id)
        comparison.decisions[decision] += 1
    return comparison


def _same_version(image: ListedImage, known: dict[str, list[KnownVersion]]) -> KnownVersion | None:
    versions = known.get(storable(image.key), [])
    return next((version for version in versions if version.image_version == storable(image.etag)), None)


def _decide_about_new(
    image: ListedImage, versions: list[KnownVersion], erased: dict[tuple[str, str], int], asker: Asker
) -> Decision:
    """Decide about a version that has no row: it is new, unless it had one that was erased."""
    if (image.uri, image.etag) in erased:
        return Decision.AGAIN if asker.redescribe == "erased" else Decision.ERASED
    return Decision.CHANGED if versions else Decision.NEW


def write_page(tx: Transaction, comparison: Comparison, asker: Asker) -> None:
    """Write what :func:`compare_page` decided. Written twice, or by two at once, it is the same."""
    if comparison.insert:
        forget_erasures(tx, sorted(comparison.revived.values()))
        rows = [
            _new_row(tx, image, asker, on_purpose=(image.uri, image.etag) in comparison.revived)
            for image in comparison.insert
        ]
        rows.sort(key=lambda row: row["image_uri"])
        tx.connection.execute(tx.insert(tx.tables.images).on_conflict_do_nothing(), rows)
        _note_rejected(tx, rows, Reason.UNPROCESSABLE)
    _mark_outdated(tx, sorted(comparison.outdated))
    _see_version(tx, sorted(comparison.restore), is_current=True)
    _reopen(tx, sorted(comparison.reopen), asker)
    _describe_again(tx, comparison.again, asker)


@dataclass(frozen=True, slots=True)
class UnreadKey:
    """A key that was named, and whose object cannot be looked up.

    :param detail: what S3 said.
    """

    key: str
    reason: Reason
    detail: str


def insert_missing(tx: Transaction, bucket: str, keys: Sequence[str], asker: Asker) -> None:
    """Give explicit keys that have no object a row that says so."""
    _insert_unread(
        tx, bucket, [UnreadKey(key, Reason.MISSING, "There is no object with this key.") for key in keys], asker
    )


def insert_denied(tx: Transaction, bucket: str, keys: Sequence[UnreadKey], asker: Asker) -> None:
    """Give explicit keys whose objects may not be looked up a row that says why."""
    _insert_unread(tx, bucket, keys, asker)


def _insert_unread(tx: Transaction, bucket: str, unread: Sequence[UnreadKey], asker: Asker) -> None:
    for reason in sorted({one.reason for one in unread}):
        rows = [_unread_row(tx, bucket, one, asker) for one in unread if one.reason is reason]
        rows.sort(key=lambda row: row["image_uri"])
        insert = tx.insert(tx.tables.images)
        facts = {name: insert.excluded[name] for name in ("reason", "detail")}
        tx.connection.execute(
            insert.on_conflict_do_update(
                index_elements=["image_uri", "image_version", "bot_type"],
                set_=ListingMove.LOOK_UP_AGAIN.columns(tx, facts | {"rejected_before": _rejected_before(tx, asker)}),
                where=ListingMove.LOOK_UP_AGAIN.guard(tx),
            ),
            rows,
        )
        _note_rejected(tx, rows, reason)


def _note_rejected(tx: Transaction, rows: Sequence[dict[str, Any]], reason: Reason) -> None:
    """Count the rows that are rejected and new: another process may have inserted the same."""
    rejected = [row["image_uri"] for row in rows if row["status"] == Status.REJECTED]
    if not rejected:
        return
    images = tx.tables.images.c
    new = select(func.count()).where(
        images.image_uri.in_(rejected), images.reason == reason, images.created_at == tx.now
    )
    if number := tx.connection.execute(new).scalar_one():
        tx.events.append(Event(EventKind.REJECTED, number, reason))


def _unread_row(tx: Transaction, bucket: str, unread: UnreadKey, asker: Asker) -> dict[str, Any]:
    nothing = ListedImage(bucket=bucket, key=unread.key, etag="", size_bytes=0, last_modified=tx.now, storage_class="")
    unknown = dict.fromkeys(("etag", "size_bytes", "last_modified", "storage_class"))
    why = {"reason": unread.reason.value, "detail": unread.detail}
    return ListingMove.LIST_UNSENDABLE.columns(tx, _as_listed(nothing, asker) | unknown | {"is_current": False} | why)


def _known_versions(tx: Transaction, images: Sequence[ListedImage], bot_type: BotType) -> dict[str, list[KnownVersion]]:
    if not images:
        return {}
    rows = tx.tables.images.c
    keys = [storable(image.key) for image in images]
    query = select(
        rows.key,
        rows.id,
        rows.image_version,
        rows.status,
        rows.reason,
        rows.reader,
        rows.is_current,
        rows.ended_at,
        rows.redescribed_by,
        rows.redescribed_at,
        rows.submit_token,
    ).where(rows.bucket == images[0].bucket, rows.bot_type == bot_type, rows.key.in_(keys))
    known: dict[str, list[KnownVersion]] = {}
    for key, image_id, version, status, *facts in tx.connection.execute(query):
        known.setdefault(key, []).append(KnownVersion(image_id, version, Status(status), *facts))
    return known


def _decide_again(image: ListedImage, known: KnownVersion, asker: Asker) -> Decision:
    if _is_asked_for_again(known, asker):
        return Decision.AGAIN
    if known.reason == Reason.ERASED:
        return Decision.ERASED
    if known.status is not Status.REJECTED:
        return _BY_STATUS[known.status]
    if known.reason in DEPENDS_ON_THE_READER:
        may_work_now = known.reader != asker.reader
    elif known.reason == Reason.ARCHIVED:
        may_work_now = not image.needs_restore
    else:
        # What was gone or replaced is listed, so it is back; what was denied may have been granted since.
        may_work_now = known.reason in NOT_THE_IMAGES_CONTENT
    return Decision.REOPENED if may_work_now else Decision.REJECTED


def _is_asked_for_again(known: KnownVersion, asker: Asker) -> bool:
    """Say whether a row that has ended is described again: once per batch, and never what came after it started.

    Another run may have described it again since; a retry of this one must not start that over.
    """
    erased = known.status is Status.REJECTED and known.reason == Reason.ERASED
    wanted = erased if asker.redescribe == "erased" else known.status in _REDESCRIBED.get(asker.redescribe or "", ())
    if not wanted or known.redescribed_by == asker.batch_id:
        return False
    latest = known.ended_at if known.status is Status.SUCCEEDED else known.redescribed_at
    return asker.started_at is None or latest is None or latest < asker.started_at


def _new_row(tx: Transaction, image: ListedImage, asker: Asker, *, on_purpose: bool = False) -> dict[str, Any]:
    """Make the row of a version.

    :param on_purpose: it was erased, and a person wants it described all the same.
    """
    facts = _as_listed(image, asker)
    if on_purpose:
        facts |= {"redescribed_by": asker.batch_id, "redescribed_at": tx.now}
    if facts["key"] == image.key:
        return ListingMove.LIST.columns(tx, facts)
    detail = "The key holds characters that the table cannot store; rename the object."
    return ListingMove.LIST_UNSENDABLE.columns(tx, facts | {"reason": Reason.UNPROCESSABLE.value, "detail": detail})


def _as_listed(image: ListedImage, asker: Asker) -> dict[str, Any]:
    """Give the columns that a listing knows."""
    key = storable(image.key)
    return {
        "image_uri": f"s3://{image.bucket}/{key}",
        "bucket": image.bucket,
        "key": key,
        "image_version": storable(image.etag),
        "etag": storable(image.etag),
        "is_current": True,
        "size_bytes": image.size_bytes,
        "last_modified": image.last_modified,
        "storage_class": image.storage_class,
        "bot_type": asker.bot_type.value,
        "batch_id": asker.batch_id,
        "redescribed_by": None,
        "redescribed_at": None,
        "dag_id": asker.origin.dag_id,
        "run_id": asker.origin.run_id,
        "dag_task_id": asker.origin.dag_task_id,
        "map_index": asker.origin.map_index,
        "logical_date": asker.origin.logical_date,
        "max_attempts": 1,
    }


def _mark_outdated(tx: Transaction, ids: list[int]) -> None:
    """A version that was replaced is history; if it was still waiting, it never will be sent."""
    _see_version(tx, ids, is_current=False)
    detail = "The object was replaced before this version was sent; the new version has its own row."
    for chunk in _chunks(ids):
        these = tx.tables.images.c.id.in_(chunk)
        if rejected := move_rows(tx, ListingMove.REPLACE, these, reason=Reason.REPLACED.value, detail=detail):
            tx.events.append(Event(EventKind.REJECTED, rejected, Reason.REPLACED))


def _describe_again(tx: Transaction, found: list[SeenRow], asker: Asker) -> None:
    """Take up rows that have ended, once per batch."""
    # Answers from when it started are new enough to share, wherever in the listing their images are.
    since = asker.started_at or tx.now
    take_up_again(tx, found, asker.batch_id, since, batch_id=asker.batch_id)


def take_up_again(tx: Transaction, seen: Sequence[SeenRow], asked_by: str, since: datetime, **facts: Any) -> list[int]:
    """Make rows that have ended, and were sent, pending again, once per asker; what they have stays until replaced.

    :param seen: the rows, as the batch or the person has seen them.
    :param asked_by: the batch, or the request of a person, that asks.
    :param since: answers from then on are new enough for rows with the same bytes to share.
    :param facts: further columns to set.
    :return: the rows that were taken up; all others have moved on, or were taken up by this asker before.
    """
    images = tx.tables.images
    taken: list[int] = []
    for chunk in _chunks(still_the_same(tx, seen) if seen else []):
        taken += tx.connection.execute(
            build_update(
                tx,
                OrderMove.DESCRIBE_AGAIN,
                images.c.id.in_(chunk),
                or_(images.c.status.in_(_REDESCRIBED["all"]), _is_erased(images)),
                images.c.redescribed_by.is_distinct_from(asked_by),
                redescribed_by=asked_by,
                redescribed_at=since,
                **facts,
            ).returning(images.c.id)
        ).scalars()
    return sorted(taken)


def _reopen(tx: Transaction, ids: list[int], asker: Asker) -> None:
    images = tx.tables.images
    for chunk in _chunks(ids):
        move_rows(
            tx,
            ListingMove.REOPEN,
            images.c.id.in_(chunk),
            not_(_is_erased(images)),
            rejected_before=_rejected_before(tx, asker),
            batch_id=asker.batch_id,
        )


def _rejected_before(tx: Transaction, asker: Asker) -> ColumnElement[str | None]:
    """Keep why a row was rejected by an earlier run; what this batch itself found stays its own news."""
    images = tx.tables.images.c
    since = asker.started_at or tx.now
    return case((images.ended_at < since, images.reason), else_=images.rejected_before)


def _is_erased(images: Table) -> ColumnElement[bool]:
    return and_(images.c.status == Status.REJECTED, func.coalesce(images.c.reason, "") == Reason.ERASED)


def _see_version(tx: Transaction, ids: list[int], *, is_current: bool) -> None:
    for chunk in _chunks(ids):
        move_rows(tx, ListingMove.SEE_VERSION, tx.tables.images.c.id.in_(chunk), is_current=is_current)


def _chunks(ids: list[int]) -> list[list[int]]:
    return [ids[start : start + 500] for start in range(0, len(ids), 500)]
