"""Pausing and resuming an account by a program with a token of Airflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel

from airflow_midjourney.web.dependencies import AskedText, Metadata
from airflow_midjourney.web.pausing import account_of, known_state, pause, resume
from airflow_midjourney.web.security.access import CurrentViewer

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_midjourney.describe.table.database import Database

router = APIRouter(prefix="/api/account")


class AccountOrder(BaseModel):
    """What a program orders.

    :param connection: the Midjourney connection whose account it is.
    :param paused_at: for resuming: the pause to end, as a look at the account gave it; else the one that there is.
    """

    connection: str
    paused_at: AwareDatetime | None = None


@router.get("")
async def show_account(connection: AskedText, viewer: CurrentViewer, database: Metadata) -> dict[str, Any]:
    """Say whether the account of a connection is paused, by whom and since when."""
    await viewer.require_connection(connection, "GET")
    return await _told(database, connection)


@router.post("/pause")
async def pause_account(order: AccountOrder, viewer: CurrentViewer, database: Metadata) -> dict[str, Any]:
    """Stop all submissions over an account."""
    changed = await pause(database, viewer, order.connection)
    return {"changed": changed, **await _told(database, order.connection)}


@router.post("/resume")
async def resume_account(order: AccountOrder, viewer: CurrentViewer, database: Metadata) -> dict[str, Any]:
    """Let an account go on."""
    await viewer.require_connection(order.connection, "PUT")
    paused_at = order.paused_at
    if paused_at is None:
        state = await database.read_now(known_state, await account_of(order.connection))
        paused_at = None if state is None else state.paused_at
    changed = await resume(database, viewer, order.connection, paused_at)
    return {"changed": changed, **await _told(database, order.connection)}


async def _told(database: Database, conn_id: str) -> dict[str, Any]:
    state = await database.read_now(known_state, await account_of(conn_id))
    return {
        "connection": conn_id,
        "paused": state is not None and state.paused,
        "paused_by": state.paused_by if state else None,
        "paused_at": _moment(state.paused_at) if state else None,
        "resumed_by": state.resumed_by if state else None,
        "resumed_at": _moment(state.resumed_at) if state else None,
        "in_flight": state.in_flight if state else 0,
    }


def _moment(moment: datetime | None) -> str | None:
    """Give a moment to the microsecond: it is given back to name the pause."""
    return None if moment is None else moment.isoformat()
