"""The pictures of the pages, asked for by the numbers of rows."""

from __future__ import annotations

import logging
import threading
import time
from typing import Annotated, Final, Literal

from cachetools import TTLCache
from fastapi import APIRouter, Header, HTTPException
from fastapi.responses import Response

from airflow_midjourney.describe.queries.image import stored_object
from airflow_midjourney.describe.queries.owners import owners
from airflow_midjourney.settings import read_settings
from airflow_midjourney.web import pictures
from airflow_midjourney.web.dependencies import AskedRow, Metadata
from airflow_midjourney.web.pictures import NoPictureError, NoPicturesError, Pictures, tag
from airflow_midjourney.web.security.access import CurrentViewer

log = logging.getLogger(__name__)

router = APIRouter()

_SIDES: Final = {"small": pictures.SMALL, "large": pictures.LARGE}

#: A version of an image never changes. A user who loses the right to see it has seen it.
_KEPT: Final = "private, max-age=86400"

#: What is wrong may be mended soon.
_KEPT_WITHOUT_PICTURE: Final = "private, max-age=30"

_pictures: Final = Pictures()

#: What the log has said lately.
_warned: Final[TTLCache[str, bool]] = TTLCache(100, 60.0, time.monotonic)
_warned_lock: Final = threading.Lock()


@router.get("/picture")
async def show_picture(
    id: AskedRow,  # noqa: A002
    viewer: CurrentViewer,
    database: Metadata,
    size: Literal["small", "large"] = "small",
    if_none_match: Annotated[str, Header()] = "",
) -> Response:
    """Give a small picture of an image; an image that says why, where there is none."""
    owner = (await database.read_now(owners, [id])).get(id)
    if not read_settings().gallery_images or not await viewer.may_read(owner) or owner is None:
        raise HTTPException(404, "There is no such picture.")
    stored = await database.read_now(stored_object, id, frozenset({owner}))
    if stored is None:
        return _no_picture("no object")
    etag = f'"{tag(stored, _SIDES[size])}"'
    headers = {"Cache-Control": _KEPT, "ETag": etag}
    if etag in if_none_match:
        return Response(status_code=304, headers=headers)
    try:
        body = await _pictures.get(stored, _SIDES[size])
    except NoPictureError as error:
        _warn_once(id, error)
        if isinstance(error, NoPicturesError):
            # An error for the browser, so that the page can say it once above all pictures.
            raise HTTPException(503, f"{error}.", {"Cache-Control": _KEPT_WITHOUT_PICTURE}) from None
        return _no_picture(str(error))
    return Response(body, media_type=pictures.MEDIA_TYPE, headers=headers)


def _warn_once(image_id: int, error: NoPictureError) -> None:
    """Log what only an administrator can mend, unless the log has it already: a page asks for 48 pictures at once."""
    if not error.trouble:
        return
    with _warned_lock:
        known = error.trouble in _warned
        _warned[error.trouble] = True
    if not known:
        log.warning("No picture of row %s, and perhaps of others: %s", image_id, error.__cause__)


def _no_picture(why: str) -> Response:
    """Give a drawing of a few of our own words: a page of them stays readable without scripts."""
    drawing = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 240 160" font-family="system-ui, sans-serif"'
        ' font-size="13" text-anchor="middle"><rect width="240" height="160" fill="#8884"/>'
        '<text x="120" y="78" fill="#888">no picture</text>'
        f'<text x="120" y="98" fill="#888">{why}</text></svg>'
    )
    return Response(drawing, media_type="image/svg+xml", headers={"Cache-Control": _KEPT_WITHOUT_PICTURE})
