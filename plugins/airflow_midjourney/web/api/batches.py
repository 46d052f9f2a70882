"""Where a batch stands, as JSON."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from airflow_midjourney.describe.table.overview import overview
from airflow_midjourney.web.access import CurrentViewer
from airflow_midjourney.web.batch_numbers import numbers
from airflow_midjourney.web.metadata import Metadata

router = APIRouter(prefix="/api")


@router.get("/batch")
async def batch_numbers(id: str, viewer: CurrentViewer, database: Metadata) -> dict[str, Any]:  # noqa: A002
    """Give where a batch stands."""
    found = await database.read_now(overview, id)
    await viewer.require_read(found.batch.origin.dag_id)
    return numbers(found)
