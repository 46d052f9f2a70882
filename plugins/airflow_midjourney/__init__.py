"""Describe the images of an S3 prefix with a midjourney-proxy-compatible service, and pay for each one once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_midjourney.notebooks import read_prompts, read_prompts_as_arrow

from airflow_midjourney._version import __version__

__all__ = ["__version__", "read_prompts", "read_prompts_as_arrow"]


def __getattr__(name: str) -> Any:
    """Load what notebooks use when they use it: a process that only reads DAGs pays for none of it."""
    if name in __all__:
        from airflow_midjourney import notebooks

        return getattr(notebooks, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
