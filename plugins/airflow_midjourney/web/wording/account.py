"""The account that pays for a batch, in words: its slots, its circuit breaker, and what is left of its day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_midjourney.web.rendering import clock, count, money

if TYPE_CHECKING:
    from airflow_midjourney.describe.queries.batch import AccountLook, BatchOverview


#: The width of a gauge in units of its own.
GAUGE_WIDTH: Final = 1000


def account_words(found: BatchOverview) -> dict[str, Any]:
    """Give what a page shows of the account."""
    account = found.account
    if account is None:
        unknown = f"Connection {found.batch.options.mj_conn_id} cannot be read here, or was never used"
        return {"account": "Not known", "slots": unknown, "day": "Not known", "cap": "", "gauges": {}}
    in_flight, most = account.state.in_flight, account.settings.max_in_flight
    return {
        "gauges": {"slots": _gauge(in_flight / most), **_day_gauge(account)},
        "account": _state(account),
        "slots": f"{count(in_flight)} of {count(most)} slots in use",
        "day": state_of_day(account),
        "cap": _cap(account),
    }


def hindrance(found: BatchOverview) -> str:
    """Say what holds a batch up, if something does, and who lets go of it."""
    account = found.account
    if account is None or not found.is_open:
        return ""
    state = account.state
    if state.paused:
        return "The account is paused: nothing is sent until a person sets its paused back to false (see the runbook)."
    if state.is_blocked and state.blocked_until is not None:
        why = f" The reason: {state.blocked_reason}." if state.blocked_reason else ""
        return f"The service wants a pause until {clock(state.blocked_until)}. Tasks go on by themselves.{why}"
    if account.submissions_left == 0 and found.counts.pending:
        return (
            f"{count(found.counts.pending)} images are pending because a cap is reached. Later runs of the task send"
            " them after their own."
        )
    return ""


def state_of_day(account: AccountLook) -> str:
    """Say what was sent over the account today, by all DAGs."""
    spent, settings = account.spent, account.settings
    sent = f"{count(spent.submissions)} sent"
    return f"{sent}, {money(spent.cost, settings.currency)}" if settings.price or spent.cost else sent


def _state(account: AccountLook) -> str:
    state = account.state
    if state.paused:
        return "Paused"
    if state.is_blocked and state.blocked_until is not None:
        return f"Cooling down until {clock(state.blocked_until)}"
    if state.submit_failing_since or state.poll_failing_since:
        return "Ready, after failures"
    return "Ready"


def _day_gauge(account: AccountLook) -> dict[str, int]:
    settings, spent = account.settings, account.spent
    shares = []
    if settings.max_submissions_per_day:
        shares.append(spent.submissions / settings.max_submissions_per_day)
    if settings.max_cost_per_day:
        shares.append(float(spent.cost / settings.max_cost_per_day))
    return {"day": _gauge(max(shares))} if shares else {}


def _gauge(share: float) -> int:
    return min(GAUGE_WIDTH, round(GAUGE_WIDTH * share))


def _cap(account: AccountLook) -> str:
    settings = account.settings
    caps = []
    if settings.max_submissions_per_day is not None:
        caps.append(f"{count(settings.max_submissions_per_day)} images")
    if settings.max_cost_per_day is not None:
        caps.append(money(settings.max_cost_per_day, settings.currency))
    return f"The cap is {' and '.join(caps)} a day" if caps else "No cap for the day"
