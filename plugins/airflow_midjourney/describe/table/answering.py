"""Writing the prompts of many images in one transaction: each as :func:`~.outcomes.described` alone."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select

from airflow_midjourney.describe.observing import Event, EventKind
from airflow_midjourney.describe.status import Status
from airflow_midjourney.describe.table.outcomes import InFlight, RemoteTimes, answer_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_midjourney.describe.prompts import ParsedPrompts
    from airflow_midjourney.describe.table.database import Transaction


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service said of a row that it has described."""

    row: InFlight
    prompts: ParsedPrompts
    raw: str
    times: RemoteTimes


def described_together(tx: Transaction, answers: Sequence[Answer]) -> int:
    """Write the prompts. Final.

    :return: how many rows were still waiting for theirs.
    """
    images, submissions = tx.tables.images, tx.tables.submissions
    tokens = [answer.row.submit_token for answer in answers]
    tx.connection.execute(
        submissions.update()
        .where(submissions.c.submit_token.in_(tokens), submissions.c.settled_at.is_(None))
        .values(result=Status.SUCCEEDED.value, reason=None, settled_at=tx.now)
    )
    waiting = set(
        tx.connection.execute(
            select(images.c.submit_token)
            .where(images.c.submit_token.in_(tokens), images.c.status == Status.SUBMITTED)
            .order_by(images.c.id)
            .with_for_update()
        ).scalars()
    )
    moved = [answer for answer in answers if answer.row.submit_token in waiting]
    _write(tx, moved)
    for answer in moved:
        waited = (tx.now - answer.row.submitted_at).total_seconds()
        tx.events.append(Event(EventKind.SUCCEEDED, waited=waited))
    return len(moved)


def _write(tx: Transaction, answers: Sequence[Answer]) -> None:
    images = tx.tables.images
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for answer in answers:
        columns = answer_columns(answer.prompts, answer.raw, answer.times)
        values = {f"new_{name}": value for name, value in columns.items()}
        alike[tuple(columns)].append({"token": answer.row.submit_token, **values})
    for names, rows in alike.items():
        tx.connection.execute(
            images.update()
            .where(images.c.submit_token == bindparam("token"))
            .values(
                {name: bindparam(f"new_{name}") for name in names}
                | {"missing_since": None, "ended_at": tx.now, "updated_at": tx.now}
            ),
            rows,
        )
