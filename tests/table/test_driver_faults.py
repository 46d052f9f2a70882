"""What an error of the database means, by either driver: it passes, a person mends it, or the statement is wrong."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import psycopg
import psycopg2
import psycopg2.errors
import pytest
from sqlalchemy import text
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from airflow_midjourney.describe.model.errors import TableError
from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.describe.table.drivers.faults import Fault, fault_of
from airflow_midjourney.describe.table.migrations import ensure_tables
from tests.support import rows
from tests.support.postgres import DRIVERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_midjourney.describe.table.database import Database, Transaction
    from tests.support.postgres import RunningPostgres

TOO_MANY_FOR_ROLE = 'connection failed: FATAL:  too many connections for role "prompts"'


def of_psycopg(state: str, words: str) -> Exception:
    return psycopg.errors.lookup(state)(words)


def of_psycopg2(state: str, words: str) -> Exception:
    found: Exception = psycopg2.errors.lookup(state)(words)
    return found


class _OfPsycopg2(psycopg2.OperationalError):  # type: ignore[misc]
    """psycopg2 alone can write the state into an error of its own."""

    def __init__(self, state: str, words: str) -> None:
        super().__init__(words)
        self.state = state

    @property
    def pgcode(self) -> str:
        return self.state


@pytest.mark.parametrize(
    "words",
    [
        TOO_MANY_FOR_ROLE,
        'FATAL:  too many connections for database "prompts"',
        "FATAL:  sorry, too many clients already",
        "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
        "FATAL:  no more connections allowed (max_client_conn)",
        "FATAL:  client connections exceeded (max_user_client_connections)",
        "FATAL:  query_wait_timeout",
        "FATAL:  connection limit exceeded for non-superusers",
        "could not get connection from the pool - AllServersDown",
        "odyssey: c123: failed to get remote server connection",
        "ERROR:  pooler is shut down now",
        "FATAL:  Control plane request failed",
        "FATAL:  server login has been failing, try again later (server_login_retry)",
        "FATAL:  server conn crashed?",
        "FATAL:  pgbouncer cannot connect to server",
        "FATAL:  MaxClientsInSessionMode: max clients reached - in Session mode max clients are limited to pool_size",
        "FATAL:  the database system is starting up",
        "FATAL:  the database system is shutting down",
        "FATAL:  the database system is not yet accepting connections",
        "connection timeout expired",
        "session is read-only",
        'connection to server at "db" (10.0.0.1), port 5432 failed: Connection refused',
        "failed to resolve host 'db': [Errno -3] Temporary failure in name resolution",
        "SSL connection has been closed unexpectedly",
        "FATAL:  max_db_connections exceeded",
        "FATAL:  client_login_timeout (server down)",
        "FATAL:  server login failed: FATAL sorry, too many clients already",
        "FATAL:  Authentication query failed: Connection to database not available",
        "FATAL:  Timed-out waiting to acquire database connection",
        "FATAL:  the database system is not accepting connections",
        "Couldn't connect to compute node",
        "SSL error: unexpected eof while reading",
        "[Errno 32] Broken pipe",
        "could not fork new process for connection: Resource temporarily unavailable",
    ],
)
@pytest.mark.parametrize("error", [psycopg.OperationalError, psycopg2.OperationalError])
def test_a_connection_that_did_not_come_about_may_a_moment_later(error: type[Exception], words: str) -> None:
    assert fault_of(OperationalError("", {}, error(words))) is Fault.PASSING


@pytest.mark.parametrize(
    "words",
    [
        'FATAL:  password authentication failed for user "prompts"',
        'FATAL:  database "prompts" does not exist',
        "FATAL:  no pg_hba.conf entry for host",
        "FATAL:  unsupported startup parameter: options",
        "server does not support SSL, but SSL was required",
        'root certificate file "/etc/ssl/ca.pem" does not exist',
        "SSL error: certificate verify failed",
        "words that no list foresees",
    ],
)
@pytest.mark.parametrize("error", [psycopg.OperationalError, psycopg2.OperationalError])
def test_what_a_person_has_to_mend_does_not_pass(error: type[Exception], words: str) -> None:
    assert fault_of(OperationalError("", {}, error(words))) is Fault.MENDABLE


@pytest.mark.parametrize(
    ("state", "fault"),
    [
        ("53300", Fault.PASSING),
        ("57P01", Fault.PASSING),
        ("57P03", Fault.PASSING),
        ("08006", Fault.PASSING),
        ("25006", Fault.PASSING),
        ("26000", Fault.PASSING),
        ("42P05", Fault.PASSING),
        ("40001", Fault.PASSING),
        ("40P01", Fault.PASSING),
        ("55P03", Fault.PASSING),
        ("53100", Fault.MENDABLE),
        ("42501", Fault.MENDABLE),
        ("28P01", Fault.MENDABLE),
        ("42703", Fault.WRONG),
        ("22021", Fault.WRONG),
        ("54000", Fault.WRONG),
    ],
)
@pytest.mark.parametrize("wrapped", [OperationalError, ProgrammingError, DBAPIError])
def test_the_state_counts_whatever_class_a_driver_puts_it_in(
    wrapped: type[DBAPIError], state: str, fault: Fault
) -> None:
    assert fault_of(wrapped("", {}, of_psycopg(state, "слишком много"))) is fault
    assert fault_of(wrapped("", {}, _OfPsycopg2(state, "слишком много"))) is fault


def test_a_pooler_says_all_under_one_state() -> None:
    passing, lasting = "no more connections allowed (max_client_conn)", "unsupported startup parameter: options"

    assert fault_of(OperationalError("", {}, of_psycopg("08P01", passing))) is Fault.PASSING
    assert fault_of(OperationalError("", {}, _OfPsycopg2("08P01", passing))) is Fault.PASSING
    assert fault_of(OperationalError("", {}, of_psycopg("08P01", lasting))) is Fault.MENDABLE


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ("transaction blocks not allowed in statement pooling mode", Fault.MENDABLE),
        ("no such database: prompts", Fault.MENDABLE),
        ("server conn crashed?", Fault.PASSING),
        ("words that no list foresees", Fault.PASSING),
    ],
)
def test_a_refusal_of_a_pooler_lasts_though_it_closes_the_connection(words: str, fault: Fault) -> None:
    error = OperationalError("", {}, of_psycopg("08P01", words), connection_invalidated=True)

    assert fault_of(error) is fault


@pytest.mark.parametrize(
    ("state", "words", "fault"),
    [
        ("XX000", "MaxClientsInSessionMode: max clients reached", Fault.PASSING),
        ("XX000", "Tenant or user not found", Fault.MENDABLE),
        ("58000", "server login has been failing", Fault.PASSING),
        ("58000", "could not read a file", Fault.MENDABLE),
        ("57014", "canceling statement due to user request", Fault.PASSING),
        ("57014", "canceling statement due to conflict with recovery", Fault.PASSING),
        ("57014", "canceling statement due to statement timeout", Fault.MENDABLE),
    ],
)
def test_where_a_state_says_little_its_words_count(state: str, words: str, fault: Fault) -> None:
    assert fault_of(InternalError("", {}, of_psycopg(state, words))) is fault
    assert fault_of(OperationalError("", {}, _OfPsycopg2(state, words))) is fault


def test_errors_that_are_not_the_databases() -> None:
    assert fault_of(PoolTimeoutError("QueuePool limit of size 4")) is Fault.PASSING
    assert fault_of(InterfaceError("", {}, psycopg2.InterfaceError("the connection timed out"))) is Fault.PASSING
    assert fault_of(ArgumentError("Only '=' can be used with None")) is Fault.WRONG
    assert fault_of(ValueError("a moment without a time zone")) is None


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("limited", ["ROLE", "DATABASE"])
def test_a_limit_of_connections_is_waited_for(postgres_server: RunningPostgres, driver: str, limited: str) -> None:
    postgres_server.execute("CREATE ROLE crowded LOGIN")
    postgres_server.execute("CREATE DATABASE crowd OWNER crowded")
    opened = open_database(postgres_server.url(driver, "crowd", "crowded"), name="image_prompts_db")
    try:
        ensure_tables(opened)
        opened.engine.dispose()
        postgres_server.execute(f"ALTER {limited} {'crowded' if limited == 'ROLE' else 'crowd'} CONNECTION LIMIT 0")
        lift = f"ALTER {limited} {'crowded' if limited == 'ROLE' else 'crowd'} CONNECTION LIMIT 5"

        with pytest.raises(TableError, match=r"too many connections.*Raise the limit") as error:
            asyncio.run(opened.read_now(_nothing))
        later = threading.Timer(1.0, postgres_server.execute, [lift])
        began = time.monotonic()
        later.start()
        asyncio.run(opened.write(_nothing))
        took = time.monotonic() - began
        later.join()
    finally:
        opened.close()
        postgres_server.execute("DROP DATABASE crowd WITH (FORCE)")
        postgres_server.execute("DROP ROLE crowded")

    assert error.value.retry_helps
    assert took >= 0.9


def _nothing(tx: Transaction) -> None:
    tx.connection.execute(text("SELECT 1"))


class _Failing:
    """A query that fails so many times before it succeeds."""

    def __init__(self, error: Callable[[], Exception], times: int) -> None:
        self.error = error
        self.left = times

    def __call__(self, tx: Transaction) -> str:
        if self.left:
            self.left -= 1
            raise self.error()
        return "written"


@pytest.mark.parametrize(
    "error",
    [
        lambda: ProgrammingError("", {}, of_psycopg("26000", 'prepared statement "_pg3_1" does not exist')),
        lambda: ProgrammingError("", {}, _OfPsycopg2("42501", "permission denied for table image_prompts")),
        lambda: DataError("", {}, of_psycopg("22021", "invalid byte sequence")),
        lambda: ArgumentError("Only '=' can be used with None"),
        lambda: InterfaceError("", {}, psycopg2.InterfaceError("cursor already closed")),
        lambda: OperationalError("", {}, of_psycopg("25006", "cannot execute UPDATE in a read-only transaction")),
    ],
)
def test_a_record_goes_on_whatever_class_of_error_the_driver_raises(
    database: Database, error: Callable[[], Exception]
) -> None:
    assert asyncio.run(database.write_at_any_cost(_Failing(error, 3))) == "written"


STRANGE: dict[str, Any] = {
    "nul": "a\x00b",
    "half a pair": "a\ud83db",
    "both": "\x00\udc00\x00",
    "keycaps": "1️⃣ 猫",
    "long": "長" * 100_000,
}


@pytest.mark.parametrize("word", STRANGE.values(), ids=STRANGE)
def test_a_record_never_fails_on_its_text(database: Database, word: str) -> None:
    kept = word.replace("\x00", "").replace("\ud83d", "").replace("\udc00", "")
    facts = rows.PostFacts(200, word, word)
    with database.writing() as tx:
        batch = rows.open_batch(tx)
        rows.list_images(tx, [rows.listed("in/1.jpg"), rows.listed("in/2.jpg")])
        (_, first), (_, second) = rows.claim_next(tx, batch), rows.claim_next(tx, batch)
        assert rows.accepted(tx, first.submit_token, f"1{word[:50]}", facts)
        rows.submissions.ambiguous(tx, second.submit_token, facts)
        (row, _), (post, other) = rows.image_rows(tx), rows.bill(tx)

    assert row["task_id"] == post["task_id"] == f"1{kept[:50]}"
    assert (post["code"], post["detail"]) == (kept, kept or None) or kept == ""
    assert other["detail"] == (kept or "")
