"""Where a batch stands, as JSON: numbers for programs, and words for the pages' script."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from airflow_midjourney.describe.table.batches import read_batch
from airflow_midjourney.web.dependencies import AskedText, Metadata
from airflow_midjourney.web.security.access import CurrentViewer
from airflow_midjourney.web.snapshots import look_at
from airflow_midjourney.web.wording.batch import numbers, words

router = APIRouter(prefix="/api")


@router.get("/batch")
async def batch_numbers(id: AskedText, viewer: CurrentViewer, database: Metadata) -> dict[str, Any]:  # noqa: A002
    """Give where a batch stands."""
    batch = await database.read_now(read_batch, id)
    await viewer.require_read(batch.origin.dag_id)
    look = await look_at(database, batch)
    return {**numbers(look.found), "ask_again_after": round(look.ask_again_after, 1), "words": words(look.found)}
