"""Claiming many images in one transaction: each as if alone, behind one lock and with few statements."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select

from airflow_midjourney.describe.erasure import content_mark
from airflow_midjourney.describe.status import Status
from airflow_midjourney.describe.table.accounts import expect_first_answer, lock_account
from airflow_midjourney.describe.table.caps import lock_caps_of_run, move_tallies_on, submissions_left
from airflow_midjourney.describe.table.claims import (
    Claim,
    ClaimResult,
    claim,
    content_values,
    intent_values,
    note_content,
    submission_values,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_midjourney.describe.account import AccountSettings
    from airflow_midjourney.describe.table.accounts import AccountState
    from airflow_midjourney.describe.table.database import Transaction


def claim_together(tx: Transaction, requests: Sequence[Claim], account: AccountSettings) -> list[ClaimResult]:
    """Commit the intent to submit reserved rows of one batch, behind the account's lock, or none of them.

    Those whose bytes nobody has sent or waits for go together; every other is claimed by itself, as are all while the
    service has said no. Claims whose commit went unheard can be repeated: none is submitted twice.

    :return: what became of each, in their order.
    """
    state = lock_account(tx, account.identity)
    simple = set() if state.closed_reason is not None else _simple_ones(tx, requests)
    together = [request for request in requests if request.image_id in simple]
    results = dict(zip((one.image_id for one in together), _claim(tx, together, account, state), strict=True))
    for request in requests:
        if request.image_id not in simple:
            results[request.image_id] = claim(tx, request, account)
    return [results[request.image_id] for request in requests]


def _simple_ones(tx: Transaction, requests: Sequence[Claim]) -> set[int]:
    """Give the rows that are still reserved, and whose bytes no other row has, or had once. Locks them."""
    images = tx.tables.images.c
    ids = [request.image_id for request in requests]
    rows = tx.connection.execute(
        select(images.id, images.status, images.reserved_by)
        .where(images.id.in_(ids))
        .order_by(images.id)
        .with_for_update()
    )
    holders = {row.id: row.reserved_by for row in rows if row.status == Status.PENDING}
    digests = Counter(request.content.content_sha256 for request in requests)
    bot_type = requests[0].batch.scope.bot_type
    marks = {content_mark(digest, bot_type): digest for digest in digests}
    known = tx.connection.execute(
        select(images.content_sha256).where(
            images.content_sha256.in_([*digests, *marks]), images.bot_type == bot_type, images.id.not_in(ids)
        )
    ).scalars()
    digests.update(marks.get(digest, digest) for digest in known)
    return {
        request.image_id
        for request in requests
        if holders.get(request.image_id) == request.holder and digests[request.content.content_sha256] == 1
    }


def _claim(
    tx: Transaction, requests: Sequence[Claim], account: AccountSettings, state: AccountState
) -> list[ClaimResult]:
    if not requests:
        return []
    batch = requests[0].batch
    room = state.room(account.max_in_flight)
    lock_caps_of_run(tx, batch)
    move_tallies_on(tx, batch, account)
    left = submissions_left(tx, batch, account)
    claimed = min(room, len(requests) if left is None else left, len(requests))
    for request in requests[claimed:]:
        note_content(tx, request)
    if claimed:
        _write_intents(tx, requests[:claimed], account, state)
    others = ClaimResult.NO_ROOM if claimed == room else ClaimResult.CAPPED
    return [ClaimResult.CLAIMED] * claimed + [others] * (len(requests) - claimed)


def _write_intents(tx: Transaction, requests: Sequence[Claim], account: AccountSettings, state: AccountState) -> None:
    images, submissions = tx.tables.images, tx.tables.submissions
    if state.in_flight == 0:
        expect_first_answer(tx, account)
    rows = [content_values(request) | intent_values(tx, request, account, state) for request in requests]
    tx.connection.execute(
        images.update()
        .where(images.c.id == bindparam("row_id"))
        .values({name: bindparam(f"new_{name}") for name in rows[0]} | {"attempts": images.c.attempts + 1}),
        [
            {"row_id": request.image_id} | {f"new_{name}": value for name, value in row.items()}
            for request, row in zip(requests, rows, strict=True)
        ],
    )
    tx.connection.execute(submissions.insert(), [submission_values(tx, request, account) for request in requests])
