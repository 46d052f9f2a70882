"""What a pooler says when it takes no transactions: psycopg2 loses its words with the connection that it closes."""

from __future__ import annotations

import select
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import event

from airflow_midjourney.describe.table.drivers.faults import NO_TRANSACTIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine
    from sqlalchemy.engine import ExceptionContext

#: How psycopg2 tells of a connection that the other side has closed, whatever that said before.
_CLOSED: Final = "server closed the connection unexpectedly"

#: Seconds for one question.
_LONGEST_QUESTION: Final = 5.0


def hear_poolers(engine: Engine) -> None:
    """Let an error of an engine on psycopg2 say that its pooler takes no transactions.

    A connection that was closed may have been closed by a restart, too, so the server is asked once, over a connection
    of its own: not until then is it known whether waiting helps.

    :param engine: is changed.
    """
    login: list[tuple[Sequence[Any], dict[str, Any]]] = []

    @event.listens_for(engine, "do_connect")
    def on_connect(_dialect: Any, _record: Any, arguments: Sequence[Any], named: dict[str, Any]) -> None:
        login[:] = [(arguments, named)]

    @event.listens_for(engine, "handle_error")
    def on_error(context: ExceptionContext) -> None:
        error = context.original_exception
        if not login or _CLOSED not in str(error):
            return
        arguments, named = login[0]
        said = _answer_to_begin(engine.dialect.loaded_dbapi, arguments, named)
        if NO_TRANSACTIONS in said.lower():
            error.args = (said.strip().splitlines()[0],)


def _answer_to_begin(psycopg2: Any, arguments: Sequence[Any], named: dict[str, Any]) -> str:
    """Begin a transaction, and give the pooler's objection to it. Only an asynchronous connection keeps its words."""
    deadline = time.monotonic() + _LONGEST_QUESTION
    try:
        with closing(psycopg2.connect(*arguments, **{**named, "async_": True})) as connection:
            _wait_for(connection, deadline)
            connection.cursor().execute("BEGIN")
            _wait_for(connection, deadline)
    except psycopg2.Error as error:
        return str(error)
    return ""


def _wait_for(connection: Any, deadline: float) -> None:
    while (state := connection.poll()) and (left := deadline - time.monotonic()) > 0:
        # 1: there is something to read; 2: there is room to write.
        select.select([connection] if state == 1 else [], [connection] if state == 2 else [], [], left)
