"""One engine per process, its own small thread pool, and transactions that are safe to repeat."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, Table, create_engine
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from sqlalchemy.dialects.postgresql import Insert as PostgresInsert
    from sqlalchemy.dialects.sqlite import Insert as SQLiteInsert

from airflow_midjourney.describe.model.errors import TableConflictError, TableError
from airflow_midjourney.describe.model.events import Event, NoObserver, Observer, tell
from airflow_midjourney.describe.table.drivers.engines import READING, THREADS, WRITING, engine_options, prepare_engine
from airflow_midjourney.describe.table.drivers.faults import Fault, cure_of, fault_of, is_passing
from airflow_midjourney.describe.table.drivers.settings import begin, limit_statements
from airflow_midjourney.describe.table.schema import TableNames, Tables, build_tables

#: Seconds that an ordinary transaction is tried again while the database is away or busy.
PATIENCE: Final = 120.0

#: Seconds that the reader of a page waits for a database that is away, and for one query of it.
IMPATIENCE: Final = 2.0
LONGEST_LOOK: Final = 20

#: Seconds that a statement is tried again that is wrong in itself: a pooler may have mixed it up with another.
DISBELIEF: Final = 5.0

#: After so many attempts, each a few seconds after the one before, the log says again that a record waits.
_ATTEMPTS_PER_LINE: Final = 12

log = logging.getLogger(__name__)

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
        self.observer: Observer = observer or NoObserver()
        self.names = names or TableNames()
        self.tables = build_tables(self.names)
        self.engine = engine
        prepare_engine(engine, name)
        self._check_schema()
        on_postgres = engine.dialect.name == "postgresql"
        self._writer = engine.execution_options(writes=True, **(WRITING if on_postgres else {}))
        self._reader = engine.execution_options(**READING) if on_postgres else engine
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="image-prompts")

    def _check_schema(self) -> None:
        if self.engine.dialect.name == "sqlite" and self.names.schema:
            raise TableError(
                f"Connection {self.name!r} is SQLite, which has no schemas: leave [midjourney] schema empty."
            )

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """Open a transaction that may write; it commits at the end of the block."""
        with self._writer.begin() as connection:
            tx = Transaction(connection, self.tables, begin(connection, self.name))
            yield tx
        tell(self.observer, tx.events)

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """Open a transaction that only reads; all its queries see the same moment."""
        with self._reader.connect() as connection:
            yield Transaction(connection, self.tables, begin(connection, self.name))

    @contextmanager
    def looking(self) -> Iterator[Transaction]:
        """Open a transaction that only reads, each query of which is given up after a while."""
        with self.reading() as tx:
            limit_statements(tx.connection, LONGEST_LOOK)
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

        Rights, disks and logins are mended by people, so only a statement that stays wrong in itself ends it.

        :raises TableError: if it does.
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
        """Run a query that only reads, for a person who waits for a page.

        :raises TableError: when the database is still away after two seconds, or the query takes too long.
        """
        return await self._in_thread(self.looking, _with_patience(IMPATIENCE), query, *args, **kwargs)

    async def write_now(
        self, query: Callable[Concatenate[Transaction, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a query that writes, for a person who waits for a page.

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
            f" {type(cause or error).__name__}: {first_line.rstrip('.')}. {cure_of(error)}; nothing that was committed"
            " is lost.",
            retry_helps=is_passing(error),
        )

    def close(self) -> None:
        """Give back threads and connections."""
        self._threads.shutdown(wait=True)
        self.engine.dispose()


def open_database(url: str, names: TableNames | None = None, *, name: str = "the database") -> Database:
    """Open a database by its SQLAlchemy URL."""
    return Database(create_engine(url, **engine_options(url)), names, name=name)


def _with_patience(seconds: float = PATIENCE) -> Retrying:
    return Retrying(retry=retry_if_exception(is_passing), stop=stop_after_delay(seconds), wait=_pauses(), reraise=True)


def _at_any_cost() -> Retrying:
    return Retrying(
        retry=retry_if_exception(_may_be_written),
        stop=_stays_wrong,
        wait=_pauses(),
        before_sleep=_say_that_it_waits,
        reraise=True,
    )


def _pauses() -> wait_random_exponential:
    return wait_random_exponential(multiplier=0.05, max=5)


def _may_be_written(error: BaseException) -> bool:
    return isinstance(error, SQLAlchemyError) and not isinstance(error, IntegrityError)


def _stays_wrong(attempts: RetryCallState) -> bool:
    error = attempts.outcome.exception() if attempts.outcome else None
    return error is not None and fault_of(error) is Fault.WRONG and (attempts.seconds_since_start or 0) > DISBELIEF


def _say_that_it_waits(attempts: RetryCallState) -> None:
    error = attempts.outcome.exception() if attempts.outcome else None
    if error is not None and attempts.attempt_number % _ATTEMPTS_PER_LINE == 0:
        log.warning(
            "What the service answered cannot be written yet, and is tried again: %s. %s.",
            type(getattr(error, "orig", None) or error).__name__,
            cure_of(error),
        )
