"""Writing what a POST came to, and what became of a remote task: conditional, and safe to repeat."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, Row, and_, case, func, literal, not_, or_, select
from sqlalchemy.exc import IntegrityError

from airflow_midjourney.describe.model.events import Event, EventKind
from airflow_midjourney.describe.model.outcome import TAKEN, TURNED_AWAY, UNDECIDED, Outcome
from airflow_midjourney.describe.model.status import IN_FLIGHT, Reason, Status
from airflow_midjourney.describe.table.budgets import before_a_change
from airflow_midjourney.describe.table.columns import KeyText
from airflow_midjourney.describe.table.schema import has_status
from airflow_midjourney.describe.table.transitions import DoubtMove, ResultMove, SubmissionMove
from airflow_midjourney.describe.table.updates import build_update, move_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Column, ScalarSelect

    from airflow_midjourney.describe.table.database import Transaction


#: Seconds before an image is sent again that the service turned away for a reason that is not known to be its own.
PAUSE_AFTER_NO: Final = 5.0

#: Two submissions that got one task id were claimed this close to each other.
_SAME_TIME: Final = timedelta(minutes=10)

#: An image that is turned away this often in a day, while others are taken, is the reason itself.
MOST_TURNED_AWAY: Final = 5

#: So is one that was there alone, if the service itself has answered with an error, by its own words or HTTP 500, as
#: often and for so long: a run that has nothing else to send stops each time.
_ANSWERED_BY_ITSELF: Final = (200, 500)
_ALONE_FOR: Final = timedelta(minutes=30)
_ALONE_WITHIN: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class PostFacts:
    """What is kept of the answer to a POST, for the bill."""

    http_status: int | None = None
    code: int | str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    """A POST that the service accepted, as its answer said."""

    submit_token: str
    task_id: str
    facts: PostFacts


def accepted(tx: Transaction, posts: Sequence[Taken]) -> list[bool]:
    """Record that the service took these images. Finds a submission even if another worker took over its row.

    :return: for each, in their order, whether its row is submitted by this; False if it has moved on meanwhile.
    """
    alike: dict[PostFacts, list[Taken]] = defaultdict(list)
    for post in posts:
        alike[post.facts].append(post)
    moved = set()
    for facts, some in alike.items():
        moved |= _move_taken(tx, some, _note_taken(tx, some, facts))
    return [post.submit_token in moved or _accept_one(tx, post) for post in posts]


def _accept_one(tx: Transaction, post: Taken) -> bool:
    """Record it for a submission that is not as its claim left it: answered already, counted, or with a row that moved.

    :return: False if the row has moved on meanwhile.
    """
    submit_token = post.submit_token
    billed = _note_post(tx, submit_token, Outcome.ACCEPTED, post.facts, task_id=post.task_id)
    sent = _submission(tx, submit_token)
    if billed:
        tx.events.append(Event(EventKind.BILLED, cost=sent.price, currency=sent.currency))
    facts = {"task_id": post.task_id, "price": sent.price, "currency": sent.currency}
    moved = move_rows(tx, SubmissionMove.ACCEPT, held={"submit_token": submit_token}, **facts) == 1 or (
        sent.settled_at is None and _take_back(tx, submit_token, sent, facts)
    )
    if moved:
        tx.events.append(Event(EventKind.SUBMITTED))
    return moved


def _take_back(tx: Transaction, submit_token: str, sent: Row[Any], facts: dict[str, Any]) -> bool:
    """Keep a row from being sent again whose submission was taken: it was released, or that seemed never sent."""
    images = tx.tables.images.c
    has_let_go = images.submit_token.is_(None)
    waits_again = or_(images.submit_token == submit_token, and_(images.id == sent.image_id, has_let_go))
    # A submission that was surely not taken gave its attempt back.
    attempts = images.attempts + case((has_let_go, 1), else_=0)
    whose = {"submit_token": submit_token, "account": sent.account, "attempts": attempts}
    try:
        with tx.connection.begin_nested():
            return move_rows(tx, SubmissionMove.TAKE_BACK, waits_again, **facts, **whose) == 1
    except IntegrityError:
        # Its twin is on the way by now, and both will share that answer.
        return False


def not_taken(tx: Transaction, submit_token: str, outcome: Outcome, facts: PostFacts) -> bool:
    """Record that the service surely did not take the image: it is pending again, the attempt is not counted.

    :param outcome: one that costs nothing.
    """
    news = _note_post(tx, submit_token, outcome, facts)
    not_before = None
    if news and outcome in TURNED_AWAY:
        if _is_the_image(tx, submit_token):
            reason = Reason.REFUSED if outcome is Outcome.DENIED else Reason.SERVICE_ERROR
            return _give_up(tx, submit_token, reason, facts)
        # Another image is tried next: if this one is the cause, it must not hold up all that come after it.
        not_before = tx.now + timedelta(seconds=PAUSE_AFTER_NO)
    attempts = tx.tables.images.c.attempts - 1
    held = {"submit_token": submit_token}
    return move_rows(tx, SubmissionMove.GIVE_BACK, held=held, attempts=attempts, not_before=not_before) == 1


def _is_the_image(tx: Transaction, submit_token: str) -> bool:
    """Say whether an image was turned away so often that it is the reason, and not the service."""
    return _others_were_taken(tx, submit_token) or _is_turned_away_alone(tx, submit_token)


def _is_turned_away_alone(tx: Transaction, submit_token: str) -> bool:
    """Say whether the service itself has answered so with an error for long, and no other image was there to try.

    A service that is away, or a gateway without one behind it, answers otherwise or not at all.
    """
    submissions = tx.tables.submissions
    this_one = submissions.c.image_id == _image_of(tx, submit_token)
    times, first, last = tx.connection.execute(
        select(func.count(), func.min(submissions.c.claimed_at), func.max(submissions.c.claimed_at)).where(
            this_one,
            submissions.c.outcome.in_(TURNED_AWAY),
            submissions.c.http_status.in_(_ANSWERED_BY_ITSELF),
            submissions.c.claimed_at > tx.now - _ALONE_WITHIN,
        )
    ).one()
    if times < MOST_TURNED_AWAY or last - first < _ALONE_FOR:
        return False
    account = select(submissions.c.account).where(submissions.c.submit_token == submit_token).scalar_subquery()
    others = select(submissions.c.id).where(
        submissions.c.account == account,
        submissions.c.claimed_at >= first,
        not_(this_one),
        submissions.c.outcome.not_in(TAKEN),
    )
    return tx.connection.execute(others.limit(1)).first() is None


def _image_of(tx: Transaction, submit_token: str) -> ScalarSelect[int]:
    submissions = tx.tables.submissions.c
    return select(submissions.image_id).where(submissions.submit_token == submit_token).scalar_subquery()


def _others_were_taken(tx: Transaction, submit_token: str) -> bool:
    """Say whether the service has turned this image away often, and took another after it had done so first.

    Others that were sent side by side with it count if the service said yes to them when it had said no to this one:
    where few images are left, no others come later. Only the image's own part of the bill is counted, of the rest the
    newest accepted submission is looked for: this runs behind the account's lock.
    """
    bill = tx.tables.submissions.c
    image_id = tx.connection.execute(select(_image_of(tx, submit_token))).scalar_one()
    noes = tx.connection.execute(
        select(bill.account, bill.claimed_at, bill.answered_at)
        .where(
            bill.image_id == image_id,
            bill.outcome.in_(TURNED_AWAY),
            bill.claimed_at > tx.now - timedelta(days=1),
        )
        .order_by(bill.claimed_at.desc(), bill.id.desc())
    ).all()
    if len(noes) < MOST_TURNED_AWAY:
        return False
    first_of_each = {no.account: no for no in noes}
    return any(_has_taken_another_since(tx, image_id, no) for no in first_of_each.values())


def _has_taken_another_since(tx: Transaction, image_id: int, no: Row[Any, Any, Any]) -> bool:
    bill = tx.tables.submissions.c
    side_by_side = and_(bill.claimed_at == no.claimed_at, bill.answered_at >= no.answered_at)
    query = select(bill.id).where(
        bill.account == no.account,
        bill.claimed_at >= no.claimed_at,
        bill.image_id != image_id,
        bill.outcome.in_(TAKEN),
        or_(bill.claimed_at > no.claimed_at, side_by_side),
    )
    return tx.connection.execute(query.order_by(bill.claimed_at.desc()).limit(1)).first() is not None


def with_a_shared_id(tx: Transaction, submit_tokens: Sequence[str]) -> set[str]:
    """Give the submissions whose task id another one of the account got, too: two in one millisecond may.

    Where the service does not give the state back, the task then belongs to neither.
    """
    if not submit_tokens:
        return set()
    bill = tx.tables.submissions.c
    facts = select(bill.submit_token, bill.account, bill.task_id, bill.claimed_at)
    asked = tx.connection.execute(facts.where(bill.submit_token.in_(submit_tokens))).all()
    if not asked:
        return set()
    moments = [one.claimed_at for one in asked]
    found = tx.connection.execute(
        facts.where(
            bill.account.in_({one.account for one in asked}),
            bill.claimed_at.between(min(moments) - _SAME_TIME, max(moments) + _SAME_TIME),
            bill.task_id.in_([one.task_id for one in asked]),
        )
    ).all()
    with_id: dict[tuple[str, str], list[Row[Any, Any, Any, Any]]] = defaultdict(list)
    for one in found:
        with_id[one.account, one.task_id].append(one)
    return {
        one.submit_token
        for one in asked
        if any(
            other.submit_token != one.submit_token and abs(other.claimed_at - one.claimed_at) <= _SAME_TIME
            for other in with_id[one.account, one.task_id]
        )
    }


def has_accepted_since(tx: Transaction, account: str, moment: datetime) -> bool:
    """Say whether the service has taken an image of the account since a moment."""
    bill = tx.tables.submissions.c
    query = select(bill.id).where(bill.account == account, bill.claimed_at >= moment, bill.outcome.in_(TAKEN))
    return tx.connection.execute(query.limit(1)).first() is not None


def _give_up(tx: Transaction, submit_token: str, reason: Reason, facts: PostFacts) -> bool:
    """Close a row whose image the service turns away again and again while it takes others. Nothing was paid."""
    note_result(tx, submit_token, Status.FAILED, reason)
    return _fail(
        tx,
        submit_token,
        reason,
        "The service takes other images and turns this one away again and again:"
        f" {facts.detail or f'HTTP {facts.http_status}, without an explanation'}",
    )


def refused(tx: Transaction, submit_token: str, reason: Reason, facts: PostFacts) -> bool:
    """Record that the service does not want this image. Nothing was paid."""
    _note_post(tx, submit_token, Outcome.REFUSED, facts, result=Status.FAILED, reason=reason)
    return _fail(tx, submit_token, reason, facts.detail)


def _fail(tx: Transaction, submit_token: str, reason: Reason, detail: str) -> bool:
    held = {"submit_token": submit_token}
    moved = move_rows(tx, SubmissionMove.REFUSE, held=held, reason=reason.value, detail=detail) == 1
    if moved:
        tx.events.append(Event(EventKind.FAILED, reason=reason))
    return moved


def ambiguous(tx: Transaction, submit_token: str, facts: PostFacts) -> None:
    """Record that the image may have been taken. Its row becomes doubtful when the time for an answer is over."""
    _note_post(tx, submit_token, Outcome.AMBIGUOUS, facts)


def doubt_overdue(tx: Transaction) -> int:
    """Turn claims without an answer into doubtful rows, of any account, once no answer can come any more.

    :return: how many.
    """
    images = tx.tables.images
    doubtful = move_rows(
        tx,
        DoubtMove.DOUBT,
        has_status(images, *IN_FLIGHT),
        images.c.in_doubt_after < tx.now,
        detail="The submission had no answer in time: it may have been taken and billed.",
    )
    if doubtful:
        tx.events.append(Event(EventKind.IN_DOUBT, rows=doubtful))
    return doubtful


def _submission(tx: Transaction, submit_token: str) -> Any:
    submissions = tx.tables.submissions
    return tx.connection.execute(
        select(
            submissions.c.image_id,
            submissions.c.account,
            submissions.c.price,
            submissions.c.currency,
            submissions.c.settled_at,
        ).where(submissions.c.submit_token == submit_token)
    ).one()


def _note_post(
    tx: Transaction,
    submit_token: str,
    outcome: Outcome,
    facts: PostFacts,
    *,
    task_id: str | None = None,
    result: Status | None = None,
    reason: Reason | None = None,
) -> bool:
    """Complete a row of the bill. A sure outcome is never overwritten by a less sure one, nor twice.

    :return: True if this was news.
    """
    before_a_change(tx, submit_token)
    submissions = tx.tables.submissions
    noted = tx.connection.execute(
        submissions.update()
        .where(submissions.c.submit_token == submit_token, _gives_way(submissions.c.outcome, outcome))
        .values(
            outcome=outcome.value,
            task_id=task_id,
            # What is found out later has no answer of its own.
            http_status=_what_is_known(submissions.c.http_status, facts.http_status),
            code=_what_is_known(submissions.c.code, None if facts.code is None else str(facts.code)),
            detail=facts.detail or None,
            result=result.value if result else None,
            reason=reason.value if reason else None,
            answered_at=tx.now,
            settled_at=tx.now if result else None,
        )
    )
    return noted.rowcount == 1


def _what_is_known(column: Column[Any], value: object) -> ColumnElement[Any]:
    """Give a value as its column takes it, or what the column holds where there is none."""
    return func.coalesce(literal(value, column.type), column)


def _gives_way(known: ColumnElement[str], outcome: Outcome) -> ColumnElement[bool]:
    """Give the condition that an outcome is news: a late answer may meet one that was found out already."""
    if outcome is Outcome.ACCEPTED:
        return known.not_in(TAKEN)
    return known == Outcome.SENT if outcome is Outcome.AMBIGUOUS else known.in_(UNDECIDED)


def refund(tx: Transaction, submit_tokens: Sequence[str]) -> None:
    """Record that the service gives back what these submissions cost: their tasks failed there.

    Call it before rows of images are written: it takes the account's lock.
    """
    submissions = tx.tables.submissions
    for submit_token in submit_tokens:
        before_a_change(tx, submit_token)
    of_these = submissions.c.submit_token.in_(submit_tokens), submissions.c.outcome == Outcome.ACCEPTED
    tx.connection.execute(submissions.update().where(*of_these).values(outcome=Outcome.REFUNDED.value))
    move_rows(tx, ResultMove.REFUND, held={"submit_token": list(submit_tokens)})


def note_result(tx: Transaction, submit_token: str, result: Status, reason: Reason | None) -> None:
    """Write what became of a submission, once."""
    submissions = tx.tables.submissions
    tx.connection.execute(
        submissions.update()
        .where(submissions.c.submit_token == submit_token, submissions.c.settled_at.is_(None))
        .values(result=result.value, reason=reason.value if reason else None, settled_at=tx.now)
    )


def _note_taken(tx: Transaction, posts: Sequence[Taken], facts: PostFacts) -> set[str]:
    """Complete the rows of the bill that no answer has completed yet. They count as paid before and after it.

    :return: the tokens of the submissions that this was news for.
    """
    submissions = tx.tables.submissions
    token = submissions.c.submit_token
    noted = tx.connection.execute(
        submissions.update()
        .where(token.in_([post.submit_token for post in posts]), submissions.c.outcome == Outcome.SENT)
        .values(
            outcome=Outcome.ACCEPTED.value,
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


def _move_taken(tx: Transaction, posts: Sequence[Taken], tokens: set[str]) -> set[str]:
    """Move the rows of the images.

    :return: the tokens of the submissions that were still waiting for this answer.
    """
    images, bill = tx.tables.images, tx.tables.submissions.c
    mine = bill.submit_token == images.c.submit_token
    price = select(bill.price).where(mine).scalar_subquery()
    currency = select(bill.currency).where(mine).scalar_subquery()
    moved = (
        tx.connection.execute(
            build_update(
                tx,
                SubmissionMove.ACCEPT,
                held={"submit_token": sorted(tokens)},
                task_id=_task_id(images.c.submit_token, posts),
                price=price,
                currency=currency,
            ).returning(images.c.submit_token)
        )
        .scalars()
        .all()
    )
    tx.events.extend(Event(EventKind.SUBMITTED) for _ in moved)
    return set(moved)


def _task_id(token: ColumnElement[str], posts: Sequence[Taken]) -> ColumnElement[str]:
    return case({post.submit_token: literal(post.task_id, KeyText()) for post in posts}, value=token)
