"""The page on which people decide: one picture large, its prompts beside it. The script asks ``api/reviews.py``."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from airflow_midjourney.settings import read_settings
from airflow_midjourney.web.dependencies import EditableDags
from airflow_midjourney.web.filters import WantedForReview
from airflow_midjourney.web.rendering import page

router = APIRouter()


@router.get("/review")
async def show_review(request: Request, filters: WantedForReview, dag_ids: EditableDags) -> HTMLResponse:
    """Show the page, without an image yet: lending one to a reviewer is no plain look."""
    return page(
        request,
        "review.html",
        here="gallery",
        filters=filters,
        dag_ids=sorted(dag_ids),
        pictures=read_settings().gallery_images,
    )
