"""What the table holds, for a notebook: rows, or an Arrow table."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from airflow_midjourney.arguments import read_moment, read_scope, read_statuses

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from airflow_midjourney.describe.queries.rows import DescribedImage, Wanted
    from airflow_midjourney.describe.table.database import Database


def read_prompts(
    source: str = "image_prompts_db",
    *,
    bucket: str,
    prefix: str | Sequence[str] | None = None,
    keys: Sequence[str] | None = None,
    bot_type: str = "MID_JOURNEY",
    status: str | Sequence[str] = "succeeded",
    current_only: bool = True,
    since: datetime | str | None = None,
    until: datetime | str | None = None,
    choose: str = "described",
    reviewed_only: bool = False,
    table: str = "image_prompts",
    schema: str | None = None,
) -> Iterator[DescribedImage]:
    """Read rows one by one, in the order of their keys, without holding them all. Nothing is made or written.

    :param source: the id of an Airflow connection, or a SQLAlchemy URL such as ``postgresql://…`` or
        ``sqlite:////data/prompts.db``, where there is no Airflow.
    :param bucket: the bucket of the images.
    :param prefix: one prefix or several; None with no keys is the whole bucket.
    :param keys: up to 1,000 keys instead.
    :param bot_type: ``MID_JOURNEY`` or ``NIJI_JOURNEY``.
    :param status: one status, several, or ``all``.
    :param current_only: False for versions of objects that were replaced, too.
    :param since: only what ended then or later.
    :param until: only what ended before then.
    :param choose: ``reviewed`` leaves out what a person rejected; ``described`` takes rows whatever was decided. Either
        way a row's ``decision`` and approved ``caption`` are beside its prompts.
    :param reviewed_only: True for approved rows alone, with ``choose="reviewed"``.
    :param table: name of the table, with a URL; a connection has it from Airflow's configuration.
    :param schema: its schema, likewise.
    :raises DescribeError: if an argument makes no sense, or the database cannot be read.
    """
    from airflow_midjourney.describe.exports.selection import Choice, read_choose
    from airflow_midjourney.describe.queries.rows import Wanted

    choice = Choice(choose=read_choose(choose), reviewed_only=reviewed_only)
    wanted = Wanted(
        read_scope(bucket=bucket, prefix=prefix, keys=keys, whole_bucket=prefix is None, bot_type=bot_type),
        read_statuses(status),
        current_only,
        read_moment(since, "since"),
        read_moment(until, "until"),
    )
    return (row for row in _rows(source, table, schema, wanted) if not choice.is_left_out(row))


def read_prompts_as_arrow(source: str = "image_prompts_db", **arguments: Any) -> Any:
    """Read rows into a ``pyarrow.Table``, in the columns of the Parquet export; ``.to_pandas()`` makes a data frame.

    With ``choose="reviewed"`` the column ``caption`` has the approved text where there is one, else the first prompt.
    Takes the arguments of :func:`read_prompts`. Needs the extra ``parquet``.

    :raises SettingsError: if pyarrow is not installed.
    """
    from airflow_midjourney.describe.exports.arrow import arrow_table
    from airflow_midjourney.describe.exports.selection import read_choose

    return arrow_table(read_prompts(source, **arguments), read_choose(arguments.get("choose", "described")))


def _rows(source: str, table: str, schema: str | None, wanted: Wanted) -> Iterator[DescribedImage]:
    from airflow_midjourney.describe.queries.rows import read_rows

    with _opened(source, table, schema) as database:
        yield from read_rows(database, wanted)


@contextmanager
def _opened(source: str, table: str, schema: str | None) -> Iterator[Database]:
    """Open the database for this reader alone; it makes no tables."""
    if "://" in source:
        from airflow_midjourney.describe.table.database import open_database
        from airflow_midjourney.describe.table.schema import TableNames

        database = open_database(source, TableNames(table, schema), name="the given URL")
    else:
        from airflow_midjourney.hooks.image_prompts import view_metadata

        database = view_metadata(source)
    with closing(database):
        yield database
