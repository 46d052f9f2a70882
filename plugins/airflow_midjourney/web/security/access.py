"""Who looks, and at the images of which DAGs: the one place that knows Airflow's rules of access.

Airflow puts no login in front of a plugin's app. Every route of ours gets :func:`current_viewer` from the app itself,
so that none can be forgotten; a route that shows anything takes a :data:`CurrentViewer` and asks it.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import ConnectionDetails
from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.configuration import conf
from airflow.models.connection import Connection
from airflow.models.dag import DagModel
from fastapi import Depends, HTTPException

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow.api_fastapi.auth.managers.base_auth_manager import ResourceMethod


@dataclass(frozen=True, slots=True)
class Viewer:
    """A user of Airflow who has logged in, and what the auth manager lets this user do.

    What belongs to no DAG is shown to no user: no rule says who may see it. Airflow's rules are asked anew with every
    request, so that a right that was taken away is gone with the next click.
    """

    user: BaseUser

    @property
    def name(self) -> str:
        """The user's name, as Airflow's audit log has it."""
        return self.user.get_name()

    async def readable(self, dag_ids: Collection[str | None]) -> frozenset[str]:
        """Give those of some DAGs that this user may see.

        :param dag_ids: DAGs that the tables know; one may be gone from Airflow, and its images are still there.
        """
        return await asyncio.to_thread(self._allowed, dag_ids, "GET")

    async def editable(self, dag_ids: Collection[str | None]) -> frozenset[str]:
        """Give those of some DAGs that this user may edit."""
        return await asyncio.to_thread(self._allowed, dag_ids, "PUT")

    async def may_read(self, dag_id: str | None) -> bool:
        """Say whether this user may see a DAG."""
        return dag_id in await self.readable([dag_id])

    async def may_edit(self, dag_id: str | None) -> bool:
        """Say whether this user may edit a DAG: whatever costs money or changes rows needs that."""
        return dag_id in await self.editable([dag_id])

    async def require_read(self, dag_id: str | None) -> None:
        """Refuse a request about a DAG that this user may not see.

        :raises HTTPException: 403.
        """
        if not await self.may_read(dag_id):
            raise HTTPException(403, "You may not see the DAG that this belongs to.")

    async def require_edit(self, dag_id: str | None) -> None:
        """Refuse to change what belongs to a DAG that this user may not edit.

        :raises HTTPException: 403.
        """
        if not await self.may_edit(dag_id):
            raise HTTPException(403, "This needs the right to edit the DAG that it belongs to.")

    async def may_edit_connection(self, conn_id: str) -> bool:
        """Say whether this user may edit a connection: whatever stops or starts an account needs that."""
        return await asyncio.to_thread(self._may_with_connection, conn_id, "PUT")

    async def require_connection(self, conn_id: str, method: ResourceMethod) -> None:
        """Refuse a request about the account of a connection that this user may not see, or edit.

        :param method: ``GET`` to see it, ``PUT`` to edit it.
        :raises HTTPException: 403.
        """
        if not await asyncio.to_thread(self._may_with_connection, conn_id, method):
            right = "edit" if method == "PUT" else "see"
            raise HTTPException(403, f"This needs the right to {right} the connection of the account.")

    def _may_with_connection(self, conn_id: str, method: ResourceMethod) -> bool:
        team = Connection.get_team_name(conn_id) if conf.getboolean("core", "multi_team") else None
        details = ConnectionDetails(conn_id=conn_id, team_name=team)
        return get_auth_manager().is_authorized_connection(method=method, user=self.user, details=details)

    def _allowed(self, dag_ids: Collection[str | None], method: ResourceMethod) -> frozenset[str]:
        """Ask team by team, as Airflow does for its own list of DAGs."""
        wanted = {dag_id for dag_id in dag_ids if dag_id}
        if not wanted:
            return frozenset()
        teams = DagModel.get_dag_id_to_team_name_mapping(sorted(wanted))
        by_team: defaultdict[str | None, set[str]] = defaultdict(set)
        for dag_id in wanted:
            by_team[teams.get(dag_id)].add(dag_id)
        manager = get_auth_manager()
        allowed: set[str] = set()
        for team, theirs in by_team.items():
            allowed |= manager.filter_authorized_dag_ids(dag_ids=theirs, user=self.user, method=method, team_name=team)
        return frozenset(allowed)


async def current_viewer(user: GetUserDep) -> Viewer:
    """Give who is asking.

    :raises HTTPException: 401 without a login.
    """
    return Viewer(user)


#: The type of a route's argument that is to be the user who asks.
CurrentViewer = Annotated[Viewer, Depends(current_viewer)]
