"""Images and prompts, a page at a time, in constant time however many rows there are.

A page walks along an index from where the page before ended, and filters what it passes. No portable index finds a
piece of text inside prompts, so a page looks at a bounded number of rows and says from where to look further.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, and_, false, or_, select, true, tuple_, union_all

from airflow_midjourney.describe.model.status import OPEN, BotType, Reason, Status
from airflow_midjourney.describe.model.text import storable
from airflow_midjourney.describe.queries.owners import DagIds, belongs_to
from airflow_midjourney.describe.table.batches import after_prefix
from airflow_midjourney.describe.table.schema import PROMPT_COLUMNS, WITH_A_REASON, has_status

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal

    from airflow_midjourney.describe.table.database import Transaction
    from airflow_midjourney.describe.table.schema import Tables

#: How many rows are looked at in one go, one after the other until a page is full: 5,000 in all.
STEPS: Final = (100, 400, 1500, 3000)

#: DAGs that are walked side by side. Who may see more than these sees most of the table anyway.
MOST_LANES: Final = 20


_Lanes = tuple[ColumnElement[bool], ...]


@dataclass(frozen=True, slots=True)
class Filters:
    """Which images are wanted; what is empty does not matter.

    :param text: part of a key or a prompt, whatever the case of its letters.
    :param prefix: beginning of ``s3://bucket/key``.
    """

    text: str = ""
    status: Status | None = None
    reason: Reason | None = None
    prefix: str = ""
    dag_id: str = ""
    run_id: str = ""
    bot_type: BotType | None = None


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins: beside a row, which is not on it.

    :param row_id: any row, whether it matches or not.
    :param backwards: True for the page before that row.
    """

    row_id: int
    backwards: bool = False


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

    Under a prefix they come in the order of their keys, else the latest rows first.

    :param dag_ids: the DAGs whose rows may be seen.
    :param cursor: None for the first page.
    :param size: images on a page.
    """
    scan = _Scan(_walk(tx, filters, dag_ids), _wanted(tx.tables, filters, dag_ids), size)
    backwards = cursor is not None and cursor.backwards
    scan.run(tx, None if cursor is None else cursor.row_id, backwards=backwards)
    rows = tuple(_to_row(row) for row in scan.found[:size])
    if backwards:
        return _page_before(scan, rows[::-1], cursor)
    return _page_after(scan, rows, cursor)


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

    :param lanes: ranges of the index that are walked side by side; several only in the order of row numbers.
    :param order: the columns that follow in the index.
    :param latest_first: whether the order is turned around.
    """

    lanes: _Lanes
    order: tuple[ColumnElement[Any], ...]
    latest_first: bool


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

    def run(self, tx: Transaction, beside: int | None, *, backwards: bool) -> None:
        self.last = beside
        for step in STEPS:
            ids = _next_ids(tx, self.walk, self.last, step, backwards=backwards)
            self.found += _matching(tx, ids, self.wanted)
            self.ended = len(ids) < step
            if ids:
                self.last = ids[-1]
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
    images = tx.tables.images.c
    if filters.prefix:
        order = (images.image_uri, images.image_version, images.bot_type)
        return _Walk((_below(tx.tables, filters.prefix),), order, latest_first=False)
    lanes = _lanes_of_run_or_status(tx, filters) or _lanes_of_dags(tx.tables, filters, dag_ids)
    return _Walk(lanes, (images.id,), latest_first=True)


def _lanes_of_run_or_status(tx: Transaction, filters: Filters) -> _Lanes:
    images = tx.tables.images.c
    if filters.run_id:
        return (images.run_id == storable(filters.run_id),)
    if filters.reason is not None or filters.status in WITH_A_REASON:
        reasons = Reason if filters.reason is None else (filters.reason,)
        with_a_reason = has_status(tx.tables.images, *WITH_A_REASON)
        return tuple(and_(with_a_reason, images.reason == reason.value) for reason in reasons)
    if filters.status in OPEN:
        still_open = has_status(tx.tables.images, *OPEN)
        groups = _groups(tx, still_open, images.bucket, images.bot_type)
        return tuple(and_(group, images.status == filters.status) for group in groups)
    if filters.status is Status.IN_DOUBT:
        doubtful = has_status(tx.tables.images, Status.IN_DOUBT)
        return _groups(tx, doubtful, images.account, images.bucket, images.bot_type)
    return ()


def _lanes_of_dags(tables: Tables, filters: Filters, dag_ids: DagIds) -> _Lanes:
    images = tables.images.c
    theirs = frozenset({storable(filters.dag_id)}) if filters.dag_id else dag_ids
    if len(theirs) > MOST_LANES:
        return (true(),)
    return (*(images.dag_id == dag_id for dag_id in sorted(theirs)), images.dag_id.is_(None))


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


def _below(tables: Tables, prefix: str) -> ColumnElement[bool]:
    uri, beginning = tables.images.c.image_uri, storable(prefix)
    end = after_prefix(beginning)
    return uri >= beginning if end is None else and_(uri >= beginning, uri < end)


def _wanted(tables: Tables, filters: Filters, dag_ids: DagIds) -> ColumnElement[bool]:
    """Give the whole condition, whatever the walk has seen to already."""
    images = tables.images.c
    conditions = [belongs_to(tables, dag_ids)]
    if filters.status is not None:
        conditions.append(images.status == filters.status.value)
    if filters.reason is not None:
        conditions += [images.reason == filters.reason.value, has_status(tables.images, *WITH_A_REASON)]
    if filters.prefix:
        conditions.append(_below(tables, filters.prefix))
    if filters.dag_id:
        conditions.append(belongs_to(tables, frozenset({storable(filters.dag_id)})))
    if filters.run_id:
        conditions.append(images.run_id == storable(filters.run_id))
    if filters.bot_type is not None:
        conditions.append(images.bot_type == filters.bot_type.value)
    if filters.text:
        texts = (images.key, *(images[name] for name in PROMPT_COLUMNS))
        conditions.append(or_(*(text.icontains(storable(filters.text), autoescape=True) for text in texts)))
    return and_(*conditions)


def _next_ids(tx: Transaction, walk: _Walk, beside: int | None, limit: int, *, backwards: bool) -> Sequence[int]:
    """Give the rows that follow in a walk, by the index alone."""
    downwards = walk.latest_first is not backwards
    order = [column.desc() if downwards else column for column in walk.order]
    beyond = _beyond(tx, walk, beside, downwards=downwards)
    lanes = [select(tx.tables.images.c.id).where(lane, beyond).order_by(*order).limit(limit) for lane in walk.lanes]
    if len(lanes) == 1:
        return list(tx.connection.execute(lanes[0]).scalars())
    together = union_all(*(select(lane.subquery()) for lane in lanes)).subquery()
    number = together.c.id
    following = select(number).order_by(number.desc() if downwards else number).limit(limit)
    return list(tx.connection.execute(following).scalars())


def _beyond(tx: Transaction, walk: _Walk, beside: int | None, *, downwards: bool) -> ColumnElement[bool]:
    if beside is None:
        return true()
    place = tx.connection.execute(select(*walk.order).where(tx.tables.images.c.id == beside)).first()
    if place is None:
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
