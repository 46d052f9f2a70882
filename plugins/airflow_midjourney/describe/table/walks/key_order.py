"""Walking rows in the order of their keys: a page is one step along their index, however many rows there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import ColumnElement, and_, or_

from airflow_midjourney.describe.model.text import storable
from airflow_midjourney.describe.table.batches import after_prefix

if TYPE_CHECKING:
    from airflow_midjourney.describe.model.batch import Scope
    from airflow_midjourney.describe.table.schema import Tables


class KeyRange(NamedTuple):
    """Keys from one on, and before another; None for no end."""

    low: str
    high: str | None


class RowCursor(NamedTuple):
    """Where a page ended: the order of the rows is by key, then by number."""

    key: str
    id: int


def key_ranges(scope: Scope) -> list[KeyRange]:
    """Give the ranges of keys of a scope, in order and apart: each is one walk along the index of the keys."""
    if scope.keys:
        return [KeyRange("", None)]
    found: list[str] = []
    for prefix in sorted({storable(prefix) for prefix in scope.prefixes}):
        if not found or not prefix.startswith(found[-1]):
            found.append(prefix)
    return [KeyRange(prefix, after_prefix(prefix)) for prefix in found]


def on_the_way(tables: Tables, scope: Scope, keys: KeyRange, after: RowCursor | None) -> ColumnElement[bool]:
    """Give the condition that a row of a scope comes in a range and after a page; order by key and number.

    :param scope: one without a manifest.
    """
    images = tables.images.c
    conditions = [
        images.bucket == scope.bucket,
        images.bot_type == scope.bot_type.value,
        images.key >= (keys.low if after is None else after.key),
    ]
    if scope.keys:
        conditions.append(images.key.in_([storable(key) for key in scope.keys]))
    if keys.high is not None:
        conditions.append(images.key < keys.high)
    if after is not None:
        conditions.append(or_(images.key > after.key, images.id > after.id))
    return and_(*conditions)
