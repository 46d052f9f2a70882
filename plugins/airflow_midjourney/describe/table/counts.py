"""Where a batch stands: its open rows, of any worker, and what ended since it started."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, and_, case, func, select

from airflow_midjourney.describe.model.outcome import TURNED_AWAY, Outcome
from airflow_midjourney.describe.model.status import IN_FLIGHT, NOT_THE_IMAGES_FAULT, OPEN, Reason, Status
from airflow_midjourney.describe.table.batches import has_own_rows, in_scope, turns_out_in_scope
from airflow_midjourney.describe.table.doubt.unanswered import is_unanswered
from airflow_midjourney.describe.table.leases import is_claimable
from airflow_midjourney.describe.table.schema import SHARING, has_status

if TYPE_CHECKING:
    from decimal import Decimal

    from sqlalchemy import Table

    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.database import Transaction

#: Pending rows are counted so far to decide anything: more than listing looks ahead, and than there are slots.
MOST_PENDING: Final = 1000

#: So many failures in a row for one reason that is not the images' fault end a run.
ALIKE_IN_A_ROW: Final = 10

#: Answers to POSTs that are taken for an image's own only where others have passed.
_DENIED: Final = (401, 403)

#: Submissions of one image, or tasks that vanished at once, among which ten different events are looked for.
_SUBMISSIONS_OF_ONE: Final = 10


@dataclass(frozen=True, slots=True)
class Counts:
    """The rows of a batch's scope: open rows, and rows that ended since it started.

    :param reasons: how many ended rows per reason.
    :param repeated: of the rejected per reason, how many an earlier run had rejected for the same.
    :param shared: of the succeeded, how many cost no POST of their own.
    :param billed: accepted POSTs of this batch.
    :param cost: what they cost in all, None where no price is set.
    """

    pending: int = 0
    submitting: int = 0
    submitted: int = 0
    succeeded: int = 0
    failed: int = 0
    rejected: int = 0
    in_doubt: int = 0
    shared: int = 0
    billed: int = 0
    cost: Decimal | None = None
    currency: str | None = None
    reasons: dict[str, int] = field(default_factory=dict)
    repeated: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Give plain values for an XCom; money as text."""
        return asdict(self) | {"cost": None if self.cost is None else str(self.cost)}

    @property
    def in_flight(self) -> int:
        """Rows that hold a slot."""
        return self.submitting + self.submitted

    @property
    def open(self) -> int:
        """Rows that something still has to happen to."""
        return self.pending + self.in_flight

    @property
    def ended(self) -> int:
        """Rows that ended since the batch started."""
        return self.succeeded + self.failed + self.rejected + self.in_doubt

    @property
    def total(self) -> int:
        """All rows that this batch has to do with."""
        return self.open + self.ended


def count(tx: Transaction, batch: Batch) -> Counts:
    """Count a batch's rows by status and reason."""
    images = tx.tables.images.c
    open_rows = _grouped(tx, batch, has_status(tx.tables.images, *OPEN))
    ended = _grouped(tx, batch, and_(images.ended_at >= batch.started_at, images.status.not_in(OPEN)))
    by_status: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    repeated: Counter[str] = Counter()
    for group in (*open_rows, *ended):
        by_status[group.status] += group.rows
    for group in ended:
        if group.reason:
            reasons[group.reason] += group.rows
            repeated[group.reason] += group.repeated
    billed, cost, currency = _bill(tx, batch)
    return Counts(
        **{status.value: by_status[status.value] for status in Status},
        shared=sum(group.shared for group in ended if group.status == Status.SUCCEEDED),
        billed=billed,
        cost=cost,
        currency=currency,
        reasons=dict(sorted(reasons.items())),
        repeated=dict(sorted((+repeated).items())),
    )


@dataclass(frozen=True, slots=True)
class OpenRows:
    """The rows of a batch that have not ended: quick to count, however many have, and however many are pending.

    :param pending: rows without a twin, up to :data:`MOST_PENDING`, and the sharing ones: no decision needs more.
    :param claimable: pending rows that a worker could reserve at this moment, counted as far.
    :param sharing: pending rows that wait for a twin that is in flight.
    :param unanswered: of the submitting, those whose POST should have had its answer by now: its worker may be dead.
    """

    pending: int = 0
    claimable: int = 0
    submitting: int = 0
    submitted: int = 0
    sharing: int = 0
    unanswered: int = 0

    @property
    def to_submit(self) -> int:
        """Rows that have to be sent, now or later."""
        return self.pending - self.sharing

    @property
    def left_to_submit(self) -> str:
        """How many rows have to be sent, in words."""
        return f"{self.to_submit:,}" if self.to_submit < MOST_PENDING else f"{MOST_PENDING:,} or more"

    @property
    def in_flight(self) -> int:
        """Rows that hold a slot."""
        return self.submitting + self.submitted

    @property
    def total(self) -> int:
        """Rows that something still has to happen to."""
        return self.pending + self.in_flight


