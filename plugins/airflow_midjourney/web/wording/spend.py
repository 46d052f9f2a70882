"""What was spent, account by account: in words, as the rows of a table, and as pictures."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.model.durations import duration
from airflow_midjourney.describe.queries.spend import Figures
from airflow_midjourney.web.charts import Chart, Limit, Series, draw
from airflow_midjourney.web.rendering import count, money
from airflow_midjourney.web.wording.account import cap_of, gauge_of_day, state_of_day

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.queries.spend import SpendLine, Today

#: Lines of an account that a page shows; a file has all of them.
MOST_ROWS: Final = 200

#: The shares of the answers whose waits are told.
HALF: Final = 0.5
MOST: Final = 0.95


@dataclass(frozen=True, slots=True)
class SpendRow:
    """A line of the table, in words.

    :param day: None for a whole period.
    """

    day: date | None
    dag_id: str
    bot_type: str
    figures: Figures
    cost: str
    refunds: str
    half: str
    most: str


@dataclass(frozen=True, slots=True)
class AccountCard:
    """An account as the page shows it.

    :param today: what all DAGs have sent over it today, and its cap; empty where its connection cannot be read here.
    :param gauge: how much of the day's cap is used, in thousandths; empty without a cap.
    :param total: what it came to in the whole period.
    :param sums: by DAG and bot.
    :param rows: by day, DAG and bot, the newest first.
    :param left_out: older rows that only the file has.
    """

    account: str
    connection: str
    today: str
    cap: str
    gauge: dict[str, int]
    total: str
    charts: tuple[Chart, ...]
    sums: tuple[SpendRow, ...]
    rows: tuple[SpendRow, ...]
    left_out: int


def account_cards(
    lines: Sequence[SpendLine], days: Sequence[date], connections: Mapping[str, str], todays: Mapping[str, Today]
) -> list[AccountCard]:
    """Give a card for each account that paid for something, the one with most submissions first.

    :param connections: the connection of an account, where that is known.
    :param todays: what an account has spent today, where its connection can be read here.
    """
    by_account: defaultdict[str, list[SpendLine]] = defaultdict(list)
    for line in lines:
        by_account[line.account].append(line)
    order = sorted(by_account, key=lambda account: (-_sum(by_account[account]).paid, account))
    return [
        _card(account, by_account[account], days, connections.get(account, ""), todays.get(account))
        for account in order
    ]


def total_of(lines: Iterable[SpendLine]) -> str:
    """Say what lines come to: money by currency, and submissions."""
    lines = list(lines)
    whole = _sum(lines)
    parts = [money(figures.cost, currency) for currency, figures in _by_currency(lines).items()]
    parts.append(f"{count(whole.paid)} submissions paid for")
    if whole.unpriced:
        parts.append(f"{count(whole.unpriced)} of them without a price")
    if whole.perhaps:
        parts.append(f"{count(whole.perhaps)} of them perhaps, since their answer is not known")
    if whole.refunded:
        parts.append(f"{count(whole.refunded)} given back beside them")
    return ", ".join(parts)


def cost_of(figures: Figures, currency: str | None) -> str:
    """Say what a line cost; without a price it has a number of submissions and nothing else."""
    if figures.paid and figures.unpriced == figures.paid:
        return "no price is set"
    return money(figures.cost, currency)


def _card(
    account: str, lines: Sequence[SpendLine], days: Sequence[date], connection: str, today: Today | None
) -> AccountCard:
    newest_first = sorted(lines, key=lambda line: (-line.day.toordinal(), line.dag_id, line.bot_type or ""))
    return AccountCard(
        account,
        connection,
        "" if today is None else state_of_day(today.settings, today.spent),
        "" if today is None else cap_of(today.settings),
        {} if today is None else gauge_of_day(today.settings, today.spent),
        total_of(lines),
        tuple(_charts(lines, days, None if today is None else today.settings)),
        tuple(_sums(lines)),
        tuple(_row(line, line.day) for line in newest_first[:MOST_ROWS]),
        max(0, len(lines) - MOST_ROWS),
    )


def _charts(lines: Sequence[SpendLine], days: Sequence[date], settings: AccountSettings | None) -> list[Chart]:
    charts = []
    for currency, figures in _by_currency(lines).items():
        priced = [line for line in lines if line.currency == currency]
        if figures.cost or figures.refunds:
            charts.append(_cost_chart(_by_day(priced, days), currency, settings))
    by_day = _by_day(lines, days)
    charts.append(_paid_chart(by_day, settings))
    described = Series("succeeded", "described", [one.described for one in by_day.values()])
    charts.append(draw("Described images a day", days, [described], _images))
    if any(one.waits.within for one in by_day.values()):
        charts.append(_wait_chart(by_day))
    return charts


def _cost_chart(by_day: Mapping[date, Figures], currency: str | None, settings: AccountSettings | None) -> Chart:
    limit = None
    if settings is not None and settings.max_cost_per_day is not None and settings.currency == currency:
        cap = settings.max_cost_per_day
        limit = Limit(cap, f"today's cap of {money(cap, currency)} a day for all DAGs")
    stack = [
        Series("paid", "paid", [one.cost for one in by_day.values()]),
        Series("given-back", "given back", [one.refunds for one in by_day.values()]),
    ]
    return draw("Cost a day", list(by_day), stack, lambda value: money(Decimal(value), currency), limit)


def _paid_chart(by_day: Mapping[date, Figures], settings: AccountSettings | None) -> Chart:
    limit = None
    if settings is not None and settings.max_submissions_per_day is not None:
        cap = settings.max_submissions_per_day
        limit = Limit(cap, f"today's cap of {count(cap)} submissions a day for all DAGs")
    paid = Series("paid", "paid for", [one.paid for one in by_day.values()])
    back = Series("given-back", "given back", [one.refunded for one in by_day.values()])
    return draw("Submissions paid for a day", list(by_day), [paid, back], _submissions, limit)


def _wait_chart(by_day: Mapping[date, Figures]) -> Chart:
    """Draw how long answers took: half of them, and what the slower ones up to 95 % took beyond that."""
    half = [one.waits.quickest(HALF) or 0 for one in by_day.values()]
    most = [one.waits.quickest(MOST) or 0 for one in by_day.values()]
    stack = [
        Series("half", "half of the answers came within", half),
        Series("most", "95 % came within", [slow - quick for quick, slow in zip(half, most, strict=True)]),
    ]
    return draw("Time to an answer", list(by_day), stack, lambda value: duration(float(value)))


def _sums(lines: Iterable[SpendLine]) -> list[SpendRow]:
    groups: dict[tuple[str, str, str], SpendRow] = {}
    by_group: defaultdict[tuple[str, str, str], list[SpendLine]] = defaultdict(list)
    for line in lines:
        by_group[line.dag_id, line.bot_type or "", line.currency or ""].append(line)
    for key, theirs in sorted(by_group.items()):
        groups[key] = _as_row(theirs[0], None, _sum(theirs))
    return list(groups.values())


def _row(line: SpendLine, day: date) -> SpendRow:
    return _as_row(line, day, line.figures)


def _as_row(line: SpendLine, day: date | None, figures: Figures) -> SpendRow:
    return SpendRow(
        day,
        line.dag_id,
        line.bot_type or "not known",
        figures,
        cost_of(figures, line.currency),
        _given_back(figures, line.currency),
        _wait(figures, HALF),
        _wait(figures, MOST),
    )


def _given_back(figures: Figures, currency: str | None) -> str:
    if not figures.refunded:
        return "–"
    amount = money(figures.refunds, currency) if figures.refunds else "no price is set"
    return f"{count(figures.refunded)}, {amount}"


def _wait(figures: Figures, share: float) -> str:
    seconds = figures.waits.quickest(share)
    return "–" if seconds is None else duration(seconds)


def _sum(lines: Iterable[SpendLine]) -> Figures:
    return sum((line.figures for line in lines), Figures())


def _by_currency(lines: Iterable[SpendLine]) -> dict[str | None, Figures]:
    """Add up what had a price, by its currency."""
    found: defaultdict[str | None, Figures] = defaultdict(Figures)
    for line in lines:
        if line.figures.paid > line.figures.unpriced or line.figures.refunds:
            found[line.currency] += line.figures
    return dict(sorted(found.items(), key=lambda item: item[0] or ""))


def _by_day(lines: Iterable[SpendLine], days: Iterable[date]) -> dict[date, Figures]:
    found = {day: Figures() for day in days}
    for line in lines:
        found[line.day] += line.figures
    return found


def _counted(words: str, value: Decimal | int) -> str:
    return f"{count(int(value))} {words if value == 1 else f'{words}s'}"


_images = partial(_counted, "image")
_submissions = partial(_counted, "submission")
