"""What a person decides about doubtful rows: release, fail or adopt. Written with who decided."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import and_, or_, select

from airflow_midjourney.describe.model.errors import SettingsError
from airflow_midjourney.describe.model.events import Event, EventKind
from airflow_midjourney.describe.model.status import OPEN, Reason, Status
from airflow_midjourney.describe.table import submissions
from airflow_midjourney.describe.table.batches import scope_keys
from airflow_midjourney.describe.table.duplicates import resolve_shared
from airflow_midjourney.describe.table.schema import has_status
from airflow_midjourney.describe.table.submissions import PostFacts, Taken
from airflow_midjourney.describe.table.transitions import OrderMove
from airflow_midjourney.describe.table.updates import move_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_midjourney.describe.model.batch import Scope
    from airflow_midjourney.describe.table.database import Transaction


class Action(StrEnum):
    """What may be decided about a doubtful row."""

    LIST = "list"
    RELEASE = "release"
    FAIL = "fail"
    ADOPT = "adopt"


@dataclass(frozen=True, slots=True)
class DoubtfulRow:
    """A doubtful row, for the person who decides.

    :param twins: images of the scope with the same bytes that wait for it.
    """

    id: int
    image_uri: str
    account: str
    submit_token: str
    detail: str | None
    twins: int = 0


def doubtful_rows(tx: Transaction, scope: Scope) -> list[DoubtfulRow]:
    """Give the doubtful rows that decide about images of a scope: its own, and the rows that its twins wait for."""
    images = tx.tables.images.c
    twins = _twins(tx, scope)
    in_scope = and_(images.bucket == scope.bucket, images.bot_type == scope.bot_type, scope_keys(tx.tables, scope))
    rows = tx.connection.execute(
        select(images.id, images.image_uri, images.account, images.submit_token, images.detail)
        .where(
            has_status(tx.tables.images, Status.IN_DOUBT),
            images.shares_id.is_(None),
            or_(in_scope, images.id.in_(list(twins))),
        )
        .order_by(images.id)
    )
    return [DoubtfulRow(*row, twins=twins[row.id]) for row in rows]


def _twins(tx: Transaction, scope: Scope) -> Counter[int]:
    """Count the images of a scope that wait for another row, by that row: any DAG may have listed it."""
    images = tx.tables.images.c
    waiting = or_(has_status(tx.tables.images, *OPEN), has_status(tx.tables.images, Status.IN_DOUBT))
    return Counter(
        tx.connection.execute(
            select(images.shares_id).where(
                waiting,
                images.shares_id.is_not(None),
                images.bucket == scope.bucket,
                images.bot_type == scope.bot_type,
                scope_keys(tx.tables, scope),
            )
        ).scalars()
    )


def release(tx: Transaction, row: DoubtfulRow, decided_by: str) -> bool:
    """Send an image again. If the first submission was taken after all, it is paid for twice."""
    held = {"submit_token": row.submit_token}
    return move_rows(tx, OrderMove.RESOLVE_BY_SENDING, held=held, detail=f"Released by {decided_by}.") == 1


def fail(tx: Transaction, row: DoubtfulRow, decided_by: str) -> bool:
    """Give an image up. It counts as lost."""
    detail = f"Given up by {decided_by}: its submission had no answer."
    held = {"submit_token": row.submit_token}
    failed = move_rows(tx, OrderMove.RESOLVE_AS_LOST, held=held, reason=Reason.LOST.value, detail=detail) == 1
    if failed:
        tx.events.append(Event(EventKind.FAILED, reason=Reason.LOST))
    return failed


def adopt(tx: Transaction, rows: Sequence[DoubtfulRow], task_id: str, decided_by: str) -> bool:
    """Take a task of the service for the submission of the one doubtful row; its answer is fetched like any other.

    :raises SettingsError: if it is not exactly one row.
    """
    if len(rows) != 1:
        raise SettingsError(f"adopt takes one image, but {len(rows)} doubtful ones match. Name its key.")
    facts = PostFacts(detail=f"adopted by {decided_by}")
    return submissions.accepted(tx, [Taken(rows[0].submit_token, task_id, facts)])[0]


def settle_twins(tx: Transaction) -> int:
    """Let the rows that wait for a decided one follow it."""
    return resolve_shared(tx)
