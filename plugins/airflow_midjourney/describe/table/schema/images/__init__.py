"""The metadata table: one row per version of an image and bot. A module for each group of its columns, and its indexes.

For ``schema`` and the transitions, which need to know the columns before any table has a name.
"""

from __future__ import annotations

from sqlalchemy import MetaData, Table, UniqueConstraint

from airflow_midjourney.describe.table.schema.images.answers import (
    PROMPT_COLUMNS,
    answer_columns,
    price_and_time_columns,
)
from airflow_midjourney.describe.table.schema.images.doubt import doubt_columns, missing_columns, order_columns
from airflow_midjourney.describe.table.schema.images.indexes import image_indexes
from airflow_midjourney.describe.table.schema.images.objects import content_columns, identity_columns, listed_columns
from airflow_midjourney.describe.table.schema.images.work import (
    lease_columns,
    run_columns,
    state_columns,
    submission_columns,
)
from airflow_midjourney.describe.table.schema.storage import MANY_ROWS, STORAGE

__all__ = ["PROMPT_COLUMNS", "images_table"]


def images_table(metadata: MetaData, name: str) -> Table:
    """One row per version of an image and bot."""
    return Table(
        name,
        metadata,
        *identity_columns(),
        *listed_columns(),
        *content_columns(),
        *state_columns(),
        *submission_columns(),
        *answer_columns(),
        *price_and_time_columns(),
        *lease_columns(),
        *doubt_columns(),
        *order_columns(),
        *missing_columns(),
        *run_columns(),
        UniqueConstraint("image_uri", "image_version", "bot_type", name=f"uq_{name}_version"),
        *image_indexes(name),
        info={STORAGE: MANY_ROWS},
        comment="One row per version of an image and bot: its status, its prompts, and what is known of the object.",
    )
