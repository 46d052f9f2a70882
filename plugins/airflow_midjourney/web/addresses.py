"""Addresses of our pages, below our own top. Put the way to the top before them: they are relative."""

from __future__ import annotations

from urllib.parse import urlencode


def batch_address(batch_id: str) -> str:
    """Give where a batch is shown.

    The id is in the query, since it holds escaped characters itself, which servers and proxies undo in paths.
    """
    return f"batch?{urlencode({'id': batch_id})}"
