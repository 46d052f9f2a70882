"""``python -m benchmarks.waiting_batches N SENT FILE``: N batches of one image each, of which some are on their way.

The others have no room. Their ids go to the file. Started by *triggers*, in an Airflow of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_midjourney.describe.engine.loop import work_off
from airflow_midjourney.describe.model.batch import BatchOptions, Origin, Scope
from airflow_midjourney.describe.table import batches
from airflow_midjourney.describe.table.accounts import ensure_account
from airflow_midjourney.hooks.image_prompts import open_metadata
from airflow_midjourney.hooks.midjourney import MidjourneyHook
from airflow_midjourney.runtime import open_worker
from benchmarks.crowd import key_of, prefix_of
from tests.support.rows import BUCKET, list_images, listed

if TYPE_CHECKING:
    from airflow_midjourney.describe.table.database import Transaction


def waiting_batch(tx: Transaction, number: int, *, listed_already: bool) -> str:
    """Open a batch as an operator does."""
    origin = Origin("describe_images", f"run-{number}", "submit", try_number=1)
    batch = batches.open_batch(tx, Scope(BUCKET, (prefix_of(number),)), BatchOptions(), origin)
    if listed_already:
        list_images(tx, [listed(key_of(number))])
        batches.end_listing(tx, batch.batch_id)
    return batch.batch_id


async def send(batch_ids: list[str]) -> None:
    """Submit the images of these batches."""
    for batch_id in batch_ids:
        async with open_worker("image_prompts_db", batch_id, 1) as worker:
            await work_off(worker, batch_id)


def main() -> None:
    """Make the batches."""
    parser = argparse.ArgumentParser(prog="benchmarks.waiting_batches", description=__doc__)
    parser.add_argument("number", type=int)
    parser.add_argument("sent", type=int)
    parser.add_argument("ids", type=Path)
    given = parser.parse_args()
    with open_metadata().writing() as tx:
        ensure_account(tx, MidjourneyHook().account())
        ids = [waiting_batch(tx, number, listed_already=number >= given.sent) for number in range(given.number)]
    asyncio.run(send(ids[: given.sent]))
    given.ids.write_text(json.dumps(ids), encoding="utf-8")


if __name__ == "__main__":
    main()
