"""A person asks for images to be described again: first what it would cost, then once, with who asked.

Nothing is sent here. The rows are pending again, and go through reservations, claims and caps like any other: with the
next run of the DAG and task that had them last, if it takes up what was left over (see ``queries/senders.py``), or of
any whose scope they are in.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, func, or_, select

from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.describe.queries.owners import DagIds, belongs_to, owners
from airflow_midjourney.describe.table.doubt.in_doubt import most_resubmissions
from airflow_midjourney.describe.table.matching import take_up_again
from airflow_midjourney.describe.table.orders.seen_rows import SeenRow, name_submission

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal

    from airflow_midjourney.describe.table.database import Transaction

#: Images in one request.
MOST_ASKED: Final = 500

#: Rows that have ended and were sent. All others are on their way already, or never were the service's to describe.
ASKABLE: Final = (Status.FAILED, Status.IN_DOUBT, Status.SUCCEEDED)


@dataclass(frozen=True, slots=True)
class Price:
    """What so many submissions would cost, at the latest price of the bill.

    :param images: distinct bytes, each of which is paid for once.
    :param each: None where no price is known.
    """

    images: int
    each: Decimal | None = None
    currency: str | None = None

    @property
    def total(self) -> Decimal | None:
        """All of them; None where no price is known."""
        return None if self.each is None else self.each * self.images

    def most(self, attempts: int) -> Decimal | None:
        """Give the price if the service fails every image, and gives no answer to as many as may be sent once more.

        :param attempts: how often an image may be sent, while the service fails it.
        """
        if self.each is None:
            return None
        return self.each * (self.images * attempts + min(self.images, most_resubmissions(self.images)))


@dataclass(frozen=True, slots=True)
class Offer:
    """What describing a selection again would come to.

    :param seen: rows that would be described again, as they are now.
    :param left_alone: how many of the selection would not be, by what they are: a status, or ``replaced``.
    :param doubtful: of the rows, how many may have been taken and billed already.
    :param prices: by account.
    :param attempts: how often one of them may be sent, while the service fails it.
    """

    seen: tuple[SeenRow, ...]
    left_alone: dict[str, int]
    doubtful: int
    prices: tuple[Price, ...]
    attempts: int = 1

    @property
    def image_ids(self) -> tuple[int, ...]:
        """The numbers of the rows."""
        return tuple(one.image_id for one in self.seen)


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of a request.

    :param image_ids: rows that are pending again.
    :param repeated: True if the request was made before; then nothing was changed.
    """

    image_ids: tuple[int, ...]
    asked_by: str
    asked_at: datetime
    repeated: bool


def offer(tx: Transaction, image_ids: Sequence[int], dag_ids: DagIds) -> Offer:
    """Say what describing these rows again would come to. Reads only.

    :param dag_ids: the DAGs whose rows the person may change; other rows are passed over unnamed.
    """
    images = tx.tables.images.c
    rows = tx.connection.execute(
        select(images.id, images.status, images.is_current, images.max_attempts, images.submit_token)
        .where(images.id.in_(image_ids), belongs_to(tx.tables, dag_ids))
        .order_by(images.id)
    ).all()
    return price_up(tx, rows)


def price_up(tx: Transaction, rows: Sequence[Any]) -> Offer:
    """Say what describing rows again would come to.

    :param rows: each with its number, status, ``is_current``, ``max_attempts`` and ``submit_token``.
    """
    wanted = [row for row in rows if row.is_current and row.status in ASKABLE]
    kept = {row.id for row in wanted}
    left = Counter(row.status if row.is_current else "replaced" for row in rows if row.id not in kept)
    seen = tuple(SeenRow(row.id, row.status, name_submission(row.submit_token)) for row in wanted)
    doubtful = sum(row.status == Status.IN_DOUBT for row in wanted)
    attempts = max((row.max_attempts for row in wanted), default=1)
    return Offer(seen, dict(sorted(left.items())), doubtful, _prices(tx, [one.image_id for one in seen]), attempts)


def ask_again(
    tx: Transaction, request_id: str, asked_by: str, seen: Sequence[SeenRow], dag_ids: DagIds, price: Price | None
) -> Asked:
    """Make rows pending again, once per request. A repeated request changes nothing and gives what the first one did.

    :param request_id: unguessable; the form's.
    :param seen: at most 500 rows, as the person was shown them. Rows that have moved on since, were replaced or belong
        to other DAGs stay as they are.
    :param dag_ids: the DAGs whose rows the person may change.
    :param price: what the person was told, for the record; None if there was more than one price.
    """
    if not note_request(tx, request_id, asked_by, price):
        return _earlier(tx, request_id)
    requests = tx.tables.requests
    taken = take_shown(tx, request_id, seen[:MOST_ASKED], dag_ids, tx.now)
    tx.connection.execute(requests.update().where(requests.c.request_id == request_id).values(image_ids=taken))
    return Asked(tuple(taken), asked_by, tx.now, repeated=False)


