"""Print the DDL of the tables, or copy them to Postgres: ``python -m airflow_midjourney.describe.table --help``."""

from __future__ import annotations

import argparse
import os
import sys

from airflow_midjourney.describe.model.errors import DescribeError, TableError
from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.describe.table.migrations import print_additions, print_ddl
from airflow_midjourney.describe.table.relocation.relocate import relocate
from airflow_midjourney.describe.table.schema import TableNames
from airflow_midjourney.describe.table.schema.dictionary import print_dictionary


def main() -> None:
    """Read the arguments, and print or copy."""
    parser = argparse.ArgumentParser(description="Print the DDL of the metadata tables, or copy them to Postgres.")
    parser.add_argument("--dialect", choices=("postgresql", "sqlite"), default="postgresql")
    parser.add_argument("--table", default="image_prompts", help="as in [midjourney] table")
    parser.add_argument("--schema", default=None, help="as in [midjourney] schema")
    parser.add_argument(
        "--since",
        type=int,
        default=None,
        metavar="REVISION",
        help="only what was added since; the meta table says",
    )
    parser.add_argument("--dictionary", action="store_true", help="print what each column means instead, as Markdown")
    for argument, what in (("--copy-from", "of the SQLite file"), ("--copy-to", "of the Postgres database")):
        parser.add_argument(
            argument,
            metavar="VARIABLE",
            help=f"copy all rows: name of the environment variable with the SQLAlchemy URL {what}",
        )
    chosen = parser.parse_args()
    names = TableNames(chosen.table, chosen.schema)
    if chosen.copy_from or chosen.copy_to:
        _copy(chosen.copy_from, chosen.copy_to, names)
    elif chosen.dictionary:
        sys.stdout.write(print_dictionary())
    elif chosen.since is None:
        sys.stdout.write(print_ddl(chosen.dialect, names))
    else:
        sys.stdout.write(print_additions(chosen.dialect, names, chosen.since))


def _copy(copy_from: str | None, copy_to: str | None, names: TableNames) -> None:
    """Copy the tables, and say how it went; ends the program with the reason where it cannot."""
    try:
        source = open_database(_url_in(copy_from), TableNames(names.table), name="the source")
        target = open_database(_url_in(copy_to), names, name="the target")
        copied = relocate(source, target, _tell)
    except DescribeError as error:
        sys.exit(str(error))
    rows = sum(table.rows for table in copied)
    _tell(f"All {rows:,} rows are there. Let connection image_prompts_db name the target, then start Airflow again.")


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _url_in(variable: str | None) -> str:
    """Give the URL in an environment variable: on a command line every user of the machine would see its password.

    :raises TableError: if there is none.
    """
    url = os.environ.get(variable or "")
    if not url:
        raise TableError(
            "Name both with --copy-from and --copy-to: an environment variable each that holds a SQLAlchemy URL, such"
            " as sqlite:////data/prompts.db and postgresql+psycopg://user:password@host/database."
        )
    return url


if __name__ == "__main__":
    main()
