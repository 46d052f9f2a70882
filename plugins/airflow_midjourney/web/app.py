"""The plugin's pages, put together. What a page shows is in ``pages/``, what its script asks for in ``api/``."""

from __future__ import annotations

from fastapi import Depends, FastAPI

from airflow_midjourney.web import error_pages, static_files
from airflow_midjourney.web.api import accounts as accounts_api
from airflow_midjourney.web.api import batches as batches_api
from airflow_midjourney.web.api import reviews as reviews_api
from airflow_midjourney.web.pages import (
    account,
    batches,
    failures,
    gallery,
    pictures,
    redescribe,
    redescribe_filter,
    review,
    spend,
)
from airflow_midjourney.web.security.access import current_viewer
from airflow_midjourney.web.security.headers import SecurityHeaders
from airflow_midjourney.web.security.same_site import refuse_other_sites

ROUTERS = (
    static_files.router,
    batches.router,
    batches_api.router,
    account.router,
    accounts_api.router,
    gallery.router,
    pictures.router,
    failures.router,
    redescribe.router,
    redescribe_filter.router,
    review.router,
    reviews_api.router,
    spend.router,
)


def build_app() -> FastAPI:
    """Put the app together: every route of every router is behind Airflow's login."""
    app = FastAPI(
        title="Midjourney describe",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        dependencies=[Depends(current_viewer), Depends(refuse_other_sites)],
    )
    for router in ROUTERS:
        app.include_router(router)
    error_pages.add_handlers(app)
    return app


app = build_app()

#: The app as Airflow gets it. The headers are outside of everything, so that the page of a broken page has them, too.
pages = SecurityHeaders(app)
