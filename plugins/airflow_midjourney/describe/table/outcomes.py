"""Writing what a POST came to, and what became of a remote task: conditional, and safe to repeat."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, and_, case, func, or_, select
from sqlalchemy.exc import IntegrityError

from airflow_midjourney.describe.observing import Event, EventKind
from airflow_midjourney.describe.prompts import PARSER_VERSION, ParsedPrompts
from airflow_midjourney.describe.status import CURABLE, IN_FLIGHT, Reason, Status
from airflow_midjourney.describe.table.schema import PROMPT_COLUMNS, has_status
from airflow_midjourney.describe.table.tallies import before_a_change

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_midjourney.describe.table.database import Transaction

#: Seconds before an image is sent again after a curable failure, per attempt so far.
RETRY_PAUSE: Final = 15.0

#: Seconds before an image is sent again that the service turned away for a reason that is not known to be its own.
PAUSE_AFTER_NO: Final = 5.0

#: An image that is turned away this often in a day, while others are taken, is the reason itself.
MOST_TURNED_AWAY: Final = 5

#: A worker that died before it sent an image says nothing about the image.
_PERHAPS_THE_IMAGE: Final = ("unavailable", "broken_off")


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


@dataclass(frozen=True, slots=True)
class PostFacts:
    """What is kept of the answer to a POST, for the bill."""

    http_status: int | None = None
    code: int | str | None = None
    detail: str = ""


def latest_claim(tx: Transaction, submit_tokens: Sequence[str]) -> datetime:
    """Give when the last of some submissions was claimed, just before it was sent."""
    submissions = tx.tables.submissions.c
    query = select(func.max(submissions.claimed_at)).where(submissions.submit_token.in_(submit_tokens))
    moment: datetime = tx.connection.execute(query).scalar_one()
    return moment


def accepted(tx: Transaction, submit_token: str, task_id: str, facts: PostFacts) -> bool:
    """Record that the service took the image. Finds its submission even if somebody else took over the row.

    :return: False if the row has moved on meanwhile.
    """
    billed = _note_post(tx, submit_token, "accepted", facts, task_id=task_id)
    price = _submission(tx, submit_token)
    if billed:
        tx.events.append(Event(EventKind.BILLED, cost=price.price, currency=price.currency))
    values = submitted_columns(tx) | {"task_id": task_id, "price": price.price, "currency": price.currency}
    moved = _move(tx, _is_mine(tx, submit_token, Status.SUBMITTING, Status.IN_DOUBT), **values) or (
        price.settled_at is None and _take_back(tx, submit_token, values)
    )
    if moved:
        tx.events.append(Event(EventKind.SUBMITTED))
    return moved


def submitted_columns(tx: Transaction) -> dict[str, Any]:
    """Give what the row of every image holds that the service has taken."""
    return {
        "status": Status.SUBMITTED.value,
        "detail": None,
        "submitted_at": tx.now,
        "in_doubt_after": None,
        "doubt_checked_at": None,
        "ended_at": None,
    }


def _take_back(tx: Transaction, submit_token: str, values: dict[str, Any]) -> bool:
    """Keep a row from being sent again that was released while its submission had no answer."""
    free: dict[str, Any] = dict.fromkeys(("reserved_by", "reserved_until", "not_before", "shares_id"))
    try:
        with tx.connection.begin_nested():
            return _move(tx, _is_mine(tx, submit_token, Status.PENDING), **values, **free, reservations=0)
    except IntegrityError:
        # Its twin is on the way by now, and both will share that answer.
        return False


def not_taken(tx: Transaction, submit_token: str, outcome: str, facts: PostFacts) -> bool:
    """Record that the service surely did not take the image: it is pending again, the attempt is not counted.

    :param outcome: ``full``, ``unavailable``, ``denied``, ``broken_off`` (a POST without an answer that the service
        does not know of) or ``never_sent`` (the worker died first).
    """
    _note_post(tx, submit_token, outcome, facts)
    attempts = tx.tables.images.c.attempts
    not_before = None
    if outcome in _PERHAPS_THE_IMAGE:
        if _is_the_image(tx, submit_token):
            return _give_up(tx, submit_token, facts)
        # Another image is tried next: if this one is the cause, it must not hold up all that come after it.
        not_before = tx.now + timedelta(seconds=PAUSE_AFTER_NO)
    return _move(
        tx,
        _is_mine(tx, submit_token, Status.SUBMITTING, Status.IN_DOUBT),
        not_before=not_before,
        status=Status.PENDING.value,
        detail=None,
        submit_token=None,
        task_id=None,
        attempts=attempts - 1,
        in_doubt_after=None,
        doubt_checked_at=None,
        ended_at=None,
    )


def _is_the_image(tx: Transaction, submit_token: str) -> bool:
    """Say whether an image was turned away so often that it is the reason: the service took others meanwhile.

    Others that were sent side by side with it count if the service said yes to them when it had said no to this one:
    where few images are left, no others come later.
    """
    submissions = tx.tables.submissions
    turned_away, other = submissions.alias("turned_away"), submissions.alias("other")
    this_one = select(submissions.c.image_id).where(submissions.c.submit_token == submit_token).scalar_subquery()
    others_taken = select(other.c.id).where(
        other.c.account == turned_away.c.account,
        other.c.image_id != turned_away.c.image_id,
        other.c.outcome == "accepted",
        or_(
            other.c.claimed_at > turned_away.c.claimed_at,
            and_(
                other.c.claimed_at == turned_away.c.claimed_at,
                other.c.answered_at >= turned_away.c.answered_at,
            ),
        ),
    )
    passed_over = func.sum(case((others_taken.exists(), 1), else_=0))
    query = select(func.count(), passed_over).where(
        turned_away.c.image_id == this_one,
        turned_away.c.outcome.in_(_PERHAPS_THE_IMAGE),
        turned_away.c.claimed_at > tx.now - timedelta(days=1),
    )
    times, while_others_were_taken = tx.connection.execute(query).one()
    return times >= MOST_TURNED_AWAY and bool(while_others_were_taken)


def _give_up(tx: Transaction, submit_token: str, facts: PostFacts) -> bool:
    """Close a row whose image the service turns away again and again while it takes others. Nothing was paid."""
    _note_result(tx, submit_token, Status.FAILED, Reason.SERVICE_ERROR)
    return _fail(
        tx,
        submit_token,
        Reason.SERVICE_ERROR,
        f"The service takes other images and turns this one away again and again: {facts.detail}",
    )


def refused(tx: Transaction, submit_token: str, reason: Reason, facts: PostFacts) -> bool:
    """Record that the service does not want this image. Nothing was paid."""
    _note_post(tx, submit_token, "refused", facts, result=Status.FAILED, reason=reason)
    return _fail(tx, submit_token, reason, facts.detail)


def _fail(tx: Transaction, submit_token: str, reason: Reason, detail: str) -> bool:
    moved = _move(
        tx,
        _is_mine(tx, submit_token, Status.SUBMITTING, Status.IN_DOUBT),
        status=Status.FAILED.value,
        reason=reason.value,
        detail=detail,
        in_doubt_after=None,
        ended_at=tx.now,
    )
    if moved:
        tx.events.append(Event(EventKind.FAILED, reason=reason))
    return moved


def ambiguous(tx: Transaction, submit_token: str, facts: PostFacts) -> None:
    """Record that the image may have been taken. Its row becomes doubtful when the time for an answer is over."""
    _note_post(tx, submit_token, "ambiguous", facts)


def doubt_overdue(tx: Transaction) -> int:
    """Turn claims without an answer into doubtful rows, of any account, once no answer can come any more.

    :return: how many.
    """
    images = tx.tables.images
    result = tx.connection.execute(
        images.update()
        .where(
            has_status(images, *IN_FLIGHT),
            images.c.status == Status.SUBMITTING,
            images.c.in_doubt_after < tx.now,
        )
        .values(
            status=Status.IN_DOUBT.value,
            detail="The submission had no answer in time: it may have been taken and billed.",
            ended_at=tx.now,
            updated_at=tx.now,
        )
    )
    if result.rowcount:
        tx.events.append(Event(EventKind.IN_DOUBT, rows=result.rowcount))
    return result.rowcount


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


def described(tx: Transaction, row: InFlight, prompts: ParsedPrompts, raw: str, times: RemoteTimes) -> bool:
    """Write the prompts. Final."""
    _note_result(tx, row.submit_token, Status.SUCCEEDED, None)
    moved = _move(
        tx,
        _is_mine(tx, row.submit_token, Status.SUBMITTED),
        **answer_columns(prompts, raw, times),
        missing_since=None,
        ended_at=tx.now,
    )
    if moved:
        tx.events.append(Event(EventKind.SUCCEEDED, waited=(tx.now - row.submitted_at).total_seconds()))
    return moved


def answer_columns(prompts: ParsedPrompts, raw: str, times: RemoteTimes) -> dict[str, Any]:
    """Give what a row holds when its prompts are here."""
    texts = dict(zip(PROMPT_COLUMNS, (*prompts.prompts, None, None, None, None), strict=False))
    return {
        "status": Status.SUCCEEDED.value,
        "reason": None,
        "detail": None,
        **texts,
        "prompt_count": len(prompts.prompts),
        "prompt_raw": raw,
        "aspect_ratio": prompts.aspect_ratio,
        "parser_version": PARSER_VERSION,
        **_known(times),
    }


def ended(tx: Transaction, row: InFlight, reason: Reason, detail: str, times: RemoteTimes, raw: str) -> Status | None:
    """Write that the describe came to nothing: pending again while the failure is curable and attempts are left.

    :return: the row's new status; None if it has moved on meanwhile.
    """
    images = tx.tables.images
    mine = _is_mine(tx, row.submit_token, Status.SUBMITTED)
    now = tx.connection.execute(select(images.c.attempts, images.c.max_attempts).where(mine).with_for_update()).first()
    if now is None:
        return None
    again = reason in CURABLE and now.attempts < now.max_attempts
    _note_result(tx, row.submit_token, Status.FAILED, reason)
    values: dict[str, Any] = {"reason": reason.value, "detail": detail, "missing_since": None}
    if raw:
        # Beside old prompts their own raw answer stays: it was paid for, and can be parsed again.
        values["prompt_raw"] = case((images.c.prompt_count.is_(None), raw), else_=images.c.prompt_raw)
    if again:
        values |= {
            "status": Status.PENDING.value,
            "not_before": tx.now + timedelta(seconds=RETRY_PAUSE * now.attempts),
        }
    else:
        values |= {"status": Status.FAILED.value, "ended_at": tx.now, **_known(times)}
    _move(tx, mine, **values)
    if not again:
        waited = (tx.now - row.submitted_at).total_seconds()
        tx.events.append(Event(EventKind.FAILED, reason=reason, waited=waited))
    return Status(values["status"])


def started(tx: Transaction, row: InFlight, times: RemoteTimes) -> None:
    """Keep when the service began, and that it knows the task."""
    _move(tx, _is_mine(tx, row.submit_token, Status.SUBMITTED), missing_since=None, **_known(times))


def missed(tx: Transaction, row: InFlight, silence: float) -> None:
    """Keep since when the service has not known the task.

    :param silence: seconds in all in which nobody had heard from the service by then.
    """
    images = tx.tables.images
    _move(
        tx,
        and_(_is_mine(tx, row.submit_token, Status.SUBMITTED), images.c.missing_since.is_(None)),
        missing_since=tx.now,
        silence_before_missing=silence,
    )


def _known(times: RemoteTimes) -> dict[str, datetime]:
    facts = {"started_at": times.started_at, "finished_at": times.finished_at}
    return {name: moment for name, moment in facts.items() if moment is not None}


def _is_mine(tx: Transaction, submit_token: str, *statuses: Status) -> ColumnElement[bool]:
    images = tx.tables.images.c
    return and_(images.submit_token == submit_token, images.status.in_(statuses))


def _move(tx: Transaction, condition: ColumnElement[bool], **values: Any) -> bool:
    images = tx.tables.images
    result = tx.connection.execute(images.update().where(condition).values(updated_at=tx.now, **values))
    return result.rowcount == 1


def _submission(tx: Transaction, submit_token: str) -> Any:
    submissions = tx.tables.submissions
    return tx.connection.execute(
        select(submissions.c.price, submissions.c.currency, submissions.c.settled_at).where(
            submissions.c.submit_token == submit_token
        )
    ).one()


def _note_post(
    tx: Transaction,
    submit_token: str,
    outcome: str,
    facts: PostFacts,
    *,
    task_id: str | None = None,
    result: Status | None = None,
    reason: Reason | None = None,
) -> bool:
    """Complete a row of the bill. What is known for sure is never overwritten by what is less sure, nor twice.

    :return: True if this was news.
    """
    before_a_change(tx, submit_token)
    submissions = tx.tables.submissions
    noted = tx.connection.execute(
        submissions.update()
        .where(submissions.c.submit_token == submit_token, _gives_way(submissions.c.outcome, outcome))
        .values(
            outcome=outcome,
            task_id=task_id,
            http_status=facts.http_status,
            code=None if facts.code is None else str(facts.code),
            detail=facts.detail or None,
            result=result.value if result else None,
            reason=reason.value if reason else None,
            answered_at=tx.now,
            settled_at=tx.now if result else None,
        )
    )
    return noted.rowcount == 1


def _gives_way(known: ColumnElement[str], outcome: str) -> ColumnElement[bool]:
    """Give the condition that an outcome is news: a late answer may meet one that somebody has found out already."""
    if outcome == "accepted":
        return known != "accepted"
    return known == "sent" if outcome == "ambiguous" else known.in_(("sent", "ambiguous"))


def _note_result(tx: Transaction, submit_token: str, result: Status, reason: Reason | None) -> None:
    submissions = tx.tables.submissions
    tx.connection.execute(
        submissions.update()
        .where(submissions.c.submit_token == submit_token, submissions.c.settled_at.is_(None))
        .values(result=result.value, reason=reason.value if reason else None, settled_at=tx.now)
    )
