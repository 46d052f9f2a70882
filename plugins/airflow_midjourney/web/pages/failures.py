"""What went wrong, by reason, with the cure; and the images of one reason, to describe some of them again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from airflow_midjourney.describe.admin.redescribe import ASKABLE
from airflow_midjourney.describe.model.status import REJECTED_FOR, Reason, Status
from airflow_midjourney.describe.queries.failures import ReasonCount, count_reasons
from airflow_midjourney.describe.queries.filters import Filters, Span
from airflow_midjourney.describe.queries.gallery import turn_page
from airflow_midjourney.settings import read_settings
from airflow_midjourney.web.dependencies import Metadata, ReadableDags
from airflow_midjourney.web.filters import ANY, WantedFailures, failures_query, sealed, unsealed
from airflow_midjourney.web.remedies import Cure, cure_for
from airflow_midjourney.web.rendering import page

if TYPE_CHECKING:
    from collections.abc import Collection

router = APIRouter()

#: Within which time images ended, in words.
TIMES: Final = {
    Span.HOUR: "the last hour",
    Span.DAY: "the last day",
    Span.WEEK: "the last week",
    Span.MONTH: "the last 30 days",
}

#: Images on a page of one reason: as many as one request may ask for without a thought.
FAILURES_ON_A_PAGE: Final = 50


@dataclass(frozen=True, slots=True)
class ReasonCard:
    """A reason as the page shows it."""

    count: ReasonCount
    cure: Cure
    address: str

    @property
    def name(self) -> str:
        """The reason, or that there is none."""
        return self.count.reason or Status.IN_DOUBT

    @property
    def status(self) -> Status:
        """What its rows are."""
        return _status_of(self.count.reason)


@router.get("/failures")
async def show_failures(
    request: Request, dag_ids: ReadableDags, database: Metadata, filters: WantedFailures, beside: str = ""
) -> HTMLResponse:
    """Show the reasons; or, of one reason or of what is doubtful, the images."""
    counts = await database.read_now(count_reasons, filters, dag_ids)
    form = _form(filters, dag_ids)
    if filters.reason is None and filters.status is not Status.IN_DOUBT:
        cards = [ReasonCard(one, cure_for(one.reason), failures_query(_only(filters, one.reason))) for one in counts]
        order = (Status.FAILED, Status.IN_DOUBT, Status.REJECTED)
        cards.sort(key=lambda card: (order.index(card.status), -card.count.rows))
        return page(request, "failures.html", here="failures", cards=cards, **form)
    found = await database.read_now(turn_page, filters, dag_ids, unsealed(filters, beside), FAILURES_ON_A_PAGE)
    following, preceding = sealed(filters, found.following), sealed(filters, found.preceding)
    return page(
        request,
        "reason.html",
        here="failures",
        found=found,
        counted=counts[0] if counts else None,
        name=filters.reason or Status.IN_DOUBT,
        kind=_status_of(filters.reason),
        cure=cure_for(filters.reason),
        askable={row.id for row in found.rows if row.status in ASKABLE and row.is_current},
        following=following and failures_query(filters, beside=following),
        preceding=preceding and failures_query(filters, beside=preceding),
        latest=failures_query(filters) if beside else None,
        pictures=read_settings().gallery_images,
        **form,
    )


def _form(filters: Filters, dag_ids: Collection[str]) -> dict[str, Any]:
    """Give what the form of the filters shows."""
    return {
        "filters": filters,
        "reasons": [*sorted(set(Reason) - REJECTED_FOR), Status.IN_DOUBT, *sorted(REJECTED_FOR)],
        "dag_ids": sorted(dag_ids),
        "times": [(span.value, words) for span, words in TIMES.items()] + [(ANY, "any time")],
        "this_filter": failures_query(filters),
        "any_time": failures_query(replace(filters, within=None)),
        "all_reasons": failures_query(replace(filters, status=None, reason=None)),
        "is_filtered": filters != Filters(within=Span.WEEK),
    }


def in_words(filters: Filters) -> str:
    """Say which failures a filter wants."""
    parts = [str(filters.reason or Status.IN_DOUBT.value).replace("_", " ")]
    named = {"DAG": filters.dag_id, "run": filters.run_id, "batch": filters.batch}
    parts += [f"{name} {value}" for name, value in named.items() if value]
    parts.append(f"ended within {TIMES[filters.within]}" if filters.within else "whenever they ended")
    return ", ".join(parts)


def _only(filters: Filters, reason: Reason | None) -> Filters:
    return replace(filters, reason=reason, status=Status.IN_DOUBT if reason is None else None)


def _status_of(reason: Reason | None) -> Status:
    if reason is None:
        return Status.IN_DOUBT
    return Status.REJECTED if reason in REJECTED_FOR else Status.FAILED
