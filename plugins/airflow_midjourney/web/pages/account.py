"""The button that pauses or resumes the account of a batch."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse
from pydantic import AwareDatetime

from airflow_midjourney.describe.table.batches import read_batch
from airflow_midjourney.links import batch_address
from airflow_midjourney.web.dependencies import Metadata
from airflow_midjourney.web.pausing import pause, resume
from airflow_midjourney.web.security.access import CurrentViewer

router = APIRouter()


class Order(StrEnum):
    """What the button does."""

    PAUSE = "pause"
    RESUME = "resume"


@router.post("/account")
async def change_account(
    viewer: CurrentViewer,
    database: Metadata,
    batch_id: Annotated[str, Form(max_length=4000)],
    order: Annotated[Order, Form()],
    paused_at: Annotated[AwareDatetime | None, Form()] = None,
) -> RedirectResponse:
    """Pause or resume the account that pays for a batch, and lead back to the batch.

    :param paused_at: of the pause that the person was shown, for resuming.
    """
    batch = await database.read_now(read_batch, batch_id)
    await viewer.require_read(batch.origin.dag_id)
    conn_id = batch.options.mj_conn_id
    if order is Order.PAUSE:
        changed = await pause(database, viewer, conn_id)
    else:
        changed = await resume(database, viewer, conn_id, paused_at)
    return RedirectResponse(batch_address(batch_id) + ("" if changed else "&moved_on=1"), status_code=303)