def note_request(
    tx: Transaction, request_id: str, asked_by: str, price: Price | None, image_ids: Sequence[int] = ()
) -> bool:
    """Write down a request, or a part of one.

    :return: False if it is there already.
    """
    facts = {"asked_by": asked_by, "asked_at": tx.now, "image_ids": list(image_ids)}
    if price is not None:
        facts |= {"price": price.each, "currency": price.currency}
    # Not by the count of rows: SQLAlchemy does not keep that of an INSERT with psycopg 3.
    requests = tx.tables.requests
    insert = tx.insert(requests).values(request_id=request_id, **facts).on_conflict_do_nothing()
    return tx.connection.execute(insert.returning(requests.c.request_id)).first() is not None


def take_shown(
    tx: Transaction, request_id: str, seen: Sequence[SeenRow], dag_ids: DagIds, since: datetime
) -> list[int]:
    """Make those rows pending that are still what the person was shown, and belong to these DAGs.

    :param since: answers from then on are new enough for rows with the same bytes to share.
    """
    images = tx.tables.images.c
    may_be_asked = and_(images.is_current, images.status.in_(ASKABLE), belongs_to(tx.tables, dag_ids))
    shown = images.id.in_([one.image_id for one in seen])
    allowed = set(tx.connection.execute(select(images.id).where(shown, may_be_asked)).scalars())
    return take_up_again(tx, [one for one in seen if one.image_id in allowed], request_id, since)


@dataclass(frozen=True, slots=True)
class RequestProgress:
    """What has become of a request so far.

    :param by_dag: of the images that may be seen, how many belong to which DAG.
    :param by_status: the same images by what they are now.
    :param pending: rows that wait to be sent.
    """

    asked: Asked
    by_dag: dict[str, int]
    by_status: dict[Status, int]
    pending: tuple[int, ...]


def follow_up(tx: Transaction, request_id: str, dag_ids: DagIds, looks: str) -> RequestProgress | None:
    """Say what has become of a request.

    :param dag_ids: the DAGs whose rows may be seen.
    :param looks: who looks; a request that has changed nothing is shown to the person who made it.
    :return: None if there is no such request, or nothing of it may be seen.
    """
    requests, images = tx.tables.requests.c, tx.tables.images.c
    if tx.connection.execute(select(requests.request_id).where(requests.request_id == request_id)).first() is None:
        return None
    asked = _earlier(tx, request_id)
    belonging = belongs_to(tx.tables, dag_ids)
    rows: list[Any] = []
    of_dags: Counter[str] = Counter()
    for start in range(0, len(asked.image_ids), MOST_ASKED):
        these = images.id.in_(asked.image_ids[start : start + MOST_ASKED])
        found = tx.connection.execute(select(images.id, images.status).where(these, belonging)).all()
        of_dags.update(owner or "" for owner in owners(tx, [row.id for row in found]).values())
        rows += found
    if not rows and (asked.image_ids or asked.asked_by != looks):
        return None
    now = Counter(Status(row.status) for row in rows)
    pending = tuple(row.id for row in rows if row.status == Status.PENDING)
    return RequestProgress(asked, dict(sorted(of_dags.items())), dict(now), pending)


def _earlier(tx: Transaction, request_id: str) -> Asked:
    """Give what a request has done, all its parts together."""
    requests = tx.tables.requests.c
    number = requests.request_id
    parts = and_(number > f"{request_id}/", number < f"{request_id}0")
    rows = tx.connection.execute(
        select(requests.image_ids, requests.asked_by, requests.asked_at)
        .where(or_(number == request_id, parts))
        .order_by(requests.asked_at)
    ).all()
    image_ids = tuple(image_id for row in rows for image_id in row.image_ids)
    return Asked(image_ids, rows[0].asked_by, rows[0].asked_at, repeated=True)


def _prices(tx: Transaction, image_ids: Sequence[int]) -> tuple[Price, ...]:
    images = tx.tables.images.c
    # Bytes that were never read count each for themselves.
    bytes_of = func.coalesce(images.content_sha256, images.image_uri)
    groups = tx.connection.execute(
        select(images.account, images.bot_type, func.count(bytes_of.distinct()))
        .where(images.id.in_(image_ids))
        .group_by(images.account, images.bot_type)
        .order_by(images.account, images.bot_type)
    ).all()
    by_account: Counter[str | None] = Counter()
    for account, _, number in groups:
        by_account[account] += number
    return tuple(_at_latest_price(tx, account, number) for account, number in by_account.items())


def _at_latest_price(tx: Transaction, account: str | None, images: int) -> Price:
    submissions = tx.tables.submissions.c
    latest = tx.connection.execute(
        select(submissions.price, submissions.currency)
        .where(submissions.account == account)
        .order_by(submissions.claimed_at.desc())
        .limit(1)
    ).first()
    return Price(images) if latest is None else Price(images, latest.price, latest.currency)
