"""Answers that come after their row was given up: they were paid for, so they are still taken."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import and_, or_, select

from airflow_midjourney.describe.model.events import Event, EventKind
from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.model.status import IN_FLIGHT, Status
from airflow_midjourney.describe.table.accounts import lock_account
from airflow_midjourney.describe.table.doubt.orphans import is_unpolled
from airflow_midjourney.describe.table.results import Prompted, RemoteTimes, write_prompts
from airflow_midjourney.describe.table.schema import GIVEN_UP, may_be_answered
from airflow_midjourney.describe.table.transitions import ResultMove

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from airflow_midjourney.describe.service.prompts import ParsedPrompts
    from airflow_midjourney.describe.service.tasks import RemoteTask
    from airflow_midjourney.describe.table.database import Transaction

#: Hours for which a task that was given up is still asked about.
HOURS: Final = 24

#: Given-up tasks asked about in one poll: they ride along in the request for those in flight.
AT_ONCE: Final = 100

#: Seconds after which the next of them are asked about, where there are more.
PAGE_LASTS: Final = 60.0


@dataclass(frozen=True, slots=True)
class GivenUp:
    """An accepted submission whose answer did not come in time, of a row that still has no prompts.

    :param image_id: the row that takes a late answer.
    :param account: that has paid for it.
    :param batch_id: for which it was sent.
    :param age: seconds since its claim.
    :param is_unheard: whether the service could not be asked about it when that was last tried.
    """

    image_id: int
    task_id: str
    submit_token: str
    account: str = ""
    batch_id: str = ""
    age: float = 0.0
    is_unheard: bool = False

    def is_answered_by(self, task: RemoteTask) -> bool:
        """Say whether a task with its id is its own: two submissions of one millisecond may share an id."""
        return task.state in ("", self.submit_token)


def given_up(tx: Transaction, account: str) -> list[GivenUp]:
    """Give submissions that may still be answered, of rows without prompts: a page of them at a time.

    They timed out or were lost, or were found to be accepted when their row had been given up or sent again. They are
    the account's own, and, a page as well, those of accounts that no connection polls any more: each may be this one
    under a former name. Where there are more than a page, the clock turns it.
    """
    accounts = tx.tables.accounts
    unpolled = select(accounts.c.account).where(accounts.c.account != account, is_unpolled(tx, accounts))
    bill = tx.tables.submissions.c
    return _page(tx, bill.account == account) + _page(tx, bill.account.in_(unpolled))


def _page(tx: Transaction, whose: ColumnElement[bool]) -> list[GivenUp]:
    images, submissions = tx.tables.images, tx.tables.submissions
    since = tx.now - timedelta(hours=HOURS)
    came_to_nothing = and_(submissions.c.settled_at >= since, submissions.c.reason.in_(GIVEN_UP))
    superseded = submissions.c.settled_at.is_(None)
    rows = tx.connection.execute(
        select(submissions.c.image_id, submissions.c.task_id, submissions.c.submit_token, submissions.c.account)
        .join_from(submissions, images, images.c.id == submissions.c.image_id)
        .where(
            whose,
            submissions.c.outcome == Outcome.ACCEPTED,
            submissions.c.claimed_at >= since - timedelta(hours=2),
            may_be_answered(submissions),
            or_(came_to_nothing, superseded),
            ResultMove.DESCRIBE_LATE.guard(tx),
        )
        .order_by(submissions.c.claimed_at.desc())
    ).all()
    pages = max(1, math.ceil(len(rows) / AT_ONCE))
    start = int(tx.now.timestamp() // PAGE_LASTS) % pages * AT_ONCE
    return [GivenUp(*row) for row in rows[start : start + AT_ONCE]]


def answered_late(
    tx: Transaction, account: str, one: GivenUp, prompts: ParsedPrompts, raw: str, times: RemoteTimes
) -> bool:
    """Write prompts that came late. They turn a failed, pending or doubtful row into a succeeded one, and no other.

    Goes behind the account's lock, so that no claim of the same bytes is half way while the answer comes. A row whose
    next attempt is on its way leaves the answer where it is: should that come to nothing, it is asked for again.

    :return: True if the row has its prompts by this.
    """
    lock_account(tx, account)
    images, submissions = tx.tables.images, tx.tables.submissions
    waits = ResultMove.DESCRIBE_LATE.guard(tx).label("waits")
    this_row = select(images.c.status, waits).where(images.c.id == one.image_id)
    row = tx.connection.execute(this_row.with_for_update()).first()
    if row is not None and row.status in IN_FLIGHT:
        return False
    tx.connection.execute(
        submissions.update()
        .where(submissions.c.submit_token == one.submit_token)
        .values(result=Status.SUCCEEDED.value, reason=None, settled_at=tx.now)
    )
    if row is None or not row.waits:
        return False
    elsewhere = select(images.c.id).where(images.c.submit_token == one.submit_token, images.c.id != one.image_id)
    is_borne = tx.connection.execute(elsewhere).first() is not None
    task = {"submit_token": None if is_borne else one.submit_token, "task_id": one.task_id}
    write_prompts(tx, ResultMove.DESCRIBE_LATE, [Prompted(one.image_id, prompts, raw, times, facts=task)])
    tx.events.append(Event(EventKind.SUCCEEDED))
    return True
