"""Images and prompts, a page at a time, in constant time however many rows there are.

A page walks along an index from where the page before ended, and filters what it passes. No portable index finds a
piece of text inside prompts, so a page looks at a bounded number of rows and says from where to look further.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Column, ColumnElement, and_, false, func, select, true, tuple_, union_all

from airflow_midjourney.describe.model.status import IN_FLIGHT, OPEN, REJECTED_FOR, Reason, Status
from airflow_midjourney.describe.model.text import storable
from airflow_midjourney.describe.queries.filters import batch_of, below, billed_by, range_of_reason, since, wanted
from airflow_midjourney.describe.table.schema import PROMPT_COLUMNS, WITH_A_REASON, has_status

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal

    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.queries.filters import Filters
    from airflow_midjourney.describe.queries.owners import DagIds
    from airflow_midjourney.describe.table.database import Transaction
    from airflow_midjourney.describe.table.schema import Tables

#: How many rows are looked at in one go, one after the other until a page is full: 5,000 in all.
STEPS: Final = (100, 400, 1500, 3000)

#: Ranges of an index that one query walks side by side; SQLite takes 500.
MOST_LANES: Final = 400

#: Such queries for one step of a walk.
MOST_QUERIES: Final = 10


#: The range of all rows.
_EVERYTHING: Final = true()

_Lanes = tuple[ColumnElement[bool], ...]


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins: beside a row, which is not on it.

    :param row_id: any row, whether it matches or not.
    :param backwards: True for the page before that row.
    :param ended_at: when the row had ended: in the order of answers it keeps its place, also once it is open again.
    """

    row_id: int
    backwards: bool = False
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class GalleryRow:
    """An image beside its prompts."""

    id: int
    image_uri: str
    key: str
    status: Status
    reason: str | None
    detail: str | None
    bot_type: str
    is_current: bool
    media_type: str | None
    width: int | None
    height: int | None
    prompts: tuple[str, ...]
    attempts: int
    price: Decimal | None
    currency: str | None
    dag_id: str | None
    run_id: str | None
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class GalleryPage:
    """A page, and where the pages beside it begin.

    :param following: None where nothing follows.
    :param preceding: None where nothing precedes.
    :param complete: False if the page is not full because enough rows were looked at for one page.
    """

    rows: tuple[GalleryRow, ...]
    following: Cursor | None = None
    preceding: Cursor | None = None
    complete: bool = True


def turn_page(tx: Transaction, filters: Filters, dag_ids: DagIds, cursor: Cursor | None, size: int) -> GalleryPage:
    """Give the images beside a cursor that match, of these DAGs only.

    Under a prefix they come in the order of their keys; described, failed and rejected ones by when they ended, the
    latest first, or those of a batch from its start on; else the latest rows first.

    :param dag_ids: the DAGs whose rows may be seen.
    :param cursor: None for the first page.
    :param size: images on a page.
    """
    scan = _Scan(_walk(tx, filters, dag_ids), wanted(tx, filters, dag_ids), size)
    backwards = cursor is not None and cursor.backwards
    scan.run(tx, cursor, backwards=backwards)
    rows = tuple(_to_row(row) for row in scan.found[:size])
    turned = _page_before(scan, rows[::-1], cursor) if backwards else _page_after(scan, rows, cursor)
    if not scan.walk.is_by_end(tx.tables):
        return turned
    return replace(
        turned,
        following=_remembered(tx, turned.following, cursor),
        preceding=_remembered(tx, turned.preceding, cursor),
    )


def _remembered(tx: Transaction, cursor: Cursor | None, known: Cursor | None) -> Cursor | None:
    """Give a cursor with the time at which its row ended."""
    if cursor is None:
        return None
    if known is not None and cursor.row_id == known.row_id:
        return replace(cursor, ended_at=known.ended_at)
    images = tx.tables.images.c
    ended_at = tx.connection.execute(select(images.ended_at).where(images.id == cursor.row_id)).scalar()
    return replace(cursor, ended_at=ended_at)


