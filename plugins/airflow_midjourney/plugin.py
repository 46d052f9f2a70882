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
        from airflow_midjourney.web.app import pages

        await pages(scope, receive, send)


def views() -> list[dict[str, str]]:
    """Give the places in Airflow's UI where our pages are framed.

    Addresses are relative to Airflow's own, so that they are right below a base path, too. Airflow fills in the braces;
    a task that is not mapped leaves ``{MAP_INDEX}`` as it is.
    """
    top = URL_PREFIX.lstrip("/")
    icon = f"{top}/static/icon.svg"
    run = "dag_id={DAG_ID}&run_id={RUN_ID}"
    task = f"{run}&task_id={{TASK_ID}}&map_index={{MAP_INDEX}}"
    return [
        {"name": "Midjourney", "href": f"{top}/batches", "destination": "nav", "url_route": "midjourney", "icon": icon},
        {
            "name": "Midjourney",
            "href": f"{top}/batches?{run}",
            "destination": "dag_run",
            "url_route": "midjourney-run",
            "icon": icon,
        },
        {
            "name": "Midjourney",
            "href": f"{top}/task?{task}",
            "destination": "task_instance",
            "url_route": "midjourney-task",
            "icon": icon,
        },
    ]


async def receive_callback(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """Answer the service's callbacks: an ASGI app of its own, without a login, loaded with the first of them."""
    from airflow_midjourney.web.callbacks import app

    await app(scope, receive, send)


class MidjourneyPlugin(AirflowPlugin):
    """Registers what this provider adds to Airflow beside operators and connections."""

    name = "airflow_midjourney"
    fastapi_apps = [  # noqa: RUF012
        {"name": "midjourney", "app": PagesOnDemand(), "url_prefix": URL_PREFIX},
        {"name": "midjourney-callbacks", "app": receive_callback, "url_prefix": f"{URL_PREFIX}-callbacks"},
    ]
    external_views = views()
    operator_extra_links = [BatchLink()]  # noqa: RUF012
