"""Recording many accepted POSTs in one transaction: each as :func:`~.outcomes.accepted` alone, with few statements."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import case, select

from airflow_midjourney.describe.observing import Event, EventKind
from airflow_midjourney.describe.status import Status
from airflow_midjourney.describe.table.outcomes import PostFacts, accepted, submitted_columns
from airflow_midjourney.describe.table.tallies import will_not_be_covered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement

    from airflow_midjourney.describe.table.database import Transaction


@dataclass(frozen=True, slots=True)
class Taken:
    """A POST that the service accepted, as its answer said."""

    submit_token: str
    task_id: str
    facts: PostFacts


def accepted_together(tx: Transaction, posts: Sequence[Taken]) -> None:
    """Record that the service took these images. What is not as it was left when they were claimed is done singly."""
    alike: dict[PostFacts, list[Taken]] = defaultdict(list)
    for post in posts:
        alike[post.facts].append(post)
    recorded = set()
    for facts, some in alike.items():
        recorded |= _move(tx, some, _note(tx, some, facts))
    for post in posts:
        if post.submit_token not in recorded:
            accepted(tx, post.submit_token, post.task_id, post.facts)


def _note(tx: Transaction, posts: Sequence[Taken], facts: PostFacts) -> set[str]:
    """Complete the rows of the bill.

    :return: the tokens of those that this was news for.
    """
    submissions = tx.tables.submissions
    token = submissions.c.submit_token
    noted = tx.connection.execute(
        submissions.update()
        .where(token.in_([post.submit_token for post in posts]), will_not_be_covered(tx))
        .values(
            outcome="accepted",
            task_id=_task_id(token, posts),
            http_status=facts.http_status,
            code=None if facts.code is None else str(facts.code),
            detail=facts.detail or None,
            result=None,
            reason=None,
            answered_at=tx.now,
            settled_at=None,
        )
        .returning(token, submissions.c.price, submissions.c.currency)
    ).all()
    tx.events.extend(Event(EventKind.BILLED, cost=row.price, currency=row.currency) for row in noted)
    return {row.submit_token for row in noted}


def _move(tx: Transaction, posts: Sequence[Taken], tokens: set[str]) -> set[str]:
    """Move the rows of the images.

    :return: the tokens of those that were still waiting for this answer.
    """
    images, bill = tx.tables.images, tx.tables.submissions.c
    mine = bill.submit_token == images.c.submit_token
    price = select(bill.price).where(mine).scalar_subquery()
    currency = select(bill.currency).where(mine).scalar_subquery()
    moved = (
        tx.connection.execute(
            images.update()
            .where(
                images.c.submit_token.in_(sorted(tokens)),
                images.c.status.in_((Status.SUBMITTING, Status.IN_DOUBT)),
            )
            .values(
                **submitted_columns(tx),
                task_id=_task_id(images.c.submit_token, posts),
                price=price,
                currency=currency,
                updated_at=tx.now,
            )
            .returning(images.c.submit_token)
        )
        .scalars()
        .all()
    )
    tx.events.extend(Event(EventKind.SUBMITTED) for _ in moved)
    return set(moved)


def _task_id(token: ColumnElement[str], posts: Sequence[Taken]) -> ColumnElement[str]:
    return case({post.submit_token: post.task_id for post in posts}, value=token)
