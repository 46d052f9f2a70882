"""What went wrong, by reason, with the cure; and the images of one reason, to describe some of them again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from airflow_midjourney.describe.admin.redescribe import ASKABLE
from airflow_midjourney.describe.model.status import REJECTED_FOR, Reason, Status
from airflow_midjourney.describe.queries.failures import ReasonCount, count_reasons
from airflow_midjourney.describe.queries.gallery import Filters, turn_page
from airflow_midjourney.settings import read_settings
from airflow_midjourney.web.dependencies import Metadata, ReadableDags
from airflow_midjourney.web.filters import WantedImages, query_of, sealed, unsealed
from airflow_midjourney.web.remedies import Cure, cure_for
from airflow_midjourney.web.rendering import page

router = APIRouter()

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
    request: Request, dag_ids: ReadableDags, database: Metadata, filters: WantedImages, beside: str = ""
) -> HTMLResponse:
    """Show the reasons; or, of one reason or of what is doubtful, the images."""
    if filters.reason is None and filters.status is not Status.IN_DOUBT:
        counts = await database.read_now(count_reasons, dag_ids)
        cards = [ReasonCard(one, cure_for(one.reason), query_of(_only(one.reason))) for one in counts]
        order = (Status.FAILED, Status.IN_DOUBT, Status.REJECTED)
        cards.sort(key=lambda card: (order.index(card.status), -card.count.rows))
        return page(request, "failures.html", here="failures", cards=cards)
    found = await database.read_now(turn_page, filters, dag_ids, unsealed(filters, beside), FAILURES_ON_A_PAGE)
    following, preceding = sealed(filters, found.following), sealed(filters, found.preceding)
    return page(
        request,
        "reason.html",
        here="failures",
        found=found,
        name=filters.reason or Status.IN_DOUBT,
        kind=_status_of(filters.reason),
        cure=cure_for(filters.reason),
        askable={row.id for row in found.rows if row.status in ASKABLE and row.is_current},
        following=following and query_of(filters, beside=following),
        preceding=preceding and query_of(filters, beside=preceding),
        latest=query_of(filters) if beside else None,
        pictures=read_settings().gallery_images,
    )


def _only(reason: Reason | None) -> Filters:
    return Filters(status=Status.IN_DOUBT) if reason is None else Filters(reason=reason)


def _status_of(reason: Reason | None) -> Status:
    if reason is None:
        return Status.IN_DOUBT
    return Status.REJECTED if reason in REJECTED_FOR else Status.FAILED
