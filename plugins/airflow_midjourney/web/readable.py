"""The DAGs whose images somebody may see, for pages that show images of several."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from airflow_midjourney.describe.table.batch_list import known_dags
from airflow_midjourney.web.access import CurrentViewer
from airflow_midjourney.web.metadata import Metadata


async def readable_dags(viewer: CurrentViewer, database: Metadata) -> frozenset[str]:
    """Give the DAGs with batches that the viewer may see."""
    return await viewer.readable(await database.read_now(known_dags))


#: The type of a route's argument that is to be these DAGs.
ReadableDags = Annotated[frozenset[str], Depends(readable_dags)]
