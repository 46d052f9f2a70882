"""The list of batches, and the page of one."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from airflow_midjourney.describe.table.batch_list import Wanted, known_dags, list_batches
from airflow_midjourney.describe.table.overview import overview
from airflow_midjourney.web.access import CurrentViewer
from airflow_midjourney.web.metadata import Metadata
from airflow_midjourney.web.rendering import page

router = APIRouter()

#: Batches on a page of the list.
PAGE_SIZE = 20


@router.get("/")
async def front_page() -> RedirectResponse:
    """Lead to the first page."""
    return RedirectResponse("batches")


@router.get("/batches")
async def show_batches(request: Request, viewer: CurrentViewer, database: Metadata) -> HTMLResponse:
    """List the batches of all DAGs that the viewer may see."""
    readable = await viewer.readable(await database.read_now(known_dags))
    found = await database.read_now(list_batches, readable, Wanted(), PAGE_SIZE)
    return page(request, "batches.html", here="batches", found=found)


@router.get("/batch")
async def show_batch(id: str, request: Request, viewer: CurrentViewer, database: Metadata) -> HTMLResponse:  # noqa: A002
    """Show where a batch stands."""
    found = await database.read_now(overview, id)
    await viewer.require_read(found.batch.origin.dag_id)
    return page(request, "batch.html", here="batches", found=found)
