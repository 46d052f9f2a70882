"""The connection to the database that holds the metadata table."""

from __future__ import annotations

from copy import deepcopy
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk.exceptions import AirflowException

from airflow_midjourney.hooks.lookup import find_connection
from airflow_midjourney.settings import Settings, read_settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from airflow_midjourney.describe.table.database import Database

DEFAULT_CONN_ID: Final = "image_prompts_db"

#: What a type begins with in a URI as SQLAlchemy has it: the driver stands beside it.
_SQLALCHEMYS: Final = "postgresql+"

#: A triggerer opens the database for many triggers at once, and should open it once.
_OPENING: Final = Lock()

#: Databases in which tables were found.
_LOOKED_AT: Final[set[tuple[str, int, Settings]]] = set()


def open_metadata(db_conn_id: str = DEFAULT_CONN_ID) -> Database:
    """Open the metadata database, once per process and connection, and make its tables on first use.

    :param db_conn_id: a ``postgres`` or ``sqlite`` connection.
    :raises SettingsError: if there is no such connection.
    :raises TableError: if it is another kind of database, cannot be reached, or lacks the tables.
    """
    digest, settings = _connection_digest(db_conn_id), read_settings()
    with _OPENING:
        return _open(db_conn_id, digest, settings)


def open_to_look(db_conn_id: str = DEFAULT_CONN_ID) -> Database:
    """Open the metadata database for a page: as :func:`open_metadata` does, but looking makes no tables.

    :raises SettingsError: if there is no such connection.
    :raises NoTablesError: if it has no tables yet.
    :raises TableError: if it is another kind of database, or cannot be reached.
    """
    from airflow_midjourney.describe.table.migrations import require_tables

    digest, settings = _connection_digest(db_conn_id), read_settings()
    with _OPENING:
        if (db_conn_id, digest, settings) not in _LOOKED_AT:
            database = _unchecked(db_conn_id, settings)
            try:
                require_tables(database)
            finally:
                database.close()
            _LOOKED_AT.add((db_conn_id, digest, settings))
        return _open(db_conn_id, digest, settings)


def view_metadata(db_conn_id: str = DEFAULT_CONN_ID) -> Database:
    """Open the metadata database for one reader, who closes it. No tables are made.

    :raises SettingsError: if there is no such connection.
    :raises TableError: if it is another kind of database.
    """
    return _unchecked(db_conn_id, read_settings())


def look_at_metadata(db_conn_id: str = DEFAULT_CONN_ID) -> tuple[bool, str]:
    """Say whether a metadata database can be used, without making tables in it.

    :return: False only if there is a connection and it does not work: a connection that is kept elsewhere, or has
        another id, cannot be seen from everywhere.
    """
    from airflow_midjourney.describe.model.errors import DescribeError, SettingsError

    try:
        _connection(db_conn_id)
    except SettingsError as error:
        return True, f"For the metadata table: {error} Or give the tasks db_conn_id=."
    try:
        _reach(_unchecked(db_conn_id, read_settings()))
    except DescribeError as error:
        return False, f"But the metadata table cannot be used: {error}"
    return True, f"The metadata database of connection {db_conn_id!r} can be reached."


def _reach(database: Database) -> None:
    """Ask once: a person who presses a button does not wait for minutes.

    :raises TableError: if there is no answer.
    """
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with database.reading():
            return
    except SQLAlchemyError as error:
        raise database.explained(error) from error
    finally:
        database.close()


@lru_cache(maxsize=8)
def _open(db_conn_id: str, _digest: int, settings: Settings) -> Database:
    from airflow_midjourney.describe.table.migrations import ensure_tables

    database = _unchecked(db_conn_id, settings)
    ensure_tables(database, manage_schema=settings.manage_schema)
    return database


def _unchecked(db_conn_id: str, settings: Settings) -> Database:
    """Make the database object; whether anything is there has yet to be seen."""
    from sqlalchemy.exc import ArgumentError

    from airflow_midjourney.describe.model.errors import TableError
    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.describe.table.schema import TableNames
    from airflow_midjourney.observability.metrics import StatsObserver

    hook = _hook(db_conn_id)
    try:
        engine = _engine(hook)
    except (AirflowException, ArgumentError, ImportError, TypeError, ValueError) as error:
        raise TableError(f"Connection {db_conn_id!r} gives no database: {error}") from error
    names = TableNames(settings.table, settings.schema)
    return Database(engine, names, name=db_conn_id, observer=StatsObserver())


def _engine(hook: Any) -> Engine:
    """Make the engine with the driver, the extras and the cloud's login that ``PostgresHook`` itself would take."""
    from airflow_midjourney.describe.table.drivers.engines import engine_options, renew_logins

    uri = hook.get_uri()
    if uri.startswith("sqlite"):
        engine: Engine = hook.get_sqlalchemy_engine(engine_options(uri))
        _check_file(engine.url.database or "")
        return engine
    connection = hook.get_connection(hook.get_conn_id())
    extras = connection.extra_dejson
    passed_on = {name: value for name, value in extras.items() if name not in hook.ignored_extra_options}
    engine = hook.get_sqlalchemy_engine(engine_options(hook.sqlalchemy_url, passed_on))
    if extras.get("iam", False):
        renew_logins(engine, lambda: hook.get_iam_token(deepcopy(connection)))
    return engine


def _check_file(path: str) -> None:
    """Refuse a file that each process would have for itself: with a table of its own it would pay again.

    :raises ValueError: if there is no absolute path.
    """
    if not path.removeprefix("file:").startswith("/") or "mode=memory" in path:
        raise ValueError(
            f"{path!r} is no absolute path of a file. Each process would have a table of its own, and pay for each"
            " image again: put a path such as /var/lib/airflow/image_prompts.db into the host"
        )


def _connection_digest(db_conn_id: str) -> int:
    """Tell a changed connection from the one that is open already."""
    return hash(_connection(db_conn_id).get_uri())


def _connection(db_conn_id: str) -> Any:
    return find_connection(
        db_conn_id,
        "Create it for the database that is to hold the prompts (type postgres, or sqlite on one host), or set"
        f" AIRFLOW_CONN_{db_conn_id.upper()}.",
    )


def _hook(db_conn_id: str) -> Any:
    from airflow_midjourney.describe.model.errors import TableError

    connection = _connection(db_conn_id)
    conn_type = connection.conn_type
    if conn_type.startswith(_SQLALCHEMYS):
        connection.conn_type = conn_type = "postgres"
    if conn_type not in ("postgres", "postgresql", "sqlite"):
        raise TableError(
            f"Connection {db_conn_id!r} has type {conn_type!r}. The metadata table needs postgres, or sqlite on one"
            " host; export the rows to any other database from there."
        )
    try:
        hook = connection.get_hook()
    except (AirflowException, ImportError) as error:
        raise TableError(
            f"Connection {db_conn_id!r} needs apache-airflow-providers-{conn_type.removesuffix('ql')}: {error}"
        ) from error
    # The hook would look it up again, and take an Airflow that does not answer for a connection that is not there.
    hook.get_connection = lambda _conn_id: deepcopy(connection)
    return hook
