"""Making an engine that works on each driver, behind a pooler, and whatever the role's own settings are."""

from __future__ import annotations

from threading import Timer
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import make_url

from airflow_midjourney.describe.model.errors import TableError
from airflow_midjourney.describe.table.drivers.faults import is_another_server
from airflow_midjourney.describe.table.drivers.poolers import hear_poolers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy.engine import URL, ExceptionContext

#: Threads that talk to the database, each over a connection of its own; the event loop never does.
THREADS: Final = 4

#: Seconds between two times that connections which are not in use are closed.
IDLE = 30.0

SUPPORTED_DIALECTS: Final = ("postgresql", "sqlite")

#: psycopg 3 and psycopg2, as SQLAlchemy calls them.
POSTGRES_DRIVERS: Final = ("psycopg", "psycopg2")

#: Every transaction says itself how isolated it is and whether it writes: the role's defaults do not count.
WRITING: Final[dict[str, Any]] = {"isolation_level": "READ COMMITTED", "postgresql_readonly": False}

#: A row that moves between two queries of one read would be counted twice, or not at all.
READING: Final[dict[str, Any]] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


def engine_options(url: URL | str, extras: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Give the options that every engine of ours is made with.

    :param extras: what else the driver is to connect with, as libpq spells it: ``sslmode``, ``sslrootcert``, …
    """
    url = make_url(url)
    if url.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": 30}, "hide_parameters": True}
    return {
        "connect_args": dict(extras or {}) | _driver_arguments(url),
        "isolation_level": "READ COMMITTED",
        "pool_pre_ping": True,
        "pool_size": THREADS,
        "pool_use_lifo": True,
        "max_overflow": 0,
        "hide_parameters": True,
    }


def _driver_arguments(url: URL) -> dict[str, Any]:
    """Give what holds whatever the connection, the role or the environment says."""
    if url.get_backend_name() != "postgresql":
        return {}
    arguments: dict[str, Any] = {"client_encoding": "UTF8"}
    if url.get_dialect().driver == "psycopg":
        # A pooler gives each transaction another server connection, which knows nothing of what was prepared.
        arguments["prepare_threshold"] = None
    return arguments


def prepare_engine(engine: Engine, name: str) -> None:
    """Refuse what the table cannot be on, and set an engine up.

    :param name: what messages call the database: the connection id.
    :raises TableError: for any other kind of database or driver.
    """
    dialect, driver = engine.dialect.name, engine.dialect.driver
    if dialect not in SUPPORTED_DIALECTS:
        raise TableError(
            f"Connection {name!r} is a {dialect} database. The metadata table needs Postgres, or"
            " SQLite on one host; export the rows to any other database from there."
        )
    if dialect == "sqlite":
        _share_the_file(engine)
    elif driver not in POSTGRES_DRIVERS:
        raise TableError(
            f"Connection {name!r} uses the driver {driver!r}. The metadata table works with psycopg or psycopg2: leave"
            " the extra sqlalchemy_scheme out, or set it to postgresql+psycopg or postgresql+psycopg2."
        )
    else:
        _leave_a_standby(engine)
        _give_back_when_idle(engine)
        if driver == "psycopg2":
            hear_poolers(engine)


def renew_logins(engine: Engine, login: Callable[[], tuple[str, str, int]]) -> None:
    """Ask for a fresh user, password and port before each connection: those of a cloud are good for minutes.

    :param login: gives the three.
    """

    @event.listens_for(engine, "do_connect")
    def on_connect(_dialect: Any, _record: Any, _arguments: Any, named: dict[str, Any]) -> None:
        named["user"], named["password"], named["port"] = login()


def _leave_a_standby(engine: Engine) -> None:
    """Drop all connections to a server that has become a standby: the next ones find the new primary."""

    @event.listens_for(engine, "handle_error")
    def on_error(context: ExceptionContext) -> None:
        if context.connection is not None and is_another_server(context.original_exception):
            context.is_disconnect = True


def _give_back_when_idle(engine: Engine) -> None:
    """Close, every half minute while the database is used and once after that, the connections that are not in use.

    A hundred processes that each keep what they once needed at the same time are more than Postgres has by default.
    """
    timers: list[Timer] = []

    def close_idle() -> None:
        timers.clear()
        engine.dispose()

    @event.listens_for(engine, "checkin")
    def on_checkin(_connection: Any, _record: Any) -> None:
        if not timers:
            timer = Timer(IDLE, close_idle)
            timer.daemon = True
            timers.append(timer)
            timer.start()


def _share_the_file(engine: Engine) -> None:
    """Let many processes share the file: WAL, a lock taken when a write begins, and patience."""

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        # The driver would begin a transaction by itself, later than BEGIN IMMEDIATE has to.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout=30000")
        cursor.execute("PRAGMA journal_mode=WAL")
        # FULL: a claim that a power cut undoes would be paid for twice.
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
