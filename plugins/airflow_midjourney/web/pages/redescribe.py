"""Describing images again: a question with the price first, then the request, then what became of it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from airflow_midjourney.describe.admin.redescribe import MOST_ASKED, Price, ask_again, follow_up, offer
from airflow_midjourney.describe.admin.redescribe_filter import MOST_AT_ONCE
from airflow_midjourney.describe.queries.owners import owners
from airflow_midjourney.describe.table.orders.seen_rows import SeenRow
from airflow_midjourney.web.dependencies import AskedRow, Metadata, ReadableDags
from airflow_midjourney.web.outlook import outlook
from airflow_midjourney.web.rendering import page
from airflow_midjourney.web.security.access import CurrentViewer
from airflow_midjourney.web.security.signing import LONGEST_THOUGHT, seal, unseal

if TYPE_CHECKING:
    from airflow_midjourney.describe.admin.redescribe import Offer
    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.web.security.access import Viewer

router = APIRouter()

_PURPOSE: Final = "describe again"

NOT_AN_EDITOR: Final = "This needs the right to edit the DAGs that the images belong to."


@dataclass(frozen=True, slots=True)
class _Selection:
    """The rows that a user chose.

    :param editable: DAGs of theirs that this person may edit.
    :param off_limits: the other DAGs that this person may see, with how many of the rows each has.
    """

    editable: frozenset[str]
    off_limits: dict[str, int]


@router.get("/again")
async def ask_whether(
    request: Request,
    viewer: CurrentViewer,
    database: Metadata,
    id: Annotated[list[AskedRow], Query(default_factory=list, max_length=MOST_ASKED)],  # noqa: A002
) -> HTMLResponse:
    """Ask whether these images are to be described again, and say what that would cost."""
    chosen = await _selection(viewer, database, id)
    found = await database.read_now(offer, id, chosen.editable)
    question = new_question(viewer, found) | {
        "seen": [[one.image_id, one.status, one.submission] for one in found.seen]
    }
    return page(
        request,
        "again.html",
        here="failures",
        offer=found,
        chosen=len(set(id)),
        off_limits=chosen.off_limits,
        outlooks=await outlook(database, found.image_ids),
        sealed=seal(_PURPOSE, question),
        answer="describe-again",
        about="",
        fresh=0,
        more=False,
    )


@router.post("/describe-again")
async def describe_again(
    viewer: CurrentViewer, database: Metadata, question: Annotated[str, Form()]
) -> RedirectResponse:
    """Ask for images to be described again. The same form sent twice is one request."""
    asked = answered(viewer, unseal(_PURPOSE, question, max_age=LONGEST_THOUGHT))
    seen = [SeenRow(*one) for one in asked["seen"]]
    chosen = await _selection(viewer, database, [one.image_id for one in seen])
    if not chosen.editable:
        raise HTTPException(403, NOT_AN_EDITOR)
    price = price_told(asked, len(seen))
    done = await database.write_now(ask_again, asked["request"], viewer.name, seen, chosen.editable, price)
    moved_on = len(seen) - len(done.image_ids)
    return RedirectResponse(f"asked?request_id={asked['request']}&moved_on={moved_on}", status_code=303)


@router.get("/asked")
async def show_asked(
    request: Request,
    request_id: str,
    viewer: CurrentViewer,
    dag_ids: ReadableDags,
    database: Metadata,
    moved_on: Annotated[int, Query(ge=0, le=MOST_AT_ONCE)] = 0,
) -> HTMLResponse:
    """Show what has become of a request."""
    found = await database.read_now(follow_up, request_id, dag_ids, viewer.name)
    if found is None:
        raise HTTPException(404, "There is no such request about images that you may see.")
    waiting = await outlook(database, found.pending)
    return page(request, "asked.html", here="failures", found=found, outlooks=waiting, moved_on=moved_on)


def new_question(viewer: Viewer, found: Offer) -> dict[str, Any]:
    """Give what every question holds: to whom it was put, a number of its own, and the price that was named."""
    price = found.prices[0] if len(found.prices) == 1 else None
    return {
        "user": viewer.user.get_id(),
        "request": f"asked/{secrets.token_urlsafe(16)}",
        "price": None if price is None or price.each is None else [str(price.each), price.currency],
    }


def answered(viewer: Viewer, asked: dict[str, Any]) -> dict[str, Any]:
    """Give a question back that this user answers.

    :raises HTTPException: 403 if it was put to another user.
    """
    if asked["user"] != viewer.user.get_id():
        raise HTTPException(403, "This question was put to another user. Open the page again.")
    return asked


def price_told(asked: dict[str, Any], images: int) -> Price | None:
    """Give the price that a question has named; None where it named none, or several."""
    price = asked["price"]
    return None if price is None else Price(images, Decimal(price[0]), price[1])


async def _selection(viewer: Viewer, database: Database, image_ids: list[int]) -> _Selection:
    belonging = await database.read_now(owners, image_ids)
    editable = await viewer.editable(set(belonging.values()))
    readable = await viewer.readable(set(belonging.values()))
    off_limits: dict[str, int] = {}
    for dag_id in belonging.values():
        if dag_id in readable - editable:
            off_limits[str(dag_id)] = off_limits.get(str(dag_id), 0) + 1
    return _Selection(editable, dict(sorted(off_limits.items())))
