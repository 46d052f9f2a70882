"""What a person decides about doubtful rows: release, fail or adopt. Written with who decided."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import select

from airflow_midjourney.describe.model.errors import SettingsError
from airflow_midjourney.describe.model.events import Event, EventKind
from airflow_midjourney.describe.model.status import Reason, Status
from airflow_midjourney.describe.table import submissions
from airflow_midjourney.describe.table.batches import scope_keys
from airflow_midjourney.describe.table.duplicates import resolve_shared
from airflow_midjourney.describe.table.schema import has_status
from airflow_midjourney.describe.table.submissions import PostFacts, Taken
from airflow_midjourney.describe.table.transitions import Move, move_rows

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
    """A doubtful row, for the person who decides."""

    id: int
    image_uri: str
    account: str
    submit_token: str
    detail: str | None


def doubtful_rows(tx: Transaction, scope: Scope) -> list[DoubtfulRow]:
    """Give the doubtful rows of a scope that stand for themselves; twins follow the row they wait for."""
    images = tx.tables.images.c
    rows = tx.connection.execute(
        select(images.id, images.image_uri, images.account, images.submit_token, images.detail)
        .where(
            has_status(tx.tables.images, Status.IN_DOUBT),
            images.bucket == scope.bucket,
            images.bot_type == scope.bot_type,
            scope_keys(tx.tables, scope),
            images.shares_id.is_(None),
        )
        .order_by(images.id)
    )
    return [DoubtfulRow(*row) for row in rows]


def release(tx: Transaction, row: DoubtfulRow, decided_by: str) -> bool:
    """Send an image again. If the first submission was taken after all, it is paid for twice."""
    held = {"submit_token": row.submit_token}
    return move_rows(tx, Move.RESOLVE_BY_SENDING, held=held, detail=f"Released by {decided_by}.") == 1


def fail(tx: Transaction, row: DoubtfulRow, decided_by: str) -> bool:
    """Give an image up. It counts as lost."""
    detail = f"Given up by {decided_by}: its submission had no answer."
    held = {"submit_token": row.submit_token}
    failed = move_rows(tx, Move.RESOLVE_AS_LOST, held=held, reason=Reason.LOST.value, detail=detail) == 1
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