def count_open(tx: Transaction, batch: Batch) -> OpenRows:
    """Count a batch's rows that have not ended, of any worker; the pending ones to a limit."""
    images = tx.tables.images
    status, key = images.c.status, images.c.key

    def how_many(condition: ColumnElement[bool]) -> ColumnElement[int]:
        return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)

    def to_a_limit(order: ColumnElement[Any], *conditions: ColumnElement[bool]) -> ColumnElement[int]:
        # In the order of an index, Postgres stops at the limit, whatever its statistics say.
        found = select(images.c.id).where(*conditions).order_by(order).limit(MOST_PENDING).subquery()
        return select(func.count()).select_from(found).scalar_subquery()

    mine = in_scope(tx.tables, batch)
    # Few rows, which indexes of their own hold.
    also_mine = turns_out_in_scope(tx.tables, batch)
    row = tx.connection.execute(
        select(
            to_a_limit(key, mine, has_status(images, *OPEN), status == Status.PENDING, images.c.shares_id.is_(None)),
            to_a_limit(key, mine, is_claimable(tx)),
            to_a_limit(images.c.shares_id, also_mine, *_shares(images)),
            how_many(status == Status.SUBMITTING),
            how_many(status == Status.SUBMITTED),
            how_many(is_unanswered(tx)),
        )
        .select_from(images)
        .where(also_mine, has_status(images, *IN_FLIGHT))
    ).one()
    to_submit, claimable, sharing, submitting, submitted, unanswered = (int(number) for number in row)
    return OpenRows(to_submit + sharing, claimable, submitting, submitted, sharing, unanswered)


def _shares(images: Table) -> tuple[ColumnElement[bool], ...]:
    """Give the conditions that a row waits for its twin, spelt so that no index of all pending rows is taken."""
    return images.c.shares_id.is_not(None), has_status(images, *SHARING), images.c.status != Status.IN_DOUBT


def count_undecided(tx: Transaction, batch: Batch, account: str) -> int:
    """Count doubtful rows of a batch that the service can still be asked about.

    :param account: the account that this process can ask.
    """
    images = tx.tables.images.c
    return _how_many_rows(
        tx,
        in_scope(tx.tables, batch),
        images.account == account,
        has_status(tx.tables.images, Status.IN_DOUBT),
        images.doubt_checked_at.is_(None),
        images.shares_id.is_(None),
    )


def count_sent_beside(tx: Transaction, batch: Batch) -> int:
    """Count rows on their way that a batch without any of its own has sent: earlier runs had left them over.

    :return: 0 for a batch that has rows of its own: it waits for no others.
    """
    images = tx.tables.images
    sent = _how_many_rows(tx, has_status(images, *IN_FLIGHT), images.c.batch_id == batch.batch_id)
    return sent if sent and not has_own_rows(tx, batch) else 0


def _how_many_rows(tx: Transaction, *conditions: ColumnElement[bool]) -> int:
    query = select(func.count()).select_from(tx.tables.images).where(*conditions)
    return tx.connection.execute(query).scalar_one()


def alike_in_a_row(tx: Transaction, batch: Batch) -> tuple[str, str] | None:
    """Say for which reason the latest ten images of this try all failed, if it is not the images' fault.

    An answer without prompts may be the image's fault, unless ten images get one and the same text. Tasks that vanish
    in one poll, as those of a service that was restarted, are one event and not ten. An image that was turned away
    again and again was judged beside others that passed; such images come last, and therefore one after the other.

    :return: the reason and the latest detail; None while the run may go on.
    """
    submissions = tx.tables.submissions.c
    images = tx.tables.images
    latest = tx.connection.execute(
        select(
            submissions.image_id,
            submissions.reason,
            submissions.settled_at,
            submissions.outcome,
            submissions.http_status,
            images.c.detail,
        )
        .join_from(tx.tables.submissions, images, images.c.id == submissions.image_id)
        .where(submissions.batch_id == batch.batch_id, submissions.settled_at >= batch.tried_at)
        .order_by(submissions.settled_at.desc(), submissions.id.desc())
        .limit(ALIKE_IN_A_ROW * _SUBMISSIONS_OF_ONE)
    ).all()
    images_seen, events = set(), set()
    for row in latest:
        if not _is_alike(row, latest[0]):
            return None
        images_seen.add(row.image_id)
        events.add(row.settled_at if row.reason == Reason.LOST else row.image_id)
        if min(len(images_seen), len(events)) == ALIKE_IN_A_ROW:
            return latest[0].reason, latest[0].detail or ""
    return None


def _is_alike(row: Any, first: Any) -> bool:
    if row.reason != first.reason or _was_turned_away(row):
        return False
    return row.reason in NOT_THE_IMAGES_FAULT or (row.reason == Reason.UNPARSEABLE and row.detail == first.detail)


def _was_turned_away(row: Any) -> bool:
    return row.outcome in TURNED_AWAY or (row.outcome == Outcome.REFUSED and row.http_status in _DENIED)


@dataclass(frozen=True, slots=True)
class _Group:
    status: str
    reason: str | None
    rows: int
    shared: int
    repeated: int


def _grouped(tx: Transaction, batch: Batch, condition: ColumnElement[bool]) -> list[_Group]:
    images = tx.tables.images.c
    shared = func.sum(case((images.shares_id.is_not(None), 1), else_=0))
    again = and_(images.status == Status.REJECTED, images.rejected_before == images.reason)
    repeated = func.sum(case((again, 1), else_=0))
    query = (
        select(images.status, images.reason, func.count(), shared, repeated)
        .where(in_scope(tx.tables, batch), condition)
        .group_by(images.status, images.reason)
    )
    return [_Group(*row) for row in tx.connection.execute(query)]


def _bill(tx: Transaction, batch: Batch) -> tuple[int, Decimal | None, str | None]:
    submissions = tx.tables.submissions.c
    row = tx.connection.execute(
        select(func.count(), func.sum(submissions.price), func.max(submissions.currency)).where(
            submissions.batch_id == batch.batch_id, submissions.outcome == Outcome.ACCEPTED
        )
    ).one()
    return row[0], row[1], row[2]
