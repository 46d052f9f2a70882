"""Whatever goes wrong, as a page that says what to do, or as JSON to scripts; never a stack trace."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from airflow_midjourney.describe.model.errors import BatchError, DescribeError, NoTablesError, SettingsError
from airflow_midjourney.web.rendering import below_the_app, page, root

if TYPE_CHECKING:
    from fastapi import FastAPI, Request
    from starlette.responses import Response

_SETUP: Final = "Nothing to look at yet"


def add_handlers(app: FastAPI) -> None:
    """Let an app answer with these pages."""
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _misspelt)
    app.add_exception_handler(DescribeError, _troubled)
    app.add_exception_handler(Exception, _broken)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - for the type checker
    if error.status_code == HTTPStatus.UNAUTHORIZED:
        return _log_in(request)
    title = {403: "Not for you to see", 404: "There is no such page"}.get(error.status_code)
    return _say(request, error.status_code, title or HTTPStatus(error.status_code).phrase, str(error.detail))


async def _misspelt(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - for the type checker
    wrong = "; ".join(f"{problem['loc'][-1]}: {problem['msg']}" for problem in error.errors())
    return _say(request, 422, "The address is not right", wrong)


async def _troubled(request: Request, error: Exception) -> Response:
    if isinstance(error, BatchError):
        return _say(request, 404, "There is no such batch", str(error))
    if isinstance(error, NoTablesError):
        return _say(request, 503, _SETUP, str(error), setup=True)
    if isinstance(error, SettingsError):
        return _say(request, 503, "One thing is missing", str(error), setup=True)
    return _say(request, 503, "The metadata table cannot be read", str(error))


async def _broken(request: Request, _error: Exception) -> Response:
    # Starlette raises it again after this answer, and the server writes it into its log.
    told = "The log of Airflow's API server says why. Nothing was changed."
    return _say(request, 500, "This page is broken", told)


def _log_in(request: Request) -> Response:
    """Lead to Airflow's login and back again. Style and scripts are behind the login, too, so it has none."""
    if _is_for_scripts(request):
        return _say(request, 401, "Log in to Airflow", "Log in to Airflow, or send a token of it.")
    back = urlencode({"next": str(request.url)})
    return page(request, "login.html", status=401, here="", login=f"{root(request)}../api/v2/auth/login?{back}")


def _say(request: Request, status: int, title: str, message: str, *, setup: bool = False) -> Response:
    if _is_for_scripts(request):
        return JSONResponse({"title": title, "message": message}, status_code=status)
    return page(request, "trouble.html", status=status, here="", title=title, message=message, setup=setup)


def _is_for_scripts(request: Request) -> bool:
    return below_the_app(request).startswith("/api/")
