"""Filters of the gallery as they are in an address, so that a view can be linked to."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import urlencode

from fastapi import Depends, HTTPException, Query

from airflow_midjourney.describe.model.status import BotType, Reason, Status
from airflow_midjourney.describe.queries.filters import Filters, Span
from airflow_midjourney.describe.queries.gallery import Cursor
from airflow_midjourney.describe.table.batches import read_batch
from airflow_midjourney.web.dependencies import AskedText, Metadata
from airflow_midjourney.web.security.access import CurrentViewer
from airflow_midjourney.web.security.signing import seal, unseal

E = TypeVar("E", bound=StrEnum)

#: More of a text or a prefix than anybody types.
LONGEST: Final = 1100

#: What a form sends where every status, or any time, is wanted; without a word the gallery shows described images, and
#: the failures are those of the last week.
ANY: Final = "any"

#: What an address says for images that hold a slot, be they ``submitting`` or ``submitted``.
HOLDING_A_SLOT: Final = "in_flight"

#: What it says for images that a batch has had accepted, and pays for.
BILLED: Final = "billed"

#: Such words, which are no status of a row.
_NO_STATUS: Final = (ANY, HOLDING_A_SLOT, BILLED)

_Text = Annotated[str, Query(max_length=LONGEST)]

_S3: Final = "s3://"


async def read_filters(
    text: _Text = "",
    status: str = "",
    reason: str = "",
    prefix: _Text = "",
    dag_id: _Text = "",
    run_id: _Text = "",
    bot_type: str = "",
    batch: AskedText = "",
) -> Filters:
    """Read what a form sent; fields left empty do not matter.

    :raises HTTPException: 422 for a status, reason or bot that there is not.
    """
    under = prefix.strip()
    if status == BILLED and not batch:
        raise HTTPException(422, f"status={BILLED} is of a batch: name it with batch=.")
    return Filters(
        text=text.strip(),
        status=None if status in _NO_STATUS else _one_of(Status, "status", status),
        reason=_one_of(Reason, "reason", reason),
        prefix=under if not under or under.startswith(_S3) else f"{_S3}{under.lstrip('/')}",
        dag_id=dag_id.strip(),
        run_id=run_id.strip(),
        bot_type=_one_of(BotType, "bot_type", bot_type),
        batch=batch,
        in_flight=status == HOLDING_A_SLOT,
        billed=status == BILLED,
    )


#: The type of a route's argument that is to be the filters of its address.
WantedImages = Annotated[Filters, Depends(read_filters)]


async def read_gallery_filters(
    filters: WantedImages, viewer: CurrentViewer, database: Metadata, status: str = ""
) -> Filters:
    """Read what the gallery's form sent: unless it says otherwise, described images are wanted.

    :raises HTTPException: as :func:`require_batch`.
    """
    await require_batch(filters, viewer, database)
    return filters if status or filters.reason is not None else replace(filters, status=Status.SUCCEEDED)


#: The same for the gallery.
WantedInGallery = Annotated[Filters, Depends(read_gallery_filters)]


async def read_review_filters(filters: WantedImages, viewer: CurrentViewer, database: Metadata) -> Filters:
    """Read what the form of the review page sent: described images, whatever it says of a status.

    :raises HTTPException: as :func:`require_batch`.
    """
    await require_batch(filters, viewer, database)
    return replace(filters, status=Status.SUCCEEDED, reason=None, in_flight=False)


#: The same for the review page.
WantedForReview = Annotated[Filters, Depends(read_review_filters)]


async def read_failure_filters(
    status: str = "",
    reason: str = "",
    dag_id: _Text = "",
    run_id: _Text = "",
    within: str = "",
    batch: AskedText = "",
) -> Filters:
    """Read what the form of the failures sent: unless it says otherwise, those of the last week are wanted.

    :raises HTTPException: 422 for a reason or a time that there is not.
    """
    is_doubtful = Status.IN_DOUBT.value in (status, reason)
    return Filters(
        status=Status.IN_DOUBT if is_doubtful else None,
        reason=None if is_doubtful else _one_of(Reason, "reason", reason),
        dag_id=dag_id.strip(),
        run_id=run_id.strip(),
        within=None if within == ANY else _one_of(Span, "within", within) or Span.WEEK,
        batch=batch,
    )


async def allowed_failure_filters(
    filters: Annotated[Filters, Depends(read_failure_filters)], viewer: CurrentViewer, database: Metadata
) -> Filters:
    """Read what the form of the failures sent.

    :raises HTTPException: as :func:`require_batch`.
    """
    await require_batch(filters, viewer, database)
    return filters


#: The type of a route's argument that is to be the filters of an address of failures.
WantedFailures = Annotated[Filters, Depends(allowed_failure_filters)]


async def require_batch(filters: Filters, viewer: CurrentViewer, database: Metadata) -> None:
    """Refuse a filter by a batch that the viewer may not see: it would tell what is in its scope, and since when.

    :raises HTTPException: 403 without the right, 404 if there is no such batch.
    """
    if filters.batch:
        batch = await database.read_now(read_batch, filters.batch)
        await viewer.require_read(batch.origin.dag_id)


def failures_query(filters: Filters, **more: str | None) -> str:
    """Give the query of an address of failures: it always says of which time."""
    return query_of(filters, **({"within": filters.within or ANY} | more))


def query_of(filters: Filters, **more: str | None) -> str:
    """Give the query of an address, with ``?``; nothing where nothing is filtered."""
    values: dict[str, Any] = {field.name: getattr(filters, field.name) for field in fields(filters)} | more
    for name, word in (("in_flight", HOLDING_A_SLOT), ("billed", BILLED)):
        if values.pop(name):
            values["status"] = word
    given = {name: str(value) for name, value in values.items() if value}
    return f"?{urlencode(given)}" if given else "?"


def sealed(filters: Filters, cursor: Cursor | None) -> str | None:
    """Give a cursor as text. It may name a row that its reader may not see, so it is signed."""
    if cursor is None:
        return None
    ended_at = None if cursor.ended_at is None else cursor.ended_at.isoformat()
    return seal(_purpose(filters), [cursor.row_id, cursor.backwards, ended_at])


def unsealed(filters: Filters, text: str) -> Cursor | None:
    """Give a cursor back.

    :raises HTTPException: 400 if it was not made for these filters.
    """
    if not text:
        return None
    row_id, backwards, ended_at = unseal(_purpose(filters), text)
    return Cursor(int(row_id), bool(backwards), ended_at and datetime.fromisoformat(ended_at))


def _purpose(filters: Filters) -> str:
    return f"cursor {query_of(filters)}"


def _one_of(kind: type[E], name: str, value: str) -> E | None:
    if not value:
        return None
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(kind)
        raise HTTPException(422, f"{name} is one of {known}.") from None
