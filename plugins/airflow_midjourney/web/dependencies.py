"""The metadata database as the pages read it: it makes no tables, and gives up after seconds."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Depends, Query
from pydantic import Field

from airflow_midjourney.describe.queries.batches import known_dags
from airflow_midjourney.describe.table.database import Database
from airflow_midjourney.hooks.image_prompts import open_to_look
from airflow_midjourney.web.security.access import CurrentViewer


async def metadata() -> Database:
    """Open the metadata database of the connection ``image_prompts_db``.

    :raises DescribeError: if there is none, it cannot be reached, or it has no tables yet;
        :mod:`airflow_midjourney.web.error_pages` makes a page of that.
    """
    return await asyncio.to_thread(open_to_look)


#: The type of a route's argument that is to be the metadata database. Read it with ``read_now``.
Metadata = Annotated[Database, Depends(metadata)]


#: A text that a database takes. No name in Airflow is longer, and none holds a NUL.
AskedText = Annotated[str, Query(pattern=r"^[^\x00]*$", max_length=4000)]

#: The number of a row in a request: no database takes a larger one.
AskedRow = Annotated[int, Field(ge=1, le=2**63 - 1)]


async def readable_dags(viewer: CurrentViewer, database: Metadata) -> frozenset[str]:
    """Give the DAGs with batches that the viewer may see."""
    return await viewer.readable(await database.read_now(known_dags))


#: The type of a route's argument that is to be these DAGs.
ReadableDags = Annotated[frozenset[str], Depends(readable_dags)]


async def editable_dags(viewer: CurrentViewer, database: Metadata) -> frozenset[str]:
    """Give the DAGs with batches that the viewer may edit."""
    return await viewer.editable(await database.read_now(known_dags))


#: The type of a route's argument that is to be these DAGs.
EditableDags = Annotated[frozenset[str], Depends(editable_dags)]