def _page_after(scan: _Scan, rows: tuple[GalleryRow, ...], cursor: Cursor | None) -> GalleryPage:
    preceding = None
    if cursor is not None:
        preceding = Cursor(rows[0].id if rows else cursor.row_id, backwards=True)
    beside = scan.goes_on_beside(rows[-1].id if rows else None)
    return GalleryPage(rows, None if beside is None else Cursor(beside), preceding, complete=scan.complete)


def _page_before(scan: _Scan, rows: tuple[GalleryRow, ...], cursor: Cursor | None) -> GalleryPage:
    beside = scan.goes_on_beside(rows[0].id if rows else None)
    following = Cursor(rows[-1].id) if rows else None if cursor is None else Cursor(cursor.row_id)
    preceding = None if beside is None else Cursor(beside, backwards=True)
    return GalleryPage(rows, following, preceding, complete=scan.complete)


@dataclass(frozen=True, slots=True)
class _Walk:
    """An order of rows that an index gives.

    :param lanes: ranges of the index that are walked side by side.
    :param order: the columns that follow in the index.
    :param latest_first: whether the order is turned around.
    """

    lanes: _Lanes
    order: tuple[Column[Any], ...]
    latest_first: bool

    def is_by_end(self, tables: Tables) -> bool:
        """Say whether rows come by the time at which they ended, which changes when they are described again."""
        return self.order[0] is tables.images.c.ended_at


@dataclass(slots=True)
class _Scan:
    """One walk from a row on, until a page is full or enough rows were looked at.

    :param found: rows that match, in the order of the walk; one more than a page has if more follow.
    :param last: the last row that was looked at.
    :param ended: whether there are no more rows to look at.
    """

    walk: _Walk
    wanted: ColumnElement[bool]
    size: int
    found: list[Any] = field(default_factory=list)
    last: int | None = None
    ended: bool = False

    def run(self, tx: Transaction, beside: Cursor | None, *, backwards: bool) -> None:
        self.last = None if beside is None else beside.row_id
        for step in STEPS:
            ids = _next_ids(tx, self.walk, beside, step, backwards=backwards)
            self.found += _matching(tx, ids, self.wanted)
            self.ended = len(ids) < step
            if ids:
                self.last = ids[-1]
                beside = Cursor(ids[-1])
            if self.ended or len(self.found) > self.size:
                return

    @property
    def complete(self) -> bool:
        return self.ended or len(self.found) >= self.size

    def goes_on_beside(self, last_shown: int | None) -> int | None:
        """Give the row from which to go on; None if nothing can follow."""
        if len(self.found) > self.size:
            return last_shown
        return None if self.ended else self.last


def _walk(tx: Transaction, filters: Filters, dag_ids: DagIds) -> _Walk:
    """Choose the index that passes the fewest rows in vain."""
    images, batch = tx.tables.images.c, batch_of(tx, filters)
    if filters.billed and batch is not None:
        return _Walk((billed_by(tx.tables, batch),), (images.id,), latest_first=True)
    if prefix := filters.prefix or _beginning(filters, batch):
        by_key = (images.image_uri, images.image_version, images.bot_type)
        return _Walk((below(tx.tables, prefix),), by_key, latest_first=False)
    if lanes := _still_open(tx, filters, batch):
        return _Walk(lanes, (images.id,), latest_first=True)
    lanes = _of_each_dag(tx, filters, batch, dag_ids)
    if lanes and _goes_by_end(filters):
        return _Walk(lanes, (images.ended_at, images.id), latest_first=batch is None)
    return _Walk(lanes or (true(),), (images.id,), latest_first=True)


def _beginning(filters: Filters, batch: Batch | None) -> str:
    """Give the prefix of all images of a batch, where all of them are asked for: open ones have no end to go by."""
    any_of_it = filters.status is None and filters.reason is None and not (filters.in_flight or filters.run_id)
    return batch.scope.beginning if batch is not None and any_of_it else ""


