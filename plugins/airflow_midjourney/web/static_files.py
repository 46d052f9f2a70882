"""Style and scripts. They are no secret, and yet behind the login: one rule for every address of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response
from starlette.staticfiles import StaticFiles

router = APIRouter()

STATIC: Final = Path(__file__).parent / "static"

_FILES: Final = StaticFiles(directory=STATIC)

#: Asked for anew each time, and sent only if it has changed.
_CACHE: Final = "private, no-cache"


@router.get("/static/{name}")
async def static_file(name: str, request: Request) -> Response:
    """Give a file of the folder ``static``."""
    if name not in {path.name for path in STATIC.iterdir()}:
        raise HTTPException(404, "There is no such file.")
    answer = await _FILES.get_response(name, request.scope)
    answer.headers["Cache-Control"] = _CACHE
    return answer
