"""What changes something is taken from our own pages only, whatever another site makes a browser send."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from fastapi import HTTPException, Request

#: Methods that change nothing.
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


async def refuse_other_sites(request: Request) -> None:
    """Refuse a request that another site made a logged-in user's browser send.

    Every browser says with a form or a fetch that is no plain read where it comes from, and no page can make it lie. A
    program that sends a token of its own instead of the cookie cannot be made to by a page either.

    :raises HTTPException: 403.
    """
    if request.method in _SAFE or _comes_from_here(request):
        return
    raise HTTPException(403, "This came from another site than Airflow's own pages, so nothing was done.")


def _comes_from_here(request: Request) -> bool:
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        return site == "same-origin"
    if origin is not None:
        return urlsplit(origin).netloc == request.headers.get("host")
    return request.headers.get("authorization", "").lower().startswith("bearer ")
