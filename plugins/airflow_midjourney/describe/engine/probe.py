"""After a no of the service, one worker at a time reads and encodes an image to try whether it accepts again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_midjourney.describe.table import accounts

if TYPE_CHECKING:
    from airflow_midjourney.describe.engine.context import Worker


async def take_turn(worker: Worker) -> bool:
    """Say whether this worker may read an image; while the service accepts, all may."""
    database, identity = worker.database, worker.account.identity
    if (await database.read(accounts.read_account, identity)).blocked_reason is None:
        return True
    worker.probe_until = await database.write(accounts.take_probe_turn, identity)
    return worker.probe_until is not None


async def end_turn(worker: Worker) -> None:
    """Let the image that was read be claimed, or another worker have the turn."""
    until, worker.probe_until = worker.probe_until, None
    if until is not None:
        await worker.database.write(accounts.end_probe_turn, worker.account.identity, until)