def _still_open(tx: Transaction, filters: Filters, batch: Batch | None) -> _Lanes:
    """Give the ranges of the index of open rows; nothing where others are asked for, or they are too many."""
    if not (statuses := _open_statuses(filters)):
        return ()
    images, still_open = tx.tables.images.c, has_status(tx.tables.images, *OPEN)
    if batch is None:
        groups = _groups(tx, still_open, images.bucket, images.bot_type)
    else:
        scope = batch.scope
        groups = (and_(still_open, images.bucket == scope.bucket, images.bot_type == scope.bot_type.value),)
    return tuple(and_(group, images.status == status) for group in groups for status in statuses)


def _goes_by_end(filters: Filters) -> bool:
    """Say whether an index has the wanted rows by the time at which they ended."""
    return _has_a_reason(filters) or (filters.status is Status.SUCCEEDED and not filters.run_id)


def _has_a_reason(filters: Filters) -> bool:
    return filters.reason is not None or filters.status in WITH_A_REASON


def _open_statuses(filters: Filters) -> Sequence[Status]:
    """Give the statuses that are asked for, where they are those of open rows and no other index has fewer rows."""
    if filters.run_id or filters.reason is not None:
        return ()
    if filters.in_flight:
        return IN_FLIGHT
    return [status for status in OPEN if status is filters.status]


def _ranges(tx: Transaction, filters: Filters, batch: Batch | None) -> _Lanes:
    """Give the parts of the table that an index has by DAG, and that have all that is wanted."""
    tables, images = tx.tables, tx.tables.images.c
    if _has_a_reason(filters):
        return tuple(range_of_reason(tables, reason, filters, tx.now, batch) for reason in _reasons(filters))
    if filters.status is Status.IN_DOUBT:
        return (has_status(tables.images, filters.status),)
    if filters.run_id:
        return (images.run_id == storable(filters.run_id),)
    if filters.status is Status.SUCCEEDED:
        return (and_(has_status(tables.images, filters.status), since(tables, batch)),)
    return (_EVERYTHING,)


def _reasons(filters: Filters) -> Sequence[Reason]:
    if filters.reason is not None:
        return (filters.reason,)
    never_sent = filters.status is Status.REJECTED
    return [reason for reason in Reason if (reason in REJECTED_FOR) is never_sent]


def _of_each_dag(tx: Transaction, filters: Filters, batch: Batch | None, dag_ids: DagIds) -> _Lanes:
    """Divide the ranges that have all that is wanted by DAG: rows of DAGs that may not be seen are never passed.

    Where that makes too many, DAGs without any row in a range are left out of it.

    :return: nothing if there are still too many: a reader of so many DAGs sees most of the table anyway. Where only a
        few rows are wanted, that is no help, and many more ranges are walked.
    """
    ranges = _ranges(tx, filters, batch)
    theirs = frozenset({storable(filters.dag_id)}) if filters.dag_id else dag_ids
    most = MOST_LANES if ranges[0] is _EVERYTHING else MOST_LANES * MOST_QUERIES
    of_ranges = [theirs] * len(ranges)
    if len(ranges) * (len(theirs) + 1) > most:
        # Whether a DAG has rows of the time that is wanted, no index says without passing its older ones.
        at_any_time = _ranges(tx, replace(filters, within=None), None)
        of_ranges = [theirs & _dags_of(tx, one, most) for one in at_any_time]
    images = tx.tables.images.c
    if sum(len(those) + 1 for those in of_ranges) > most:
        return ()
    return tuple(
        and_(one, dag)
        for one, those in zip(ranges, of_ranges, strict=True)
        for dag in (*(images.dag_id == dag_id for dag_id in sorted(those)), images.dag_id.is_(None))
    )


def _dags_of(tx: Transaction, condition: ColumnElement[bool], most: int) -> DagIds:
    """Give the DAGs that have rows in a range that an index has by DAG, each found by one look into it.

    :param most: after how many to stop.
    """
    of_dag = tx.tables.images.c.dag_id
    found = select(func.min(of_dag).label("dag_id")).where(condition).cte("found", recursive=True)
    following = select(func.min(of_dag)).where(condition, of_dag > found.c.dag_id).correlate(found).scalar_subquery()
    every = found.union_all(select(following).where(found.c.dag_id.is_not(None)))
    query = select(every.c.dag_id).where(every.c.dag_id.is_not(None)).limit(most + 1)
    return frozenset(tx.connection.execute(query).scalars())


