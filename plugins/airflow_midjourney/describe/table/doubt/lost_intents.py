"""Intents that the database has lost, after a crash or a failover: their worker holds them, and writes them again.

A POST is answered after its intent was committed. If the row or the bill knows nothing of it then, the commit was lost;
an answer that found no place would be paid for twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.table.accounts import ensure_account, lock_account
from airflow_midjourney.describe.table.claims import intent_values, submission_values
from airflow_midjourney.describe.table.transitions import SubmissionMove
from airflow_midjourney.describe.table.updates import move_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.table.claims import Claim
    from airflow_midjourney.describe.table.database import Transaction

#: What stands in the bill for the number of a row that the database has lost, too.
NO_ROW: Final = 0

#: Outcomes that an answer to the POST is news to, although its row has let go of the submission.
_UNANSWERED: Final = (Outcome.SENT, Outcome.NEVER_SENT, Outcome.BROKEN_OFF)


@dataclass(frozen=True, slots=True)
class Sent:
    """A claim whose POST was sent and has come to something.

    :param seconds_ago: since it was claimed, by the worker's own clock.
    """

    claim: Claim
    seconds_ago: float


def write_again(tx: Transaction, sent: Sequence[Sent], account: AccountSettings) -> dict[str, datetime]:
    """Write intents again that the bill, or the row of their image, does not know any more.

    A row that another worker has claimed meanwhile stays as it is: the answer is in the bill then, and a poll fetches
    the prompts if that worker's submission comes to nothing.

    :return: by token, when each was claimed.
    """
    submissions, images = tx.tables.submissions, tx.tables.images
    found = tx.connection.execute(
        select(submissions.c.submit_token, submissions.c.claimed_at, submissions.c.outcome, images.c.id)
        .join_from(submissions, images, images.c.submit_token == submissions.c.submit_token, isouter=True)
        .where(submissions.c.submit_token.in_([one.claim.submit_token for one in sent]))
    ).all()
    moments = {row.submit_token: row.claimed_at for row in found}
    let_go = {row.submit_token for row in found if row.id is None and row.outcome in _UNANSWERED}
    for one in sent:
        token = one.claim.submit_token
        if token not in moments:
            moments[token] = tx.now - timedelta(seconds=one.seconds_ago)
            _enter(tx, one.claim, account, moments[token])
        elif token in let_go:
            _claim_again(tx, one.claim, account, _row_of(tx, one.claim))
    return moments


def _enter(tx: Transaction, claim: Claim, account: AccountSettings, claimed_at: datetime) -> None:
    ensure_account(tx, account)
    image_id = _row_of(tx, claim)
    values = submission_values(tx, claim, account) | {"image_id": image_id, "claimed_at": claimed_at}
    tx.connection.execute(tx.tables.submissions.insert().values(**values))
    _claim_again(tx, claim, account, image_id)


def _row_of(tx: Transaction, claim: Claim) -> int:
    """Find the image's row, which a listing may have made anew under another number."""
    images = tx.tables.images.c
    query = select(images.id).where(
        images.image_uri == claim.image.image_uri,
        images.image_version == claim.image.etag,
        images.bot_type == claim.batch.scope.bot_type,
    )
    image_id: int | None = tx.connection.execute(query).scalar()
    return NO_ROW if image_id is None else image_id


def _claim_again(tx: Transaction, claim: Claim, account: AccountSettings, image_id: int) -> None:
    """Keep a row from being sent again that waits as if it had never been claimed."""
    state = lock_account(tx, account.identity)
    images = tx.tables.images
    facts = intent_values(tx, claim, account, state) | {"attempts": images.c.attempts + 1}
    try:
        with tx.connection.begin_nested():
            move_rows(tx, SubmissionMove.CLAIM_AGAIN, images.c.id == image_id, **facts)
    except IntegrityError:
        # A twin is on the way by now, and both will share that answer.
        return
