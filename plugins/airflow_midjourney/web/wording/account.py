"""The account that pays for a batch, in words: its slots, its circuit breaker, and what is left of its day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_midjourney.describe.queries.batch import MOST_OF_A_DAY
from airflow_midjourney.web.rendering import clock, count, money

if TYPE_CHECKING:
    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.queries.batch import AccountLook, BatchOverview
    from airflow_midjourney.describe.table.accounts import AccountState
    from airflow_midjourney.describe.table.budgets import Spent


#: What the button does, for everybody who uses the account.
_PAUSING: Final = "Stops all submissions over this account, of all DAGs, until a person resumes it"
_RESUMING: Final = "Tasks that wait go on within seconds"

#: The width of a gauge in units of its own.
GAUGE_WIDTH: Final = 1000


def account_words(found: BatchOverview) -> dict[str, Any]:
    """Give what a page shows of the account."""
    account = found.account
    if account is None:
        unknown = f"Connection {found.batch.options.mj_conn_id} cannot be read here, or was never used"
        known = {"account": "Not known", "slots": unknown, "day": "Not known", "cap": "", "gauges": {}}
        return known | _pause_words(None)
    in_flight, most = account.state.in_flight, account.settings.max_in_flight
    return {
        "gauges": {"slots": _gauge(in_flight / most), **_gauge_of_today(account)},
        "account": _state(account),
        "slots": f"{count(in_flight)} of {count(most)} slots in use",
        "day": _state_of_today(account),
        "cap": cap_of(account.settings),
        **_pause_words(account.state),
    }


def _gauge_of_today(account: AccountLook) -> dict[str, int]:
    return {} if account.spent is None else gauge_of_day(account.settings, account.spent)


def _state_of_today(account: AccountLook) -> str:
    if account.spent is None:
        return f"More than {count(MOST_OF_A_DAY)} sent"
    return state_of_day(account.settings, account.spent)


def _pause_words(state: AccountState | None) -> dict[str, str]:
    """Give by whom the account was paused or resumed, and what the button does.

    :param state: None where the account was never used, or is not known.
    """
    paused = state is not None and state.paused
    told, paused_at = "", ""
    if state is not None:
        if paused:
            told = f"Paused {state.pause}"
        elif state.resumed_by:
            told = f"Resumed by {state.resumed_by} at {state.resumed_at:%Y-%m-%d %H:%M:%S} UTC"
        paused_at = state.paused_at.isoformat() if state.paused_at else ""
    return {
        "paused": told,
        "paused_at": paused_at,
        "order": "resume" if paused else "pause",
        "order_words": "Resume" if paused else "Pause",
        "order_means": _RESUMING if paused else _PAUSING,
    }


def hindrance(found: BatchOverview) -> str:
    """Say what holds a batch up, if something does, and who lets go of it."""
    account = found.account
    if account is None or not found.is_open:
        return ""
    state = account.state
    if state.paused:
        return (
            f"The account is paused {state.pause}: no image is sent, by any DAG, until a person resumes it below. What"
            " is on its way is still fetched."
        )
    if state.is_blocked and state.blocked_until is not None:
        why = f" The reason: {state.blocked_reason}." if state.blocked_reason else ""
        return f"The service wants a pause until {clock(state.blocked_until)}. Tasks go on by themselves.{why}"
    if account.submissions_left == 0 and found.counts.pending:
        return (
            f"{count(found.counts.pending)} images are pending because a cap is reached. Later runs of the task send"
            " them after their own."
        )
    if account.opening is not None and found.counts.pending:
        return (
            f"Submissions wait until {account.opening}, by the extra submit_window of connection"
            f" {found.batch.options.mj_conn_id}. Tasks go on by themselves; what is on its way is still fetched."
        )
    if state.kept and found.counts.pending and state.room(account.settings) == 0:
        return "Batches of a higher priority send their images first. This one gets the slots that they leave."
    return ""


def state_of_day(settings: AccountSettings, spent: Spent) -> str:
    """Say what was sent over the account today, by all DAGs."""
    sent = f"{count(spent.submissions)} sent"
    return f"{sent}, {money(spent.cost, settings.currency)}" if settings.price or spent.cost else sent


def gauge_of_day(settings: AccountSettings, spent: Spent) -> dict[str, int]:
    """Give how much of the day's caps is used, by the one that is nearer; nothing where there is none."""
    shares = []
    if settings.max_submissions_per_day:
        shares.append(spent.submissions / settings.max_submissions_per_day)
    if settings.max_cost_per_day:
        shares.append(float(spent.cost / settings.max_cost_per_day))
    return {"day": _gauge(max(shares))} if shares else {}


def cap_of(settings: AccountSettings) -> str:
    """Say what the account may send in a day."""
    caps = []
    if settings.max_submissions_per_day is not None:
        caps.append(f"{count(settings.max_submissions_per_day)} images")
    if settings.max_cost_per_day is not None:
        caps.append(money(settings.max_cost_per_day, settings.currency))
    return f"The cap is {' and '.join(caps)} a day" if caps else "No cap for the day"


def _state(account: AccountLook) -> str:
    state = account.state
    if state.paused:
        return "Paused"
    if state.is_blocked and state.blocked_until is not None:
        return f"Cooling down until {clock(state.blocked_until)}"
    if account.opening is not None:
        return f"Submissions wait until {account.opening}"
    if state.submit_failing_since or state.poll_failing_since:
        return "Ready, after failures"
    return "Ready"


def _gauge(share: float) -> int:
    return min(GAUGE_WIDTH, round(GAUGE_WIDTH * share))
