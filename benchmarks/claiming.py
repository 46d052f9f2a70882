"""How many images a second one process can claim and record, with more or fewer finished rows beside them."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.engine.answers.posts import Posted, record_posts
from airflow_midjourney.describe.service.submit_response import Accepted
from airflow_midjourney.describe.table import claims, leases
from airflow_midjourney.describe.table.claims import ClaimResult
from benchmarks.engine import NO_LIMIT
from benchmarks.filling import fill
from tests.support import rows

if TYPE_CHECKING:
    from airflow_midjourney.describe.table.database import Database

CLAIMS: Final = 1600
TOGETHER: Final = 16

_ACCOUNT: Final = replace(rows.ACCOUNT, max_in_flight=NO_LIMIT)


def measured_claims(database: Database, finished: int) -> float:
    """Claim and record images, and leave them finished.

    :param finished: finished rows to write before.
    :return: claims a second.
    """
    if finished:
        fill(database, f"few-{finished}", finished, _ACCOUNT.identity)
    prefix = f"claims-{finished}/"
    with database.writing() as tx:
        batch = rows.open_batch(tx, run_id=prefix)
        rows.list_images(tx, [rows.listed(f"{prefix}{number:06}.jpg") for number in range(CLAIMS)])
    began = time.perf_counter()
    for number in range(CLAIMS // TOGETHER):
        with database.writing() as tx:
            wanted = [
                rows.request(batch, row, f"{prefix}{row.id}") for row in leases.reserve(tx, batch, "holder", TOGETHER)
            ]
        with database.writing() as tx:
            results = claims.claim(tx, wanted, _ACCOUNT)
        with database.writing() as tx:
            posts = [Posted(one, Accepted(f"{number}-{one.image_id}", 200, 1)) for one in wanted]
            record_posts(tx, _ACCOUNT, posts)
        if set(results) != {ClaimResult.CLAIMED}:
            raise SystemExit(f"not all are claimed: {set(results)}")
    seconds = time.perf_counter() - began
    with database.writing() as tx:
        images = tx.tables.images
        mine = images.update().where(images.c.account == _ACCOUNT.identity, images.c.status == "submitted")
        tx.connection.execute(mine.values(status="succeeded", ended_at=tx.now))
    return CLAIMS / seconds
