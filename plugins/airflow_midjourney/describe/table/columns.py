"""Column types that mean the same on SQLite and on Postgres."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BigInteger, DateTime, Integer, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect
    from sqlalchemy.sql.compiler import SQLCompiler

#: A growing row number: SQLite numbers rows by itself only in a column of the exact type INTEGER.
RowNumber: Final = BigInteger().with_variant(Integer(), "sqlite")

#: Text that compares byte by byte, as S3 orders its listings, whatever the locale of the database.
KeyText: Final = Text().with_variant(Text(collation="C"), "postgresql")


class FilteredText(FunctionElement[str]):
    """A text column that SQLite filters by, but does not look rows up by.

    SQLite, which keeps no statistics by itself, takes the index with the most conditions: that of the keys, with all
    the finished rows of a prefix. Postgres knows better, and is left alone.
    """

    type = KeyText
    inherit_cache = True


@compiles(FilteredText)
def _plain(element: FilteredText, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


@compiles(FilteredText, "sqlite")
def _not_for_an_index(element: FilteredText, compiler: SQLCompiler, **options: Any) -> str:
    return f"+{compiler.process(element.clauses, **options)}"


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
