"""The list of batches, the page of one, and what the tabs of a task in Airflow show."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import AwareDatetime

from airflow_midjourney.describe.queries.batches import BatchCursor, BatchPage, WantedBatches, known_dags, list_batches
from airflow_midjourney.describe.table.batches import read_batch
from airflow_midjourney.describe.table.counts import Counts
from airflow_midjourney.links import list_address
from airflow_midjourney.web.dependencies import AskedText, Metadata
from airflow_midjourney.web.rendering import page
from airflow_midjourney.web.security.access import CurrentViewer
from airflow_midjourney.web.snapshots import look_at
from airflow_midjourney.web.wording.batch import BAR_WIDTH, segments, words

if TYPE_CHECKING:
    from collections.abc import Collection

router = APIRouter()

#: Batches on a page of the list.
BATCHES_ON_A_PAGE: Final = 20

_MAP_INDEX: Final = re.compile("-?[0-9]{1,9}")


@dataclass(frozen=True)
class BatchFilters:
    """What the address of a list asks for; what is empty, or was not filled in by Airflow, asks for nothing."""

    dag_id: AskedText = ""
    run_id: AskedText = ""
    task_id: AskedText = ""
    map_index: AskedText = ""

    @property
    def wanted(self) -> WantedBatches:
        """The same for the table."""
        return WantedBatches(self.run_id or None, self.task_id or None, self._map_index)

    @property
    def _map_index(self) -> int | None:
        # Airflow leaves {MAP_INDEX} as it is for a task that is not mapped.
        return int(self.map_index) if _MAP_INDEX.fullmatch(self.map_index) else None

    def of(self, dag_ids: Collection[str]) -> Collection[str]:
        """Give those of some DAGs that are asked for."""
        return [dag_id for dag_id in dag_ids if dag_id == self.dag_id] if self.dag_id else dag_ids

    def address(self, **more: str) -> str:
        """Give where the list with these filters is, below our top."""
        return list_address(**{**asdict(self), **more})

    def without(self, name: str) -> str:
        """Give where the list without one of these filters is."""
        return self.address(**{name: ""})


Filtered = Annotated[BatchFilters, Depends()]


@router.get("/")
async def front_page() -> RedirectResponse:
    """Lead to the first page."""
    return RedirectResponse("batches")


@router.get("/batches")
async def show_batches(
    request: Request,
    viewer: CurrentViewer,
    database: Metadata,
    filters: Filtered,
    before: AwareDatetime | None = None,
    before_id: AskedText = "",
) -> HTMLResponse:
    """List batches of DAGs that the viewer may see, newest first."""
    readable = await viewer.readable(await database.read_now(known_dags))
    place = None if before is None else BatchCursor(before, before_id)
    found = await database.read_now(list_batches, filters.of(readable), filters.wanted, BATCHES_ON_A_PAGE, place)
    return _list(request, found, filters, readable, is_first=place is None)


@router.get("/batch")
async def show_batch(
    id: AskedText,  # noqa: A002
    request: Request,
    viewer: CurrentViewer,
    database: Metadata,
    moved_on: bool = False,
) -> HTMLResponse:
    """Show where a batch stands.

    :param moved_on: the account was paused or resumed by another person before this one's order.
    """
    batch = await database.read_now(read_batch, id)
    await viewer.require_read(batch.origin.dag_id)
    look = await look_at(database, batch)
    return page(
        request,
        "batch.html",
        here="batches",
        found=look.found,
        words=words(look.found),
        bar_width=BAR_WIDTH,
        moved_on=moved_on,
        may_pause=await viewer.may_edit_connection(batch.options.mj_conn_id),
    )


@router.get("/task")
async def show_task(request: Request, viewer: CurrentViewer, database: Metadata, filters: Filtered) -> HTMLResponse:
    """Show the batch of a task, for its tab in Airflow. A task without one, such as a sensor, has those of its run."""
    await viewer.require_read(filters.dag_id)
    for asked in (filters, BatchFilters(filters.dag_id, filters.run_id)):
        found = await database.read_now(list_batches, [asked.dag_id], asked.wanted, BATCHES_ON_A_PAGE)
        if len(found.batches) == 1:
            return await show_batch(found.batches[0].batch_id, request, viewer, database)
        if found.batches:
            break
    return _list(request, found, asked, [asked.dag_id], is_first=True)


def _list(
    request: Request, found: BatchPage, filters: BatchFilters, dag_ids: Collection[str], *, is_first: bool
) -> HTMLResponse:
    following = None
    if found.following is not None:
        following = filters.address(before=found.following.started_at.isoformat(), before_id=found.following.batch_id)
    return page(
        request,
        "batches.html",
        here="batches",
        found=found,
        filters=filters,
        dag_ids=sorted(dag_ids),
        is_first=is_first,
        following=following,
        bar_width=BAR_WIDTH,
        empty_segments=segments(Counts()),
    )
