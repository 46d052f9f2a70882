"""Pausing and resuming the account of a connection, for the page and for programs: the rights, the write, the log."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from airflow_midjourney.describe.table.accounts import AccountState, has_account, read_account
from airflow_midjourney.describe.table.orders.pauses import SeenPause, pause_accounts, resume_accounts
from airflow_midjourney.web.snapshots import forget_looks

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.table.database import Database, Transaction
    from airflow_midjourney.web.security.access import Viewer

log = logging.getLogger(__name__)


async def pause(database: Database, viewer: Viewer, conn_id: str) -> bool:
    """Pause the account of a connection.

    :return: False if it was paused already.
    :raises HTTPException: 403 without the right to edit the connection.
    """
    await viewer.require_connection(conn_id, "PUT")
    account = await account_of(conn_id)
    changed = bool(await database.write_now(pause_accounts, [account], viewer.name))
    if changed:
        _tell(database, viewer, "paused", conn_id)
    return changed


async def resume(database: Database, viewer: Viewer, conn_id: str, paused_at: datetime | None) -> bool:
    """Let the account of a connection go on.

    :param paused_at: of the pause that the person was shown.
    :return: False if that pause is over, or the account was paused anew.
    :raises HTTPException: 403 without the right to edit the connection.
    """
    await viewer.require_connection(conn_id, "PUT")
    seen = SeenPause(await account_of(conn_id), paused_at)
    changed = bool(await database.write_now(resume_accounts, [seen], viewer.name))
    if changed:
        _tell(database, viewer, "resumed", conn_id)
    return changed


async def account_of(conn_id: str) -> AccountSettings:
    """Give the account behind a connection.

    :raises DescribeError: if the connection cannot be read here.
    """
    from airflow_midjourney.hooks.midjourney import MidjourneyHook

    return await asyncio.to_thread(MidjourneyHook(conn_id).account)


def known_state(tx: Transaction, account: AccountSettings) -> AccountState | None:
    """Give the state of an account; None where it was never used. Reads only."""
    return read_account(tx, account.identity) if has_account(tx, account.identity) else None


def _tell(database: Database, viewer: Viewer, what: str, conn_id: str) -> None:
    log.info("%s has %s the account of connection %r.", viewer.name, what, conn_id)
    forget_looks(database)
