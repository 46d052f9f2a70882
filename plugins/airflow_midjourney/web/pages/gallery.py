"""Pictures beside their prompts, and the page of one image."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse

from airflow_midjourney.describe.admin.redescribe import ASKABLE
from airflow_midjourney.describe.model.status import BotType, Reason, Status
from airflow_midjourney.describe.queries.filters import Filters
from airflow_midjourney.describe.queries.gallery import turn_page
from airflow_midjourney.describe.queries.image import look_at_image
from airflow_midjourney.describe.queries.owners import owners
from airflow_midjourney.settings import read_settings
from airflow_midjourney.web.dependencies import AskedRow, Metadata, ReadableDags
from airflow_midjourney.web.filters import ANY, BILLED, HOLDING_A_SLOT, WantedInGallery, query_of, sealed, unsealed
from airflow_midjourney.web.rendering import page
from airflow_midjourney.web.security.access import CurrentViewer

router = APIRouter()

#: Images on a page.
IMAGES_ON_A_PAGE: Final = 48

#: Filters that few need, and that the page folds away until one is used.
_SELDOM: Final = ("prefix", "run_id", "bot_type", "batch")


@router.get("/gallery")
async def show_gallery(
    request: Request, dag_ids: ReadableDags, database: Metadata, filters: WantedInGallery, beside: str = ""
) -> HTMLResponse:
    """Show a page of images with their prompts."""
    found = await database.read_now(turn_page, filters, dag_ids, unsealed(filters, beside), IMAGES_ON_A_PAGE)
    return page(
        request,
        "gallery.html",
        here="gallery",
        found=found,
        filters=filters,
        is_filtered=filters != Filters(status=Status.SUCCEEDED),
        any_status=ANY,
        seldom_open=any(getattr(filters, name) for name in _SELDOM),
        chosen_status=_chosen_status(filters),
        choices={
            "status": [*Status, HOLDING_A_SLOT, *([BILLED] if filters.batch else [])],
            "reason": list(Reason),
            "bot_type": list(BotType),
            "dag_id": sorted(dag_ids),
        },
        following=_beside(filters, sealed(filters, found.following)),
        preceding=_beside(filters, sealed(filters, found.preceding)),
        latest=_address(filters) if beside else None,
        review=f"review{query_of(replace(filters, status=None, reason=None, in_flight=False))}",
        pictures=read_settings().gallery_images,
    )


@router.get("/image")
async def show_image(
    id: AskedRow,  # noqa: A002
    request: Request,
    viewer: CurrentViewer,
    dag_ids: ReadableDags,
    database: Metadata,
) -> HTMLResponse:
    """Show all that is known about an image."""
    found = await database.read_now(look_at_image, id, dag_ids)
    if found is None:
        raise HTTPException(404, "There is no such image among the images that you may see.")
    owner = (await database.read_now(owners, [id])).get(id)
    askable = found.row["status"] in ASKABLE and found.row["is_current"]
    return page(
        request,
        "image.html",
        here="gallery",
        found=found,
        row=found.row,
        owner=owner,
        prompts=[text for number in range(1, 5) if (text := found.row[f"prompt_{number}"])],
        may_ask=askable and await viewer.may_edit(owner),
        pictures=read_settings().gallery_images,
    )


def _chosen_status(filters: Filters) -> str | None:
    if filters.billed:
        return BILLED
    return HOLDING_A_SLOT if filters.in_flight else filters.status


def _beside(filters: Filters, cursor: str | None) -> str | None:
    return None if cursor is None else _address(filters, beside=cursor)


def _address(filters: Filters, **more: str) -> str:
    return query_of(filters, status=filters.status or ANY, **more)
