"""What is known of a batch: as plain values for programs, and in words for people. Pages and scripts show the same."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from airflow_midjourney.describe.engine.reporting import OtherWaits, waits_in_words
from airflow_midjourney.describe.engine.verdict import summary
from airflow_midjourney.describe.model.durations import duration
from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.web.filters import ANY, BILLED, HOLDING_A_SLOT
from airflow_midjourney.web.rendering import count, money, percent
from airflow_midjourney.web.wording.account import account_words, hindrance

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_midjourney.describe.queries.batch import BatchOverview
    from airflow_midjourney.describe.table.counts import Counts

#: Parts of the bar from its left: name, words.
_SEGMENTS: Final = (
    ("succeeded", "described"),
    ("failed", "failed"),
    ("rejected", "rejected"),
    ("in_doubt", "in doubt"),
    ("in_flight", "in flight"),
    ("pending", "pending"),
)

#: The bar's width in units of its own.
BAR_WIDTH: Final = 1000

#: A part that exists is at least so wide, so that one failure in a million is seen.
_LEAST: Final = 4


@dataclass(frozen=True, slots=True)
class Badge:
    """The state of a batch in a word or two.

    :param kind: ``good``, ``calm``, ``warn`` or ``bad``.
    """

    words: str
    kind: str


def numbers(found: BatchOverview) -> dict[str, Any]:
    """Give the numbers of a batch as plain values: counts, money as text, moments as ISO text in UTC."""
    batch, counts = found.batch, found.counts
    return {
        "batch": batch.batch_id,
        "dag_id": batch.origin.dag_id,
        "run_id": batch.origin.run_id,
        "task_id": batch.origin.dag_task_id,
        "images": batch.scope.describe(),
        "bot_type": batch.scope.bot_type.value,
        "plan_only": batch.options.plan_only,
        "started_at": _moment(batch.started_at),
        "looked_at": _moment(found.now),
        "listing_ended": found.is_listed,
        "total": counts.total,
        "ended": counts.ended,
        "by_status": {status.value: getattr(counts, status.value) for status in Status},
        "by_reason": dict(counts.reasons),
        "shared": counts.shared,
        "billed": counts.billed,
        "cost": None if counts.cost is None else f"{counts.cost.normalize():f}",
        "expected_cost": None if found.expected_cost is None else f"{found.expected_cost.normalize():f}",
        "highest_cost": None if found.highest_cost is None else f"{found.highest_cost.normalize():f}",
        "currency": counts.currency,
        "images_per_minute": round(found.pace.per_minute, 1),
        "seconds_left": _seconds_left(found),
        "oldest_waiting_since": _moment(found.oldest_waiting),
        "oldest_waiting_seconds": _seconds_between(found.oldest_waiting, found.now),
    }


def words(found: BatchOverview) -> dict[str, Any]:
    """Give what a page shows of a batch: texts by the name of their place, and the parts of the bar."""
    badge = badge_of(found)
    return {
        "badge": badge.words,
        "badge_kind": badge.kind,
        "progress": progress(found),
        "segments": segments(found.counts),
        "addresses": _addresses(found),
        "summary": summary(found.batch, found.counts),
        "pace": _pace(found),
        "left": _left(found),
        "oldest": _oldest(found),
        "cost": _cost(found),
        "expected": _expected(found),
        "billed": _billed(found),
        "hindrance": hindrance(found),
        "waits": _waits(found),
        "reasons": [
            {
                "reason": reason,
                "count": count(number),
                "address": _images_address("failures", found, reason=reason, within=ANY),
            }
            for reason, number in sorted(found.counts.reasons.items(), key=lambda one: (-one[1], one[0]))
        ],
        "started": f"{duration((found.now - found.batch.started_at).total_seconds())} ago",
        "looked_at": found.now.strftime("%H:%M:%S UTC"),
        **account_words(found),
    }


def _addresses(found: BatchOverview) -> dict[str, str]:
    """Give where the images behind each number are: by part of the bar, all, billed, of the scope, and in flight."""
    parts = {name: _images_address("gallery", found, status=name) for name, _ in _SEGMENTS}
    origin, below = found.batch.origin, found.batch.scope.beginning
    return parts | {
        "all": _images_address("gallery", found, status=ANY),
        "billed": _images_address("gallery", found, status=BILLED),
        "scope": f"gallery?{urlencode({'status': ANY, 'prefix': below})}",
        "cost": f"spend?{urlencode({'dag_id': origin.dag_id or ''})}",
        "day": "spend",
        "slots": f"gallery?{urlencode({'status': HOLDING_A_SLOT})}",
    }


def _images_address(page: str, found: BatchOverview, **wanted: str) -> str:
    """Give where the images that the batch counts are, below our top."""
    return f"{page}?{urlencode(wanted | {'batch': found.batch.batch_id})}"


def badge_of(found: BatchOverview) -> Badge:
    """Say in a word how a batch is doing."""
    counts = found.counts
    if found.batch.options.plan_only:
        return Badge("Plan only", "calm")
    if found.is_open:
        return _badge_while_open(found)
    bad = counts.failed + counts.in_doubt
    if bad and not counts.succeeded:
        return Badge("Failed", "bad")
    if bad:
        return Badge(f"Done, {count(bad)} not described", "warn")
    return Badge("Done" if counts.total else "Nothing to do", "good")


def _badge_while_open(found: BatchOverview) -> Badge:
    account = found.account
    if account is not None and account.state.paused:
        return Badge("Paused", "warn")
    if account is not None and account.state.is_blocked:
        return Badge("Cooling down", "warn")
    if account is not None and account.submissions_left == 0 and found.counts.pending:
        return Badge("At its cap", "warn")
    if account is not None and account.opening is not None and found.counts.pending:
        return Badge(f"Waits until {account.opening}", "calm")
    return Badge("In progress", "calm")


def progress(found: BatchOverview) -> str:
    """Say how far a batch has come."""
    counts = found.counts
    if found.batch.options.plan_only:
        return f"{count(found.batch.listed.to_describe)} images would be sent; nothing is."
    more = "" if found.is_listed else "+"
    if not counts.total:
        return "No image has to be described." if found.is_listed else "Listing has only begun."
    share = percent(counts.ended, counts.total)
    return f"{count(counts.ended)} of {count(counts.total)}{more} images have ended ({share})."


def segments(counts: Counts) -> list[dict[str, Any]]:
    """Give the parts of the bar with what they stand for: all of them, so that a script can let them grow."""
    amounts = [getattr(counts, name) for name, _ in _SEGMENTS]
    widths = _widths(amounts)
    left, parts = 0, []
    for (name, told), amount, width in zip(_SEGMENTS, amounts, widths, strict=True):
        parts.append({"name": name, "words": told, "count": amount, "shown": count(amount), "x": left, "width": width})
        left += width
    return parts


def _widths(amounts: list[int]) -> list[int]:
    total = sum(amounts)
    if not total:
        return [0] * len(amounts)
    widths = [max(_LEAST, amount * BAR_WIDTH // total) if amount else 0 for amount in amounts]
    widths[widths.index(max(widths))] += BAR_WIDTH - sum(widths)
    return widths


def _seconds_left(found: BatchOverview) -> int | None:
    if not found.is_open:
        return 0
    seconds = found.pace.seconds_for(found.counts.open)
    return None if seconds is None else round(seconds)


def _pace(found: BatchOverview) -> str:
    if found.is_open:
        return f"{found.pace.per_minute:,.1f} a minute"
    if found.latest_end is None:
        return "Nothing ended"
    seconds = max(1.0, (found.latest_end - found.batch.started_at).total_seconds())
    return f"{60 * found.counts.ended / seconds:,.1f} a minute"


def _left(found: BatchOverview) -> str:
    if not found.is_open:
        if found.latest_end is None:
            return "All has ended"
        return f"All ended within {duration((found.latest_end - found.batch.started_at).total_seconds())}"
    if found.counts.pending and found.account is not None and found.account.state.paused:
        return "Waits for a person to resume the account"
    if found.counts.pending and found.account is not None and found.account.opening is not None:
        return f"Goes on at {found.account.opening}"
    seconds = _seconds_left(found)
    if seconds is None:
        return "Nothing ended in five minutes"
    at_least = "" if found.is_listed else "at least "
    return f"About {at_least}{duration(seconds)} left"


def _oldest(found: BatchOverview) -> str:
    seconds = _seconds_between(found.oldest_waiting, found.now)
    return "" if seconds is None else f"The oldest in flight has waited for {duration(seconds)}"


def _waits(found: BatchOverview) -> str:
    waits = OtherWaits(None if found.account is None else found.account.unproved, found.elsewhere)
    return " ".join(f"{told}." for told in waits_in_words(found.batch.options.mj_conn_id, waits))


def _cost(found: BatchOverview) -> str:
    if found.counts.billed:
        return money(found.counts.cost, found.counts.currency)
    priced = found.settings is not None and found.settings.price is not None
    return money(Decimal(0), _currency(found)) if priced else "nothing billed"


def _currency(found: BatchOverview) -> str | None:
    return found.counts.currency or (found.settings.currency if found.settings else None)


def _billed(found: BatchOverview) -> str:
    billed, shared = found.counts.billed, found.counts.shared
    return f"{count(billed)} billed" + (f", {count(shared)} more got the answer of the same bytes" if shared else "")


def _expected(found: BatchOverview) -> str:
    is_plan = found.batch.options.plan_only
    if not (found.is_open or is_plan):
        return ""
    expected, highest = found.expected_cost, found.highest_cost
    if expected is None or highest is None:
        return _why_unknown(found)
    told = f"Would cost about {money(expected, _currency(found))}" if is_plan else ""
    told = told or f"About {money(expected, _currency(found))} in all"
    if not found.is_listed:
        told += ", and more for what is not listed yet"
    if highest > expected:
        told += f"; at most {money(highest, _currency(found))} if {_what_costs_more(found)}"
    return told


def _what_costs_more(found: BatchOverview) -> str:
    attempts, again = found.batch.options.max_attempts, found.resubmissions
    tried = f"each image is tried {attempts} times" if attempts > 1 else ""
    sent = f"{count(again)} {'is' if again == 1 else 'are'} sent once more for want of an answer" if again else ""
    return " and ".join(filter(None, (tried, sent)))


def _why_unknown(found: BatchOverview) -> str:
    images = f"{count(found.to_send)} {'' if found.batch.options.plan_only else 'pending '}images"
    if not found.to_send:
        return ""
    if found.settings is None:
        return f"What {images} will cost is not known: connection {found.batch.options.mj_conn_id} cannot be read here"
    return f"What {images} will cost is not known: no price is set on the connection"


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")


def _seconds_between(since: datetime | None, now: datetime) -> int | None:
    return None if since is None else max(0, round((now - since).total_seconds()))
