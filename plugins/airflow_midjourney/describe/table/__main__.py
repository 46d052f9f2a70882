"""Print the DDL of the tables: ``python -m airflow_midjourney.describe.table --dialect postgresql``."""

from __future__ import annotations

import argparse
import sys

from airflow_midjourney.describe.table.creation import print_ddl
from airflow_midjourney.describe.table.schema import TableNames


def main() -> None:
    """Read the arguments and print."""
    parser = argparse.ArgumentParser(description="Print the DDL of the metadata tables.")
    parser.add_argument("--dialect", choices=("postgresql", "sqlite"), default="postgresql")
    parser.add_argument("--table", default="image_prompts", help="as in [midjourney] table")
    parser.add_argument("--schema", default=None, help="as in [midjourney] schema")
    chosen = parser.parse_args()
    sys.stdout.write(print_ddl(chosen.dialect, TableNames(chosen.table, chosen.schema)))


if __name__ == "__main__":
    main()
