"""The bill is asked before anything is paid again: accepted submissions of the same bytes that have no result."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.exc import IntegrityError

from airflow_midjourney.describe.model.account import PATIENCE_WITH_THE_SERVICE
from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.table.accounts import lock_account
from airflow_midjourney.describe.table.doubt.late_results import HOURS, GivenUp
from airflow_midjourney.describe.table.schema import GIVEN_UP, may_be_answered
from airflow_midjourney.describe.table.transitions import LeaseMove, ResultMove
from airflow_midjourney.describe.table.updates import move_rows

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Row
    from sqlalchemy.sql.selectable import Select

    from airflow_midjourney.describe.table.claims import Claim
    from airflow_midjourney.describe.table.database import Transaction

#: Seconds until a former task is asked about again when the service could not say.
POSTPONEMENT: Final = 15.0


def has_no_result(tx: Transaction) -> ColumnElement[bool]:
    """Give the condition that a submission of the last day was accepted, and may still have an answer."""
    submissions = tx.tables.submissions
    since = tx.now - timedelta(hours=HOURS)
    given_up = and_(submissions.c.settled_at >= since, submissions.c.reason.in_(GIVEN_UP))
    return and_(
        submissions.c.outcome == Outcome.ACCEPTED,
        submissions.c.claimed_at >= since - timedelta(hours=2),
        may_be_answered(submissions),
        or_(submissions.c.settled_at.is_(None), given_up),
    )


def digests_without_result(tx: Transaction, digests: Collection[str], bot_type: str) -> list[str]:
    """Say which bytes were paid for in the last day and have no result yet."""
    submissions = tx.tables.submissions.c
    query = select(submissions.content_sha256).where(
        submissions.content_sha256.in_(digests), submissions.bot_type == bot_type, has_no_result(tx)
    )
    return list(tx.connection.execute(query).scalars())


def unasked(tx: Transaction, claim: Claim) -> list[GivenUp]:
    """Give the submissions of the bytes of a claim that the service has to be asked about first, whichever row's.

    An older release wrote no digest into the bill: its submissions are found by the rows of the bytes.
    """
    submissions, images = tx.tables.submissions, tx.tables.images.c
    digest, bot_type = claim.content.content_sha256, claim.batch.scope.bot_type
    rows = select(images.id).where(images.content_sha256 == digest, images.bot_type == bot_type)
    ids = {claim.image_id, *tx.connection.execute(rows).scalars()}
    by_bytes = and_(submissions.c.content_sha256 == digest, submissions.c.bot_type == bot_type)
    found = tx.connection.execute(
        _former(tx)
        .where(or_(by_bytes, submissions.c.image_id.in_(ids)), has_no_result(tx))
        .order_by(submissions.c.id.desc())
    )
    return [_given_up(tx, row, claim.image_id) for row in found if row.submit_token not in claim.asked]


def latest_of(tx: Transaction, image_id: int, submit_token: str) -> GivenUp | None:
    """Give the submission whose token a row bears; None if the bill does not know it."""
    row = tx.connection.execute(_former(tx).where(tx.tables.submissions.c.submit_token == submit_token)).first()
    return None if row is None or row.task_id is None else _given_up(tx, row, image_id)


def _former(tx: Transaction) -> Select[Any]:
    submissions = tx.tables.submissions.c
    return select(
        submissions.image_id,
        submissions.task_id,
        submissions.submit_token,
        submissions.account,
        submissions.batch_id,
        submissions.claimed_at,
        submissions.unheard_since,
    )


def _given_up(tx: Transaction, row: Row[Any], asker: int) -> GivenUp:
    """Name the row that takes a late answer: its own, or the one that asks where that cannot take it any more."""
    own = select(tx.tables.images.c.id).where(tx.tables.images.c.id == row.image_id, ResultMove.DESCRIBE_LATE.guard(tx))
    image_id = row.image_id if tx.connection.execute(own).first() else asker
    return GivenUp(
        image_id,
        row.task_id,
        row.submit_token,
        account=row.account,
        batch_id=row.batch_id,
        age=(tx.now - row.claimed_at).total_seconds(),
        is_unheard=row.unheard_since is not None,
    )


def postpone(tx: Transaction, image_id: int, holder: str, former: GivenUp) -> bool:
    """Give a reserved row back while a former task of its bytes cannot be asked about; it is tried again later.

    Patience counts from the first question that got no answer, whenever the task was given up.

    :return: False if that has been tried for long enough.
    """
    submissions = tx.tables.submissions
    mine = submissions.c.submit_token == former.submit_token
    tx.connection.execute(
        submissions.update().where(mine).values(unheard_since=func.coalesce(submissions.c.unheard_since, tx.now))
    )
    recently = select(submissions.c.id).where(
        mine, submissions.c.unheard_since > tx.now - timedelta(seconds=PATIENCE_WITH_THE_SERVICE)
    )
    not_before = tx.now + timedelta(seconds=POSTPONEMENT)
    this_one = tx.tables.images.c.id == image_id
    held = {"reserved_by": holder}
    return move_rows(tx, LeaseMove.POSTPONE, this_one, recently.exists(), held=held, not_before=not_before) == 1


def was_heard(tx: Transaction, former: GivenUp) -> None:
    """Note that the service has answered the question about a former task."""
    submissions = tx.tables.submissions
    tx.connection.execute(
        submissions.update().where(submissions.c.submit_token == former.submit_token).values(unheard_since=None)
    )


def resume(tx: Transaction, former: GivenUp) -> bool:
    """Let a row wait again for a task that the service still works on, instead of paying for another.

    :return: False if it cannot: its bytes are on their way already, or the row has moved on.
    """
    state = lock_account(tx, former.account)
    submissions = tx.tables.submissions
    mine = submissions.c.submit_token == former.submit_token
    sent = tx.connection.execute(select(submissions.c.price, submissions.c.currency).where(mine)).one()
    facts = {
        "submit_token": former.submit_token,
        "task_id": former.task_id,
        "account": former.account,
        "price": sent.price,
        "currency": sent.currency,
        "silence_before": state.silence,
    }
    try:
        with tx.connection.begin_nested():
            moved = move_rows(tx, ResultMove.RESUME, tx.tables.images.c.id == former.image_id, **facts)
    except IntegrityError:
        return False
    if moved:
        tx.connection.execute(submissions.update().where(mine).values(result=None, reason=None, settled_at=None))
    return moved == 1
