"""Marks of callbacks on rows: a mark makes the next poll come earlier, and changes nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Select, and_, select

from airflow_midjourney.describe.model.status import IN_FLIGHT, Status
from airflow_midjourney.describe.table.schema import has_status
from airflow_midjourney.describe.table.transitions import ResultMove
from airflow_midjourney.describe.table.updates import move_rows

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sqlalchemy import Table

    from airflow_midjourney.describe.table.database import Transaction


def mark_called(tx: Transaction, digests: Collection[str]) -> int:
    """Mark rows as due, and with them their accounts: one update by an index of the rows that are on their way.

    A mark is renewed by every callback: one that comes while the service is being asked counts for the next time.

    :param digests: of the values that callbacks came with; those of no row, or of one that has ended, do nothing.
    :return: how many rows were marked.
    """
    images = tx.tables.images
    return move_rows(tx, ResultMove.CALL, images.c.callback_digest.in_(digests), has_status(images, *IN_FLIGHT))


def is_to_be_looked_at(images: Table) -> ColumnElement[bool]:
    """Give the condition that a row was called and can be asked about.

    Before the answer to its submission is written it cannot; its mark waits for that.
    """
    return and_(images.c.status == Status.SUBMITTED, images.c.called_at.is_not(None))


def called_rows(images: Table, account: str) -> Select[Any]:
    """Give the query of the rows of an account that were called since they were last asked about."""
    return select(images.c.id).where(
        images.c.account == account, has_status(images, *IN_FLIGHT), is_to_be_looked_at(images)
    )


def note_asked(tx: Transaction, ids: Collection[int], asked_at: datetime) -> None:
    """Take the marks off rows that were asked about. A callback that came after that still counts.

    :param asked_at: just before the service was asked.
    """
    images = tx.tables.images
    came_before = images.c.called_at <= asked_at
    move_rows(tx, ResultMove.ANSWER_CALL, images.c.id.in_(ids), is_to_be_looked_at(images), came_before)
