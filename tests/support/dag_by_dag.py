"""Users with rights on single DAGs, as FAB and Keycloak have them; Airflow's simple auth manager knows roles only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

#: Put this into ``[core] auth_manager``.
CLASS_PATH = f"{__name__}.DagByDagAuthManager"


def name_of(*, reads: str = "", edits: str = "") -> str:
    """Name a user who may see some DAGs and edit others: ``name_of(reads="a b", edits="b")``."""
    return f"reads={reads}/edits={edits}"


class DagByDagAuthManager(SimpleAuthManager):
    """Airflow's own, but a user without a role has the rights that the name tells: see :func:`name_of`."""

    def is_authorized_dag(self, *, method: Any, user: SimpleAuthManagerUser, **about: Any) -> bool:
        """Say whether a user may do something with a DAG."""
        if user.role or not user.username.startswith("reads="):
            return super().is_authorized_dag(method=method, user=user, **about)
        reads, _, edits = user.username.removeprefix("reads=").partition("/edits=")
        details = about.get("details")
        granted = reads if method == "GET" else edits
        return details is not None and details.id in granted.split()
