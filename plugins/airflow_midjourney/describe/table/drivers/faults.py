"""What an error of the database or its driver means: it passes, a person can mend it, or the statement is wrong.

psycopg2 and psycopg 3 give SQLSTATE for what the server says amid a session, and only libpq's words for a connection
that did not come about; PgBouncer says nearly all that it has to say under one SQLSTATE. So both are looked at.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError


class Fault(Enum):
    """What is to be done about an error."""

    PASSING = "the same transaction may succeed a moment later"
    MENDABLE = "the database takes the same transaction once a person has mended it: rights, logins, disks"
    WRONG = "the statement or its values are wrong in themselves"


#: By SQLSTATE or its class. 40: rolled back; 53300, 53400: too many connections; 55P03: lock not available;
#: 57P0x: shut down, crashed, starting up, idle for too long; 25P0x: a transaction that took too long.
#: 26000 and 42P05: a pooler mixed up prepared statements.
_PASSING_STATES: Final = frozenset(
    [
        "08",
        "40",
        "25006",
        "25P03",
        "25P04",
        "26000",
        "42P05",
        "53200",
        "53300",
        "53400",
        "55006",
        "55P03",
        "57P01",
        "57P02",
        "57P03",
        "57P05",
    ]
)

#: What PgBouncer and libpq say about themselves, under which SQLSTATE says nothing.
_PROTOCOL: Final = "08P01"

#: Under which other poolers speak of full pools, and the server of a statement that a person has cancelled, too.
_SAY_LITTLE: Final = frozenset(["57014", "58000", "XX000"])

#: Who may do what, how much fits, and what an administrator switches on and off.
_MENDABLE_STATES: Final = frozenset(["28", "3D", "42501", "53", "55", "57", "58", "XX"])

#: What PgBouncer says of a transaction where it pools by statement.
NO_TRANSACTIONS: Final = "statement pooling mode"

#: Words for what no waiting mends. They win over those for what passes: a driver tells of several hosts at once.
_LASTING: Final = (
    "authentication failed",
    "certificate verify failed",
    "does not exist",
    "does not support ssl",
    "invalid connection option",
    "no password supplied",
    "no pg_hba.conf entry",
    "no such database",
    "no such user",
    "root certificate file",
    NO_TRANSACTIONS,
    "unsupported startup parameter",
)

#: Words of SQLite, libpq, the drivers and the poolers for what passes: locks, restarts, networks, full pools.
_PASSING: Final = (
    "bad record mac",
    "broken pipe",
    "client connections exceeded",
    "client_idle_timeout",
    "client_login_timeout",
    "closed unexpectedly",
    "conflict with recovery",
    "connect to compute node",
    "connection already closed",
    "connection is closed",
    "connection limit exceeded",
    "connection refused",
    "connection reset",
    "connection slots",
    "connection timeout",
    "control plane request failed",
    "could not connect",
    "could not get connection from the pool",
    "could not receive data",
    "could not send data",
    "could not translate host name",
    "database is locked",
    "due to user request",
    "eof detected",
    "failed to get remote server connection",
    "failed to resolve host",
    "idle_transaction_timeout",
    "is not accepting connections",
    "is not currently accepting connections",
    "is the server running",
    "login has been failing",
    "lost synchronization",
    "max client connections reached",
    "max clients reached",
    "max_client_conn",
    "max_db_connections",
    "max_user_connections",
    "network is unreachable",
    "no more connections allowed",
    "no route to host",
    "no such file or directory",
    "not yet accepting connections",
    "out of memory",
    "pgbouncer cannot connect to server",
    "pool exhausted",
    "pooler is shut down",
    "query_timeout",
    "query_wait_timeout",
    "recovery mode",
    "remaining connection slots",
    "resource temporarily unavailable",
    "server closed the connection",
    "server conn crashed",
    "server is in hot standby mode",
    "server_login_retry",
    "session is not read-write",
    "session is read-only",
    "shutting down",
    "ssl connection has been closed",
    "starting up",
    "temporary failure in name resolution",
    "terminating connection",
    "timed out",
    "timed-out waiting",
    "timeout expired",
    "to database not available",
    "too many clients",
    "too many connections",
    "too many open files",
    "too many server connections",
    "transaction_timeout",
    "unexpected eof",
    "user requested cancel",
)

_BARE_HOST: Final = (
    "Check the connection's host: a bare name or address; the port and the database have their own fields"
)

#: What each lasting or frequent trouble is cured by, by a word of its message.
_CURES: Final = (
    (
        "unsupported startup parameter",
        "PgBouncer does not take this setting: leave it out of the connection's extra, or name it in"
        " ignore_startup_parameters of pgbouncer.ini",
    ),
    (
        "certificate",
        "Check sslmode, sslrootcert, sslcert and sslkey in the connection's extra, on every host of Airflow",
    ),
    ("resolve host", _BARE_HOST),
    ("translate host name", _BARE_HOST),
    ("invalid connection option", "Take it out of the connection's extra: libpq knows no such setting"),
    ("too many", "Raise the limit of the role, the database or the pooler, or run fewer tasks at once"),
    ("max_client_conn", "Raise max_client_conn in pgbouncer.ini, or run fewer tasks at once"),
    ("connection slots", "Raise max_connections, put a PgBouncer in between, or run fewer tasks at once"),
    ("read-only", 'Connect to the primary: name all hosts, and set "target_session_attrs": "read-write" in the extra'),
    ("during recovery", 'Connect to the primary: set "target_session_attrs": "read-write" in the extra'),
    ("no schema has been selected", "Set [midjourney] schema, or a search_path that exists for the role"),
    ("conversion between", "Create the database with ENCODING 'UTF8'"),
    (NO_TRANSACTIONS, "Set pool_mode = transaction in pgbouncer.ini: claims, which are paid for, need transactions"),
    (
        "server closed the connection",
        "Look into the log of Postgres, or of the pooler: PgBouncer needs pool_mode = transaction or session",
    ),
)

_CURE: Final = "Check the connection's host, login, database and rights"


def fault_of(error: BaseException) -> Fault | None:
    """Say what an error means; None for what has nothing to do with the database."""
    if isinstance(error, PoolTimeoutError):
        return Fault.PASSING
    if not isinstance(error, DBAPIError):
        return Fault.WRONG if isinstance(error, SQLAlchemyError) else None
    if isinstance(error, IntegrityError):
        return Fault.WRONG
    state = sqlstate_of(error.orig)
    if (state == _PROTOCOL and _lasts(error)) or NO_TRANSACTIONS in str(error.orig).lower():
        # A pooler may close the connection, too, when it refuses.
        return Fault.MENDABLE
    if error.connection_invalidated or is_another_server(error.orig):
        return Fault.PASSING
    if state is None or state == _PROTOCOL:
        return _by_words(error)
    return Fault.PASSING if state in _SAY_LITTLE and _passes(error) else _by_state(state)


def is_passing(error: BaseException) -> bool:
    """Say whether the same transaction may succeed a moment later."""
    return fault_of(error) is Fault.PASSING


def is_another_server(error: BaseException | None) -> bool:
    """Say whether a server that was the primary has become a standby, or has been made read-only."""
    state = sqlstate_of(error)
    return state == "25006" or (state == "0A000" and "during recovery" in str(error))


def sqlstate_of(error: BaseException | None) -> str | None:
    """Give the SQLSTATE of a driver's error, where it has one."""
    # psycopg 3 calls it sqlstate, psycopg2 pgcode; sqlite3 has none.
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    return state if isinstance(state, str) else None


def cure_of(error: BaseException) -> str:
    """Say what a person can do about an error."""
    message = str(getattr(error, "orig", None) or error).lower()
    return next((cure for words, cure in _CURES if words in message), _CURE)


def _by_state(state: str) -> Fault:
    if state in _PASSING_STATES or state[:2] in _PASSING_STATES:
        return Fault.PASSING
    return Fault.MENDABLE if state in _MENDABLE_STATES or state[:2] in _MENDABLE_STATES else Fault.WRONG


def _by_words(error: DBAPIError) -> Fault:
    if isinstance(error, OperationalError | InterfaceError | InternalError):
        return Fault.PASSING if _passes(error) else Fault.MENDABLE
    return Fault.WRONG if isinstance(error, ProgrammingError | DataError) else Fault.MENDABLE


def _passes(error: DBAPIError) -> bool:
    message = str(error.orig).lower()
    return not _lasts(error) and any(words in message for words in _PASSING)


def _lasts(error: DBAPIError) -> bool:
    message = str(error.orig).lower()
    return any(words in message for words in _LASTING)
