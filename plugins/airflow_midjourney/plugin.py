"""The Airflow plugin. Light: every Airflow process loads it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

_PACKAGE: Final = "airflow_midjourney"


def refuse_a_second_copy(this_file: str = __file__) -> None:
    """Refuse to load beside an installed package: two copies would answer to one name.

    :raises RuntimeError: if the package that Python finds is not the one this file belongs to.
    """
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or found.origin is None:
        return
    here, there = Path(this_file).resolve().parent, Path(found.origin).resolve().parent
    if here != there:
        raise RuntimeError(
            f"airflow-provider-midjourney is there twice: in the plugins folder ({here}) and installed ({there})."
            " Airflow uses the installed one. Remove the folder, or uninstall the package."
        )


refuse_a_second_copy()

from airflow_midjourney.links import URL_PREFIX, BatchLink  # noqa: E402


class PagesOnDemand:
    """The pages as an ASGI app that is loaded with the first request: only the API server ever needs it."""

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        """Answer a request."""
        from airflow_midjourney.web.app import app

        await app(scope, receive, send)


async def receive_callback(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """Answer the service's callbacks: an ASGI app of its own, without a login, loaded with the first of them."""
    from airflow_midjourney.web.receiver import app

    await app(scope, receive, send)


class MidjourneyPlugin(AirflowPlugin):
    """Registers what this provider adds to Airflow beside operators and connections."""

    name = "airflow_midjourney"
    fastapi_apps = [  # noqa: RUF012
        {"name": "midjourney", "app": PagesOnDemand(), "url_prefix": URL_PREFIX},
        {"name": "midjourney-callbacks", "app": receive_callback, "url_prefix": f"{URL_PREFIX}-callbacks"},
    ]
    operator_extra_links = [BatchLink()]  # noqa: RUF012
