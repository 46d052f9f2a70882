"""The engine as a task of Airflow puts it together, on the stand-ins."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.model.batch import BatchOptions, Origin, Scope
from airflow_midjourney.describe.table.batches import open_batch
from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.describe.table.migrations import ensure_tables
from benchmarks.servers import our_s3_client
from benchmarks.stand_ins.endless_bucket import PREFIX
from tests.support.engine import Engine
from tests.support.postgres import running_postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.database import Database

DATABASES: Final = ("postgres", "sqlite")

#: More than any measurement has on its way: what is measured is the engine, not the slots of an account.
NO_LIMIT: Final = 1_000_000


@contextmanager
def database_url(kind: str) -> Iterator[str]:
    """Give the URL of an empty database that is gone after the block."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        if kind == "sqlite":
            yield f"sqlite:///{folder}/image_prompts.sqlite"
        else:
            with running_postgres(Path(folder) / "postgres") as url:
                yield url


@contextmanager
def opened(url: str) -> Iterator[Database]:
    """Open a database with its tables."""
    database = open_database(url)
    try:
        ensure_tables(database)
        yield database
    finally:
        database.close()


def engine_on(database: Database, s3_url: str, service_url: str) -> Engine:
    """Give an engine for the stand-ins."""
    return Engine(
        database, our_s3_client(s3_url), service_url, account={"max_in_flight": NO_LIMIT, "poll_interval": 3.0}
    )


async def begin(database: Database, bucket: str, run_id: str) -> Batch:
    """Open the batch of a new run over all images of a bucket."""
    options = BatchOptions(suffixes=(".jpg",))
    origin = Origin("benchmark", run_id, "submit", try_number=1)
    return await database.write(open_batch, Scope(bucket, (PREFIX,)), options, origin)
