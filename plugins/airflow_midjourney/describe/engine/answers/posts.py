"""What POSTs came to. Answers to images that were sent side by side share a transaction, not their fate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.service.quoted import why_blocked
from airflow_midjourney.describe.service.submit_response import (
    Accepted,
    Ambiguous,
    Denied,
    Full,
    HeldBack,
    Refused,
    SubmitOutcome,
    Unavailable,
)
from airflow_midjourney.describe.table import accounts, submissions
from airflow_midjourney.describe.table.doubt import lost_intents
from airflow_midjourney.describe.table.doubt.lost_intents import Sent
from airflow_midjourney.describe.table.submissions import PostFacts, Taken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.table.claims import Claim
    from airflow_midjourney.describe.table.database import Transaction


@dataclass(frozen=True, slots=True)
class Posted:
    """A POST and what it came to.

    :param seconds_ago: since it was claimed.
    """

    claim: Claim
    outcome: SubmitOutcome
    seconds_ago: float = 0.0

    @property
    def submit_token(self) -> str:
        """What names it."""
        return self.claim.submit_token


def record_posts(tx: Transaction, account: AccountSettings, posts: Sequence[Posted]) -> None:
    """Write what POSTs came to, and open or close the circuit breaker, in one transaction.

    :param posts: side by side, each of an image of its own.
    """
    claimed_at = lost_intents.write_again(tx, [Sent(post.claim, post.seconds_ago) for post in posts], account)
    taken = []
    for post in posts:
        facts = _facts(post.outcome)
        if isinstance(post.outcome, Accepted):
            taken.append(Taken(post.submit_token, post.outcome.task_id, facts))
        else:
            _record_other(tx, account.identity, post, facts)
    if taken:
        accounts.close_breaker(tx, account.identity, max(claimed_at[one.submit_token] for one in taken))
        submissions.accepted(tx, taken)


def _facts(outcome: SubmitOutcome) -> PostFacts:
    return PostFacts(http_status=outcome.http_status, code=outcome.code, detail=outcome.description)


def _record_other(tx: Transaction, account: str, post: Posted, facts: PostFacts) -> None:
    match post.outcome:
        case Full(retry_after=pause):
            accounts.open_breaker(tx, account, why_blocked(post.outcome), pause, failing=False)
            submissions.not_taken(tx, post.submit_token, Outcome.FULL, facts)
        case Unavailable(retry_after=pause):
            accounts.open_breaker(tx, account, why_blocked(post.outcome), pause, failing=True)
            submissions.not_taken(tx, post.submit_token, Outcome.UNAVAILABLE, facts)
        case Denied():
            submissions.not_taken(tx, post.submit_token, Outcome.DENIED, facts)
        case HeldBack():
            submissions.not_taken(tx, post.submit_token, Outcome.NEVER_SENT, facts)
        case Refused(reason=reason):
            submissions.refused(tx, post.submit_token, reason, facts)
        case Ambiguous():
            accounts.open_breaker(tx, account, why_blocked(post.outcome), None, failing=True)
            submissions.ambiguous(tx, post.submit_token, facts)
