"""What was spent by day, account, DAG and bot: a page with pictures, and the same lines as a file."""

from __future__ import annotations

import asyncio
import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, StreamingResponse

from airflow_midjourney.describe.exports.formats.as_csv import cell
from airflow_midjourney.describe.model.errors import DescribeError
from airflow_midjourney.describe.queries.spend import Today, connections_of, days_until, look_at_today, today_of
from airflow_midjourney.hooks.midjourney import MidjourneyHook
from airflow_midjourney.web.charts import HEIGHT, WIDTH
from airflow_midjourney.web.day_book import read_day
from airflow_midjourney.web.dependencies import AskedText, Metadata, ReadableDags
from airflow_midjourney.web.rendering import page
from airflow_midjourney.web.wording.spend import HALF, MOST, account_cards, total_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from datetime import date

    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.queries.owners import DagIds
    from airflow_midjourney.describe.queries.spend import SpendLine
    from airflow_midjourney.describe.table.database import Database

router = APIRouter()

#: Days that the page offers.
PERIODS: Final = (7, 30, 90)

#: Days that a file may have; it is written day by day.
LONGEST_FILE: Final = 3660

_COLUMNS: Final = (
    "day_utc",
    "account",
    "dag_id",
    "bot_type",
    "currency",
    "paid",
    "perhaps_paid",
    "without_price",
    "cost",
    "refunded",
    "refunds",
    "described",
    "failed",
    "p50_within_seconds",
    "p95_within_seconds",
)

#: What Excel needs to read UTF-8.
_BYTE_ORDER_MARK: Final = "\ufeff"


@dataclass(frozen=True)
class SpendFilters:
    """What an address asks for; a DAG that is empty asks for all that the reader may see."""

    days: Annotated[int, Query(ge=1, le=LONGEST_FILE)] = 30
    dag_id: AskedText = ""

    def of(self, dag_ids: DagIds) -> DagIds:
        """Give those of some DAGs that are asked for."""
        return dag_ids & {self.dag_id} if self.dag_id else dag_ids


ChosenSpend = Annotated[SpendFilters, Depends()]


@router.get("/spend")
async def show_spend(request: Request, dag_ids: ReadableDags, database: Metadata, filters: ChosenSpend) -> HTMLResponse:
    """Show what was spent, account by account."""
    days = days_until(await database.read_now(today_of), min(filters.days, max(PERIODS)))
    lines = [line for day in days for line in await read_day(database, day, filters.of(dag_ids))]
    connections = await database.read_now(connections_of, lines)
    return page(
        request,
        "spend.html",
        here="spend",
        filters=filters,
        periods=PERIODS,
        dag_ids=sorted(dag_ids),
        first=days[0],
        last=days[-1],
        total=total_of(lines),
        cards=account_cards(lines, days, connections, await _todays(database, connections)),
        width=WIDTH,
        height=HEIGHT,
    )


@router.get("/spend.csv")
async def download_spend(dag_ids: ReadableDags, database: Metadata, filters: ChosenSpend) -> StreamingResponse:
    """Give the same lines as a file, day by day: it is written as it is read, and costs no memory."""
    days = days_until(await database.read_now(today_of), filters.days)
    name = f"spend-{days[0]}-to-{days[-1]}.csv"
    return StreamingResponse(
        _file(database, days, filters.of(dag_ids)),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


async def _todays(database: Database, connections: Mapping[str, str]) -> dict[str, Today]:
    """Read today's totals of the accounts whose connection can be read here and still names them."""
    found = {}
    for account, conn_id in connections.items():
        settings = await asyncio.to_thread(_settings_of, conn_id)
        if settings is None or settings.identity != account:
            continue
        today = await database.read_now(look_at_today, settings)
        if today is not None:
            found[account] = today
    return found


def _settings_of(conn_id: str) -> AccountSettings | None:
    try:
        return MidjourneyHook(conn_id).account()
    except DescribeError:
        return None


async def _file(database: Database, days: Sequence[date], dag_ids: DagIds) -> AsyncIterator[str]:
    yield _BYTE_ORDER_MARK + _as_csv([_COLUMNS])
    for day in days:
        lines = await read_day(database, day, dag_ids)
        if lines:
            yield _as_csv([_cells(line) for line in lines])


def _cells(line: SpendLine) -> list[str]:
    figures = line.figures
    values = (
        line.day.isoformat(),
        line.account,
        line.dag_id,
        line.bot_type,
        line.currency,
        figures.paid,
        figures.perhaps,
        figures.unpriced,
        None if figures.paid and figures.unpriced == figures.paid else f"{figures.cost.normalize():f}",
        figures.refunded,
        f"{figures.refunds.normalize():f}",
        figures.described,
        figures.failed,
        figures.waits.quickest(HALF),
        figures.waits.quickest(MOST),
    )
    return [cell(value) for value in values]


def _as_csv(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
