"""One engine per process, its own small thread pool, and transactions that are safe to repeat."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, Table, create_engine, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError, ProgrammingError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.dialects.postgresql import Insert as PostgresInsert
    from sqlalchemy.dialects.sqlite import Insert as SQLiteInsert

from airflow_midjourney.describe.model.errors import TableConflictError, TableError
from airflow_midjourney.describe.model.events import Event, Nobody, Observer, tell
from airflow_midjourney.describe.table.schema import TableNames, Tables, build_tables

SUPPORTED_DIALECTS: Final = ("postgresql", "sqlite")

#: Seconds that an ordinary transaction is tried again while the database is away or busy.
PATIENCE: Final = 120.0

#: Seconds that somebody who looks at a page waits for a database that is away, and for one query of it.
IMPATIENCE: Final = 2.0
LONGEST_LOOK: Final = 20

#: Threads that talk to the database; the event loop never does.
THREADS: Final = 4

#: Postgres: deadlock, serialization failure, lock not available. All say "again, please".
_AGAIN: Final = frozenset({"40P01", "40001", "55P03"})

#: A row that moves between two queries of one read would be counted twice, or not at all.
_SNAPSHOT: Final[dict[str, Any]] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}

#: Words of SQLite, libpq and the drivers for what passes: locks, restarts, networks.
_PASSING: Final = (
    "closed unexpectedly",
    "connection refused",
    "connection reset",
    "connection slots",
    "could not connect",
    "could not receive data",
    "could not send data",
    "could not translate host name",
    "database is locked",
    "eof detected",
    "is the server running",
    "network is unreachable",
    "no route to host",
    "no such file or directory",
    "not yet accepting connections",
    "recovery mode",
    "server closed the connection",
    "shutting down",
    "starting up",
    "terminating connection",
    "timed out",
    "timeout expired",
    "too many clients",
)

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Transaction:
    """What every query of this package gets.

    :param connection: an open transaction; it commits when the query returns.
    :param now: the moment by the database's clock, the only one that leases and deadlines go by.
    :param events: what this transaction does that is worth counting; told once it has committed.
    """

    connection: Connection
    tables: Tables
    now: datetime
    events: list[Event] = field(default_factory=list)

    @property
    def is_postgres(self) -> bool:
        """Whether rows can be locked one by one."""
        return self.connection.dialect.name == "postgresql"

    def insert(self, table: Table) -> PostgresInsert | SQLiteInsert:
        """Give an INSERT that knows ON CONFLICT, which both databases spell alike."""
        return postgresql.insert(table) if self.is_postgres else sqlite.insert(table)


class Database:
    """The metadata database as the engine uses it.

    :param engine: a SQLAlchemy engine for Postgres or SQLite; it belongs to this object from now on.
    :param names: table and schema names.
    :param name: what messages call it: the connection id.
    :param observer: is told what committed transactions have done.
    :raises TableError: for any other kind of database.
    """

    def __init__(
        self,
        engine: Engine,
        names: TableNames | None = None,
        *,
        name: str = "database",
        observer: Observer | None = None,
    ) -> None:
        self.name = name
        self.observer: Observer = observer or Nobody()
        self.names = names or TableNames()
        self.tables = build_tables(self.names)
        self.engine = engine
        self._check_dialect()
        if engine.dialect.name == "sqlite":
            _prepare_sqlite(engine)
        self._writer = engine.execution_options(writes=True)
        self._reader = engine.execution_options(**_SNAPSHOT) if engine.dialect.name == "postgresql" else engine
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="image-prompts")

    def _check_dialect(self) -> None:
        dialect = self.engine.dialect.name
        if dialect not in SUPPORTED_DIALECTS:
            raise TableError(
                f"Connection {self.name!r} is a {dialect} database. The metadata table needs Postgres, or"
                " SQLite on one host; export the rows to any other database from there."
            )
        if dialect == "sqlite" and self.names.schema:
            raise TableError(
                f"Connection {self.name!r} is SQLite, which has no schemas: leave [midjourney] schema empty."
            )

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """Open a transaction that may write; it commits at the end of the block."""
        with self._writer.begin() as connection:
            tx = Transaction(connection, self.tables, _clock(connection))
            yield tx
        tell(self.observer, tx.events)

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """Open a transaction that only reads; all its queries see the same moment."""
        with self._reader.connect() as connection:
            yield Transaction(connection, self.tables, _clock(connection))

    @contextmanager
    def looking(self) -> Iterator[Transaction]:
        """Open a transaction that only reads, each query of which is given up after a while."""
        with self.reading() as tx:
            if tx.is_postgres:
                tx.connection.execute(text(f"SET LOCAL statement_timeout = '{LONGEST_LOOK}s'"))
            yield tx

    async def write(self, query: Callable[Concatenate[Transaction, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a query that writes, again if the database was away or busy for a while.

        :raises TableError: when it is still away after two minutes.
        """
        return await self._in_thread(self.writing, _with_patience(), query, *args, **kwargs)

    async def write_at_any_cost(
        self, query: Callable[Concatenate[Transaction, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a query whose facts would be lost with this process: try as long as the process lives.

        Rights, disks and logins are mended by people, so only a statement that is wrong in itself ends it.
        """
        return await self._in_thread(self.writing, _at_any_cost(), query, *args, **kwargs)

    async def read(self, query: Callable[Concatenate[Transaction, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a query that only reads.

        :raises TableError: when the database is still away after two minutes.
        """
        return await self._in_thread(self.reading, _with_patience(), query, *args, **kwargs)

    async def read_now(
        self, query: Callable[Concatenate[Transaction, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a query that only reads, for somebody who waits for a page.

        :raises TableError: when the database is still away after two seconds, or the query takes too long.
        """
        return await self._in_thread(self.looking, _with_patience(IMPATIENCE), query, *args, **kwargs)

    async def write_now(
        self, query: Callable[Concatenate[Transaction, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a query that writes, for somebody who waits for a page.

        :raises TableError: when the database is still away after two seconds.
        """
        return await self._in_thread(self.writing, _with_patience(IMPATIENCE), query, *args, **kwargs)

    def read_here(self, query: Callable[Concatenate[Transaction, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """As :meth:`read`, in this thread, for code that has no event loop to keep free."""
        return self._until_done(self.reading, _with_patience(), query, *args, **kwargs)

    def write_here(self, query: Callable[Concatenate[Transaction, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """As :meth:`write`, in this thread, for code that has no event loop to keep free."""
        return self._until_done(self.writing, _with_patience(), query, *args, **kwargs)

    async def _in_thread(
        self,
        transaction: Callable[[], Any],
        attempts: Retrying,
        query: Callable[Concatenate[Transaction, P], R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        def until_done() -> R:
            return self._until_done(transaction, attempts, query, *args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._threads, until_done)

    def _until_done(
        self,
        transaction: Callable[[], Any],
        attempts: Retrying,
        query: Callable[Concatenate[Transaction, P], R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        def attempt() -> R:
            with transaction() as tx:
                return query(tx, *args, **kwargs)

        try:
            return attempts(attempt)
        except IntegrityError as error:
            raise TableConflictError(f"Two processes wrote the same to {self.name!r} at once.") from error
        except SQLAlchemyError as error:
            raise self.explained(error) from error

    def explained(self, error: SQLAlchemyError) -> TableError:
        """Say what is wrong without the statement's parameters, which hold keys and prompts."""
        cause = getattr(error, "orig", None)
        first_line = next(iter(str(cause or error).strip().splitlines()), "")[:200]
        return TableError(
            f"The metadata database of connection {self.name!r} refused or could not be reached:"
            f" {type(cause or error).__name__}: {first_line}. Check the connection's host, login, database"
            " and rights; nothing that was committed is lost.",
            retry_helps=is_passing(error),
        )

    def close(self) -> None:
        """Give back threads and connections."""
        self._threads.shutdown(wait=True)
        self.engine.dispose()


def open_database(url: str, names: TableNames | None = None, *, name: str = "the database") -> Database:
    """Open a database by its SQLAlchemy URL."""
    return Database(create_engine(url, **engine_options(url)), names, name=name)


def engine_options(url: str) -> dict[str, Any]:
    """Give the options that every engine of ours is made with."""
    if url.startswith("sqlite"):
        return {"connect_args": {"timeout": 30}, "hide_parameters": True}
    return {
        "isolation_level": "READ COMMITTED",
        "pool_pre_ping": True,
        "pool_size": THREADS,
        "max_overflow": 0,
        "hide_parameters": True,
    }


def _with_patience(seconds: float = PATIENCE) -> Retrying:
    return Retrying(retry=retry_if_exception(is_passing), stop=stop_after_delay(seconds), wait=_pauses(), reraise=True)


def _at_any_cost() -> Retrying:
    return Retrying(retry=retry_if_exception(_can_be_mended), wait=_pauses(), reraise=True)


def _pauses() -> wait_random_exponential:
    return wait_random_exponential(multiplier=0.05, max=5)


def _can_be_mended(error: BaseException) -> bool:
    """Say whether the database may take the same transaction some day: it is away, full, locked or read-only."""
    return isinstance(error, PoolTimeoutError) or (
        isinstance(error, DBAPIError) and not isinstance(error, IntegrityError | ProgrammingError | DataError)
    )


def is_passing(error: BaseException) -> bool:
    """Say whether the same transaction may succeed a moment later."""
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated or getattr(error.orig, "sqlstate", None) in _AGAIN:
        return True
    if getattr(error.orig, "pgcode", None) in _AGAIN:
        return True
    message = str(error.orig).lower()
    return isinstance(error, OperationalError) and any(words in message for words in _PASSING)


def _clock(connection: Connection) -> datetime:
    """Ask Postgres for the moment; SQLite lives on one host and has that host's clock."""
    if connection.dialect.name == "sqlite":
        return datetime.now(UTC)
    moment: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return moment.astimezone(UTC)


def _prepare_sqlite(engine: Engine) -> None:
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
