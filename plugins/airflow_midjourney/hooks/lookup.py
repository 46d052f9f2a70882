"""Looking a connection up, and telling one that does not exist from one that Airflow could not be asked about."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_midjourney.describe.model.errors import DescribeError, SettingsError

if TYPE_CHECKING:
    from airflow.sdk import Connection
    from airflow.sdk.bases.secrets_backend import BaseSecretsBackend


class ConnectionUnansweredError(DescribeError):
    """Airflow could not say whether there is such a connection. A retry helps.

    :param conn_id: the connection.
    :param source: what gave no answer, and what it said.
    """

    def __init__(self, conn_id: str, source: str) -> None:
        super().__init__(
            f"Airflow could not look up connection {conn_id!r}: {source} failed. Nothing was sent, and a retry may"
            " find it. If it goes on, look into the log of the API server, or of the secrets backend.",
            retry_helps=True,
        )


def find_connection(conn_id: str, advice: str) -> Connection:
    """Look a connection up.

    :param advice: how to create it, for the error where it is missing.
    :raises SettingsError: if each place where Airflow keeps connections says that it has none of this id, or the extra
        of the connection cannot be read.
    :raises ConnectionUnansweredError: if one of them gave no answer.
    """
    connection = _find(conn_id, advice)
    if (extra := _extra_of(connection)) != connection.extra:
        connection.extra = extra
    return connection


def _find(conn_id: str, advice: str) -> Connection:
    try:
        return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        # Airflow says so, too, when a place could not be asked: a 500 of its API, or a vault that is down.
        if not _is_anywhere(conn_id):
            raise SettingsError(f"There is no connection {conn_id!r}. {advice}") from None
    try:
        return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        raise ConnectionUnansweredError(conn_id, "a second look-up") from None


def _extra_of(connection: Connection) -> str | None:
    """Give the extra as JSON of an object: Airflow takes anything else for an empty one, and bounds would be gone.

    :raises SettingsError: if it is none.
    """
    text = connection.extra
    extra = _json(text)
    if isinstance(extra, str):
        # Some clients write JSON into JSON.
        text, extra = extra, _json(extra)
    if extra is None:
        return None
    if not isinstance(extra, dict):
        raise SettingsError(
            f"Connection {connection.conn_id!r}: its extra has to be a JSON object, with names and texts in double"
            ' quotes, such as {"region_name": "eu-central-1"}.'
        )
    return text


def _json(text: Any) -> Any:
    """Read JSON; give text that is none as False, and no text as None."""
    if not text or not text.strip():
        return None
    try:
        return json.loads(text)
    except ValueError:
        return False


def _is_anywhere(conn_id: str) -> bool:
    from airflow.sdk.execution_time.secrets import ExecutionAPISecretsBackend
    from airflow.sdk.execution_time.supervisor import ensure_secrets_backend_loaded

    for place in ensure_secrets_backend_loaded():
        found = _api_has(conn_id) if isinstance(place, ExecutionAPISecretsBackend) else _backend_has(place, conn_id)
        if found:
            return True
    return False


def _backend_has(backend: BaseSecretsBackend, conn_id: str) -> bool:
    from airflow.secrets.environment_variables import EnvironmentVariablesBackend

    try:
        return backend.get_connection(conn_id=conn_id) is not None
    except Exception as error:
        if isinstance(backend, EnvironmentVariablesBackend):
            raise SettingsError(
                f"AIRFLOW_CONN_{conn_id.upper()} cannot be read as a connection ({type(error).__name__}). Write it as"
                ' JSON, such as {"conn_type": "aws", "password": "…"}; in a URI, / @ : and % of a password are written'
                " as %2F %40 %3A and %25."
            ) from None
        said = f"{type(backend).__name__} ({type(error).__name__})"
        raise ConnectionUnansweredError(conn_id, said) from error


def _api_has(conn_id: str) -> bool:
    """Ask Airflow's API itself: its secrets backend gives None for "not found" and for every failure."""
    from airflow.sdk.exceptions import ErrorType
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import ErrorResponse, GetConnection

    try:
        answer = task_runner.SUPERVISOR_COMMS.send(GetConnection(conn_id=conn_id))
    except Exception as error:
        raise ConnectionUnansweredError(conn_id, f"Airflow's API ({type(error).__name__})") from error
    if not isinstance(answer, ErrorResponse):
        return True
    if answer.error is ErrorType.CONNECTION_NOT_FOUND:
        return False
    status = (answer.detail or {}).get("status_code")
    said = f"HTTP {status}" if status else answer.error.value
    raise ConnectionUnansweredError(conn_id, f"Airflow's API ({said})")
