"""The plugin's pages: read-only, for users who may see the DAG that a batch belongs to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse

from airflow_midjourney.describe.errors import BatchError, DescribeError
from airflow_midjourney.describe.table.overview import overview
from airflow_midjourney.hooks.image_prompts import open_metadata
from airflow_midjourney.web.batch_page import numbers, render

if TYPE_CHECKING:
    from airflow_midjourney.describe.table.overview import BatchOverview

#: A page runs no script, loads nothing, and is framed by Airflow alone.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}

app = FastAPI(title="Midjourney describe", docs_url=None, redoc_url=None, openapi_url=None)


# Airflow puts no login in front of a plugin's app, so every route asks for the user.
@app.get("/batches", response_class=HTMLResponse)
async def show_batch(batch: str, request: Request, user: GetUserDep) -> HTMLResponse:
    """Show where a batch stands."""
    return HTMLResponse(render(await _look(batch, request, user)), headers=_HEADERS)


@app.get("/api/batches")
async def batch_numbers(batch: str, request: Request, user: GetUserDep) -> dict[str, Any]:
    """Give where a batch stands, as JSON."""
    return numbers(await _look(batch, request, user))


async def _look(batch_id: str, request: Request, user: Any) -> BatchOverview:
    try:
        database = await asyncio.to_thread(open_metadata)
        found = await database.read(overview, batch_id)
    except BatchError:
        raise HTTPException(404, "There is no such batch.") from None
    except DescribeError as error:
        raise HTTPException(503, str(error)) from None
    may_see = requires_access_dag("GET", param_dag_id=found.batch.origin.dag_id)
    await asyncio.to_thread(may_see, request, user)
    return found
