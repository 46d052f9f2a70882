"""How Postgres stores and vacuums the tables. SQLite has nothing like it. Why these: docs/architecture.md."""

from __future__ import annotations

from typing import Final

#: Under this name a table's ``info`` has its storage parameters: SQLAlchemy takes them as ``postgresql_with`` since
#: 2.1 only, and Airflow 3.2 comes with 2.0.
STORAGE: Final = "storage"

#: A table of millions: a fifth of it, Postgres's own mark, would be too late by weeks.
MANY_ROWS: Final = {
    "autovacuum_vacuum_scale_factor": 0.02,
    "autovacuum_vacuum_insert_scale_factor": 0.05,
    "autovacuum_analyze_scale_factor": 0.01,
}

#: Few rows, each written again and again: room for new versions beside the old ones, so that no index is written.
FEW_BUSY_ROWS: Final = {"fillfactor": 50}