def _groups(tx: Transaction, condition: ColumnElement[bool], *columns: ColumnElement[str]) -> _Lanes:
    """Give the ranges of a partial index, one by one: each costs a look at the index.

    :return: nothing if there are too many to walk side by side.
    """
    groups: list[tuple[str, ...]] = []
    while len(groups) <= MOST_LANES:
        beyond: Any = tuple_(*columns) > tuple_(*groups[-1]) if groups else true()
        following = tx.connection.execute(select(*columns).where(condition, beyond).order_by(*columns).limit(1)).first()
        if following is None:
            break
        groups.append(tuple(following))
    if not groups:
        return (false(),)
    if len(groups) > MOST_LANES:
        return ()
    return tuple(
        and_(condition, *(column == value for column, value in zip(columns, group, strict=True))) for group in groups
    )


def _next_ids(tx: Transaction, walk: _Walk, beside: Cursor | None, limit: int, *, backwards: bool) -> Sequence[int]:
    """Give the rows that follow in a walk, by the index alone."""
    downwards = walk.latest_first is not backwards
    order = [column.desc() if downwards else column for column in walk.order]
    beyond = _beyond(tx, walk, beside, downwards=downwards)
    number = tx.tables.images.c.id
    columns: list[ColumnElement[Any]] = [number, *(column for column in walk.order if column is not number)]
    lanes = [select(*columns).where(lane, beyond).order_by(*order).limit(limit) for lane in walk.lanes]
    if len(lanes) == 1:
        return list(tx.connection.execute(lanes[0]).scalars())
    found: list[Any] = []
    for first in range(0, len(lanes), MOST_LANES):
        together = union_all(*(select(lane.subquery()) for lane in lanes[first : first + MOST_LANES])).subquery().c
        turned = [together[column.name].desc() if downwards else together[column.name] for column in walk.order]
        found += tx.connection.execute(select(*together).order_by(*turned).limit(limit))
    if len(lanes) > MOST_LANES:
        found.sort(key=partial(_place, names=[column.name for column in walk.order]), reverse=downwards)
    return [row.id for row in found[:limit]]


def _place(row: Any, names: Sequence[str]) -> tuple[tuple[bool, Any], ...]:
    """Give where a row comes in an order; what has no value comes last."""
    return tuple((value is None, value) for value in (getattr(row, name) for name in names))


def _beyond(tx: Transaction, walk: _Walk, beside: Cursor | None, *, downwards: bool) -> ColumnElement[bool]:
    if beside is None:
        return true()
    images = tx.tables.images.c
    place: Any = tx.connection.execute(select(*walk.order).where(images.id == beside.row_id)).first()
    if beside.ended_at is not None and walk.is_by_end(tx.tables):
        place = (beside.ended_at, beside.row_id)
    if place is None or None in tuple(place):
        return true()
    here: Any
    there: Any
    here, there = (walk.order[0], place[0]) if len(place) == 1 else (tuple_(*walk.order), tuple_(*place))
    beyond: ColumnElement[bool] = here < there if downwards else here > there
    return beyond


def _matching(tx: Transaction, ids: Sequence[int], wanted: ColumnElement[bool]) -> list[Any]:
    if not ids:
        return []
    images = tx.tables.images.c
    names = (*GalleryRow.__slots__, *PROMPT_COLUMNS)
    columns = [images[name] for name in names if name in images]
    rows = tx.connection.execute(select(*columns).where(images.id.in_(ids), wanted)).all()
    place = {image_id: number for number, image_id in enumerate(ids)}
    return sorted(rows, key=lambda row: place[row.id])


def _to_row(row: Any) -> GalleryRow:
    facts = {name: getattr(row, name) for name in GalleryRow.__slots__ if name not in ("prompts", "status")}
    prompts = tuple(prompt for name in PROMPT_COLUMNS if (prompt := getattr(row, name)))
    return GalleryRow(**facts, status=Status(row.status), prompts=prompts)
