"""Addresses of our pages, below our own top. Put the way to the top before them: they are relative."""

from __future__ import annotations

from urllib.parse import urlencode


def batch_address(batch_id: str) -> str:
    """Give where a batch is shown.

    The id is in the query, since it holds escaped characters itself, which servers and proxies undo in paths.
    """
    return f"batch?{urlencode({'id': batch_id})}"


def list_address(**filters: str | None) -> str:
    """Give where a list of batches is: ``list_address(dag_id="daily")``; what is empty is left out."""
    kept = {name: value for name, value in filters.items() if value}
    return f"batches?{urlencode(kept)}" if kept else "batches"
