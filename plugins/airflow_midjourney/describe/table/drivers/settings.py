"""How a transaction of ours begins on Postgres: its own settings, the clock and the encoding, in one question.

Roles, databases and poolers bring settings of their own. Each transaction sets what it depends on for itself alone
(``set_config`` with ``is_local``), so that a pooler may give the connection to another client after it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import text

from airflow_midjourney.describe.model.errors import TableError

if TYPE_CHECKING:
    from sqlalchemy import Connection

#: Prompts have keycaps, Chinese and emoji in them.
ENCODING: Final = "UTF8"

#: What numbers and moments look like on their way, and that a statement is not cut short by a role's setting.
#: Never standard_conforming_strings: psycopg2 quotes as it was when the connection began.
_OURS: Final = {
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "extra_float_digits": "1",
    "statement_timeout": "0",
    "lock_timeout": "0",
}

#: A claim, or an answer that was paid for, must survive a crash; what is safer than `on` stays.
_SURVIVES: Final = (
    "set_config('synchronous_commit',"
    " CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true)"
)

#: An integer looks the same in every style and time zone.
_CLOCK: Final = "CAST(date_part('epoch', clock_timestamp()) * 1000000 AS bigint) AS microseconds"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _opening(*settings: str) -> str:
    ours = [f"set_config('{name}', '{value}', true)" for name, value in _OURS.items()]
    return f"SELECT {_CLOCK}, current_setting('server_encoding') AS encoding, {', '.join([*ours, *settings])}"


_OPENING: Final = {True: text(_opening(_SURVIVES)), False: text(_opening())}


def begin(connection: Connection, name: str) -> datetime:
    """Begin a transaction with our own settings, and give the moment by the database's clock.

    SQLite lives on one host and has that host's clock.

    :param connection: on which no statement of this transaction was run yet.
    :param name: what messages call the database: the connection id.
    :raises TableError: if the database cannot store every text.
    """
    if connection.dialect.name == "sqlite":
        return datetime.now(UTC)
    opening = _OPENING[bool(connection.get_execution_options().get("writes"))]
    row = connection.execute(opening).one()
    if row.encoding != ENCODING:
        raise TableError(
            f"The database of connection {name!r} has the encoding {row.encoding}, which cannot store every prompt."
            " Create one with ENCODING 'UTF8' (CREATE DATABASE image_prompts ENCODING 'UTF8' TEMPLATE template0), and"
            " name it in the connection. Nothing was submitted."
        )
    return _EPOCH + timedelta(microseconds=row.microseconds)


def limit_statements(connection: Connection, seconds: int) -> None:
    """Let each further statement of this transaction take so long at most; SQLite's are not limited."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET LOCAL statement_timeout = '{seconds}s'"))
