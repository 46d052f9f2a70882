"""Results: what became of tasks that the service had accepted, written to their rows and to the bill."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, case, select

from airflow_midjourney.describe.model.events import Event, EventKind
from airflow_midjourney.describe.model.status import CURABLE, IN_FLIGHT, Reason, Status
from airflow_midjourney.describe.model.text import storable
from airflow_midjourney.describe.service.prompts import PARSER_VERSION, ParsedPrompts
from airflow_midjourney.describe.table.schema import PROMPT_COLUMNS, has_status
from airflow_midjourney.describe.table.submissions import note_result
from airflow_midjourney.describe.table.transitions import Move, ResultMove
from airflow_midjourney.describe.table.updates import RowFacts, move_each, move_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_midjourney.describe.service.prompts import ParsedPrompts
    from airflow_midjourney.describe.table.database import Transaction


#: Seconds before an image is sent again after a curable failure, per attempt so far.
RETRY_PAUSE: Final = 15.0


@dataclass(frozen=True, slots=True)
class TaskAnswer:
    """What the service said of a row that it has described."""

    row: InFlight
    prompts: ParsedPrompts
    raw: str
    times: RemoteTimes


def described(tx: Transaction, answers: Sequence[TaskAnswer]) -> list[bool]:
    """Write the prompts. Final.

    :return: for each answer, in their order, whether its row was still waiting for it.
    """
    images, submissions = tx.tables.images, tx.tables.submissions
    tokens = [answer.row.submit_token for answer in answers]
    tx.connection.execute(
        submissions.update()
        .where(submissions.c.submit_token.in_(tokens), submissions.c.settled_at.is_(None))
        .values(result=Status.SUCCEEDED.value, settled_at=tx.now)
    )
    waiting = set(
        tx.connection.execute(
            select(images.c.submit_token)
            .where(images.c.submit_token.in_(tokens), ResultMove.DESCRIBE.guard(tx))
            .order_by(images.c.id)
            .with_for_update()
        ).scalars()
    )
    moved = [answer for answer in answers if answer.row.submit_token in waiting]
    _write_answers(tx, moved)
    for answer in moved:
        waited = (tx.now - answer.row.submitted_at).total_seconds()
        tx.events.append(Event(EventKind.SUCCEEDED, waited=waited))
    return [answer.row.submit_token in waiting for answer in answers]


def _write_answers(tx: Transaction, answers: Sequence[TaskAnswer]) -> None:
    write_prompts(
        tx,
        ResultMove.DESCRIBE,
        [
            Prompted(one.row.id, one.prompts, one.raw, one.times, held={"submit_token": one.row.submit_token})
            for one in answers
        ],
    )


@dataclass(frozen=True, slots=True)
class InFlight:
    """A row that the service has, as far as asking about it needs."""

    id: int
    task_id: str
    submit_token: str
    image_uri: str
    submitted_at: datetime
    started_at: datetime | None
    missing_since: datetime | None
    silence_before: float
    silence_before_missing: float


@dataclass(frozen=True, slots=True)
class RemoteTimes:
    """When the service started and finished a task, by its own clock."""

    started_at: datetime | None = None
    finished_at: datetime | None = None


def in_flight(tx: Transaction, account: str) -> list[InFlight]:
    """Give every row of the account that the service should know, oldest first."""
    images = tx.tables.images
    columns = images.c
    rows = tx.connection.execute(
        select(
            columns.id,
            columns.task_id,
            columns.submit_token,
            columns.image_uri,
            columns.submitted_at,
            columns.started_at,
            columns.missing_since,
            columns.silence_before,
            columns.silence_before_missing,
        )
        .where(columns.account == account, has_status(images, *IN_FLIGHT), columns.status == Status.SUBMITTED)
        .order_by(columns.id)
    )
    return [InFlight(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class Prompted:
    """The prompts of one row.

    :param held: what the writer holds of the columns that the move compares.
    :param facts: further columns that the move takes.
    """

    image_id: int
    prompts: ParsedPrompts
    raw: str
    times: RemoteTimes = field(default_factory=RemoteTimes)
    held: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


def write_prompts(tx: Transaction, move: Move, rows: Sequence[Prompted]) -> None:
    """Write prompts by a move that takes them. The writer has locked the rows, and knows that they can make it."""
    move_each(tx, move, [RowFacts(row.image_id, _facts(row), row.held) for row in rows])


def digest_of_prompts(prompts: Sequence[str | None], aspect_ratio: str | None) -> str:
    """Give what tells prompts as a parser made them from prompts that a person has corrected since.

    :param prompts: the four columns, as they are or will be stored.
    """
    parts = [storable(text or "") for text in (*prompts, aspect_ratio)]
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()


def _facts(row: Prompted) -> dict[str, Any]:
    prompts = row.prompts
    texts = dict(zip(PROMPT_COLUMNS, (*prompts.prompts, None, None, None, None), strict=False))
    return {
        **texts,
        "prompt_count": len(prompts.prompts),
        "prompt_raw": row.raw,
        "aspect_ratio": prompts.aspect_ratio,
        "parser_version": PARSER_VERSION,
        "prompts_sha256": digest_of_prompts([texts[name] for name in PROMPT_COLUMNS], prompts.aspect_ratio),
        **_known(row.times),
        **row.facts,
    }


def ended(tx: Transaction, row: InFlight, reason: Reason, detail: str, times: RemoteTimes, raw: str) -> Status | None:
    """Write that the describe came to nothing: pending again while the failure is curable and attempts are left.

    :return: the row's new status; None if it has moved on meanwhile.
    """
    images = tx.tables.images
    held = {"submit_token": row.submit_token}
    mine = and_(images.c.submit_token == row.submit_token, ResultMove.FAIL.guard(tx))
    now = tx.connection.execute(select(images.c.attempts, images.c.max_attempts).where(mine).with_for_update()).first()
    if now is None:
        return None
    again = reason in CURABLE and now.attempts < now.max_attempts
    note_result(tx, row.submit_token, Status.FAILED, reason)
    facts: dict[str, Any] = {"reason": reason.value, "detail": detail}
    if raw:
        # Beside old prompts their own raw answer stays: it was paid for, and can be parsed again.
        facts["prompt_raw"] = case((images.c.prompt_count.is_(None), raw), else_=images.c.prompt_raw)
    if again:
        not_before = tx.now + timedelta(seconds=RETRY_PAUSE * now.attempts)
        move_rows(tx, ResultMove.TRY_AGAIN, held=held, not_before=not_before, **facts)
        return Status.PENDING
    move_rows(tx, ResultMove.FAIL, held=held, **facts, **_known(times))
    waited = (tx.now - row.submitted_at).total_seconds()
    tx.events.append(Event(EventKind.FAILED, reason=reason, waited=waited))
    return Status.FAILED


def started(tx: Transaction, row: InFlight, times: RemoteTimes) -> None:
    """Keep when the service began, and that it knows the task."""
    move_rows(tx, ResultMove.SEE_TASK, held={"submit_token": row.submit_token}, **_known(times))


def missed(tx: Transaction, row: InFlight, silence: float) -> None:
    """Keep since when the service has not known the task.

    :param silence: seconds in all in which the service had answered no process by then.
    """
    first_time = tx.tables.images.c.missing_since.is_(None)
    held = {"submit_token": row.submit_token}
    move_rows(tx, ResultMove.MISS_TASK, first_time, held=held, silence_before_missing=silence)


def _known(times: RemoteTimes) -> dict[str, datetime]:
    facts = {"started_at": times.started_at, "finished_at": times.finished_at}
    return {name: moment for name, moment in facts.items() if moment is not None}
