"""The ten tables. Columns are only ever added; what each means is said here once, in its ``comment``.

For the modules of ``describe/table`` and for ``queries``; nothing else builds a statement.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import MetaData, Table

from airflow_midjourney.describe.table.schema.accounts import accounts_table, meta_table
from airflow_midjourney.describe.table.schema.batches import batches_table, members_table, requests_table
from airflow_midjourney.describe.table.schema.bill import submissions_table, tallies_table
from airflow_midjourney.describe.table.schema.conditions import (
    GIVEN_UP,
    SHARING,
    WITH_A_REASON,
    has_status,
    may_be_answered,
)
from airflow_midjourney.describe.table.schema.images import PROMPT_COLUMNS, images_table
from airflow_midjourney.describe.table.schema.reviews import review_leases_table, reviews_table

__all__ = [
    "GIVEN_UP",
    "PROMPT_COLUMNS",
    "SCHEMA_VERSION",
    "SHARING",
    "WITH_A_REASON",
    "TableNames",
    "Tables",
    "build_tables",
    "has_status",
    "may_be_answered",
]

#: Stored in the ``meta`` table; a later release that adds columns raises it and brings the migration.
SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class TableNames:
    """Where the tables are.

    :param table: name of the metadata table; the others are named after it.
    :param schema: database schema, None for the connection's default. Postgres only.
    """

    table: str = "image_prompts"
    schema: str | None = None


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables of one deployment, ready for SQLAlchemy Core."""

    metadata: MetaData
    images: Table
    submissions: Table
    batches: Table
    members: Table
    accounts: Table
    requests: Table
    tallies: Table
    reviews: Table
    review_leases: Table
    meta: Table


def build_tables(names: TableNames) -> Tables:
    """Give the tables under the names of this deployment."""
    metadata = MetaData(schema=names.schema)
    return Tables(
        metadata=metadata,
        images=images_table(metadata, names.table),
        submissions=submissions_table(metadata, names.table),
        batches=batches_table(metadata, names.table),
        members=members_table(metadata, names.table),
        accounts=accounts_table(metadata, names.table),
        requests=requests_table(metadata, names.table),
        tallies=tallies_table(metadata, names.table),
        reviews=reviews_table(metadata, names.table),
        review_leases=review_leases_table(metadata, names.table),
        meta=meta_table(metadata, names.table),
    )
