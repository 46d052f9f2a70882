"""The view for other tools to join: one row per current version of an image and bot, with its prompts.

Nothing here reads it: it is for people and their tools, and may be left out where a DBA makes the tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Select, and_, exists, select, true

from airflow_midjourney.describe.table.schema.reviews import is_newest, review_facts

if TYPE_CHECKING:
    from sqlalchemy import Table

#: Its first columns, which are those of the metadata table; :data:`~.reviews.REVIEW_COLUMNS` follow.
CURRENT_COLUMNS: Final = (
    *("id", "image_uri", "bucket", "key", "image_version", "version_id", "is_current", "bot_type", "status", "reason"),
    *("prompt_1", "prompt_2", "prompt_3", "prompt_4", "prompt_count", "aspect_ratio", "parser_version"),
    *("content_sha256", "media_type", "width", "height", "size_bytes", "last_modified"),
    *("account", "price", "currency", "dag_id", "run_id", "ended_at", "created_at", "updated_at"),
)

CURRENT_COMMENT: Final = (
    "One row per image as S3 last listed it, and bot: its prompts, how far it has come, and what a person decided. "
    "Earlier versions and erased images are left out."
)


def current_view(images: Table) -> str:
    """Give the name of the view, without its schema."""
    return f"{images.name}_current"


def current_images(images: Table, reviews: Table) -> Select[Any]:
    """Select the rows of the view. Where two versions seem current, for two listings at once, it is the later row."""
    later = images.alias("later")
    outdone = exists().where(
        later.c.image_uri == images.c.image_uri,
        later.c.bot_type == images.c.bot_type,
        later.c.is_current == true(),
        later.c.id > images.c.id,
    )
    columns = (images.c[name] for name in CURRENT_COLUMNS)
    return (
        select(*columns, *review_facts(images, reviews))
        .select_from(images.outerjoin(reviews, is_newest(images, reviews)))
        .where(and_(images.c.is_current == true(), ~outdone))
    )
