"""Describing all images of a filter again: one question with one price, and an answer in parts."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from airflow_midjourney.describe.admin.redescribe import MOST_ASKED, follow_up
from airflow_midjourney.describe.admin.redescribe_filter import (
    FilterOrder,
    begin_order,
    count_by_dag,
    offer_all,
    rows_shown,
    take_part,
)
from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.describe.queries.filters import Filters
from airflow_midjourney.web.dependencies import Metadata, ReadableDags
from airflow_midjourney.web.filters import WantedFailures, read_failure_filters
from airflow_midjourney.web.outlook import outlook
from airflow_midjourney.web.pages.failures import in_words
from airflow_midjourney.web.pages.redescribe import NOT_AN_EDITOR, answered, new_question, price_told
from airflow_midjourney.web.rendering import page
from airflow_midjourney.web.security.access import CurrentViewer
from airflow_midjourney.web.security.signing import LONGEST_THOUGHT, seal, unseal

if TYPE_CHECKING:
    from airflow_midjourney.describe.table.database import Database

router = APIRouter()

_PURPOSE: Final = "describe all of a filter again"


@router.get("/again-all")
async def ask_whether_all(
    request: Request, viewer: CurrentViewer, dag_ids: ReadableDags, database: Metadata, filters: WantedFailures
) -> HTMLResponse:
    """Ask whether all images of a reason are to be described again, and say what that would cost."""
    if filters.reason is None and filters.status is not Status.IN_DOUBT:
        raise HTTPException(422, "Choose a reason, or the images in doubt, to describe all of them again.")
    editable = await viewer.editable(dag_ids)
    found = await database.read_now(offer_all, filters, editable)
    question = new_question(viewer, found.offer) | {"order": _as_json(found.order)}
    return page(
        request,
        "again.html",
        here="failures",
        offer=found.offer,
        chosen=True,
        off_limits=await database.read_now(count_by_dag, filters, dag_ids - editable),
        outlooks=await outlook(database, found.offer.image_ids),
        sealed=seal(_PURPOSE, question),
        answer="describe-all-again",
        about=in_words(filters),
        fresh=found.fresh,
        more=found.more,
    )


@router.post("/describe-all-again")
async def describe_all_again(
    viewer: CurrentViewer, database: Metadata, question: Annotated[str, Form()]
) -> RedirectResponse:
    """Ask for all of a filter to be described again. The same form sent twice is one request."""
    asked = answered(viewer, unseal(_PURPOSE, question, max_age=LONGEST_THOUGHT))
    order = await _from_json(asked["order"])
    editable = await viewer.editable(order.dag_ids)
    if not editable:
        raise HTTPException(403, NOT_AN_EDITOR)
    await _carry_out(database, asked, order, viewer.name, editable)
    done = await database.read_now(follow_up, asked["request"], order.dag_ids, viewer.name)
    moved_on = order.images - (len(done.asked.image_ids) if done else 0)
    return RedirectResponse(f"asked?request_id={asked['request']}&moved_on={moved_on}", status_code=303)


async def _carry_out(
    database: Database, asked: dict[str, Any], order: FilterOrder, asked_by: str, editable: frozenset[str]
) -> None:
    """Take the rows of an order, a part after the other.

    :raises HTTPException: 409 if there are more rows than the person was told of.
    """
    seen = await database.read_now(rows_shown, order)
    if len(seen) > order.images:
        raise HTTPException(409, "There are more images than you were told of. Nothing was changed; look again.")
    price = price_told(asked, order.images)
    since = await database.write_now(begin_order, asked["request"], asked_by, price)
    for start in range(0, len(seen), MOST_ASKED):
        part = seen[start : start + MOST_ASKED]
        await database.write_now(take_part, asked["request"], asked_by, part, editable, price, since)


def _as_json(order: FilterOrder) -> dict[str, Any]:
    named = {one.name: str(value) for one in fields(Filters) if (value := getattr(order.filters, one.name))}
    return {
        "filters": {"within": "any"} | named,
        "dag_ids": sorted(order.dag_ids),
        "shown_at": order.shown_at.isoformat(),
        "last_id": order.last_id,
        "images": order.images,
    }


async def _from_json(told: dict[str, Any]) -> FilterOrder:
    return FilterOrder(
        await read_failure_filters(**told["filters"]),
        frozenset(told["dag_ids"]),
        datetime.fromisoformat(told["shown_at"]),
        told["last_id"],
        told["images"],
    )
