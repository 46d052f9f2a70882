"""Column types that mean the same on SQLite and on Postgres."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BigInteger, DateTime, Float, Integer, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

from airflow_midjourney.describe.model.text import storable

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect
    from sqlalchemy.sql.compiler import SQLCompiler
    from sqlalchemy.types import TypeEngine

#: A growing row number: SQLite numbers rows by itself only in a column of the exact type INTEGER.
RowNumber: Final = BigInteger().with_variant(Integer(), "sqlite")


class PlainText(TypeDecorator[str]):
    """Text without what no database takes: the record of a paid answer must not fail on a stranger's NUL."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Remove NUL and lone surrogates."""
        if value is None or (value.isascii() and "\x00" not in value):
            return value
        return storable(value)


class KeyText(PlainText):
    """Text that compares byte by byte, as S3 orders its listings, whatever the locale of the database."""

    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Give the collation that does not depend on the database."""
        return Text(collation="C") if dialect.name == "postgresql" else Text()


class FilteredText(FunctionElement[str]):
    """A text column that SQLite filters by, but does not look rows up by.

    SQLite, which keeps no statistics by itself, takes the index with the most conditions: that of the keys, with all
    the finished rows of a prefix. Postgres knows better, and is left alone.
    """

    type = KeyText()
    inherit_cache = True


@compiles(FilteredText)
def _plain(element: FilteredText, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


@compiles(FilteredText, "sqlite")
def _not_for_an_index(element: FilteredText, compiler: SQLCompiler, **options: Any) -> str:
    return f"+{compiler.process(element.clauses, **options)}"


class SecondsBetween(FunctionElement[float]):
    """Seconds from one moment to a later one, which each database spells in its own way."""

    type = Float()
    inherit_cache = True


@compiles(SecondsBetween, "postgresql")
def _by_interval(element: SecondsBetween, compiler: SQLCompiler, **options: Any) -> str:
    first, last = (compiler.process(moment, **options) for moment in element.clauses)
    return f"date_part('epoch', {last} - {first})"


@compiles(SecondsBetween, "sqlite")
def _by_julian_day(element: SecondsBetween, compiler: SQLCompiler, **options: Any) -> str:
    first, last = (compiler.process(moment, **options) for moment in element.clauses)
    return f"((julianday({last}) - julianday({first})) * 86400.0)"


class UTCDateTime(TypeDecorator[datetime]):
    """A moment in UTC: ``timestamptz`` on Postgres, ISO text on SQLite, always aware in Python."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse moments without a time zone; SQLite stores them in UTC without the suffix."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"A moment without a time zone cannot be stored: {value!r}")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """Give every moment back in UTC."""
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
