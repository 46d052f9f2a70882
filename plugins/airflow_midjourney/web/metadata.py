"""The metadata database as the pages read it: it makes no tables, and nobody waits for minutes."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Depends

from airflow_midjourney.describe.table.database import Database
from airflow_midjourney.hooks.image_prompts import open_to_look


async def metadata() -> Database:
    """Open the metadata database of the connection ``image_prompts_db``.

    :raises DescribeError: if there is none, it cannot be reached, or it has no tables yet;
        :mod:`airflow_midjourney.web.troubles` makes a page of that.
    """
    return await asyncio.to_thread(open_to_look)


#: The type of a route's argument that is to be the metadata database. Read it with ``read_now``.
Metadata = Annotated[Database, Depends(metadata)]
