"""Print the DDL of the tables, or what they mean: ``python -m airflow_midjourney.describe.table --help``."""

from __future__ import annotations

import argparse
import sys

from airflow_midjourney.describe.table.migrations import print_additions, print_ddl
from airflow_midjourney.describe.table.schema import TableNames
from airflow_midjourney.describe.table.schema.dictionary import print_dictionary


def main() -> None:
    """Read the arguments and print."""
    parser = argparse.ArgumentParser(description="Print the DDL of the metadata tables.")
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
    chosen = parser.parse_args()
    names = TableNames(chosen.table, chosen.schema)
    if chosen.dictionary:
        sys.stdout.write(print_dictionary())
    elif chosen.since is None:
        sys.stdout.write(print_ddl(chosen.dialect, names))
    else:
        sys.stdout.write(print_additions(chosen.dialect, names, chosen.since))


if __name__ == "__main__":
    main()
