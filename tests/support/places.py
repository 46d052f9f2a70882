"""Where a metadata database is, so that several processes can open the same one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_midjourney.describe.table.schema import TableNames


@dataclass(frozen=True)
class MetadataPlace:
    """A database URL and the names of the tables in it."""

    url: str
    names: TableNames
