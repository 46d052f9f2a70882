"""The one place that reads Airflow's configuration, section ``[midjourney]``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SECTION: Final = "midjourney"

DEFAULT_TABLE: Final = "image_prompts"
DEFAULT_POLL_INTERVAL: Final = 3.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for the whole deployment.

    :param table: name of the metadata table; the others are named after it.
    :param schema: its schema, None for the connection's default.
    :param manage_schema: whether the tables are made on first use.
    :param poll_interval: seconds between two polls of an account while answers may come at any time; for answers that
        are due they may be as close as a sixth of it.
    :param callbacks: whether the API server takes callbacks, and submissions ask for them.
    :param gallery_images: whether the pages show pictures, which the API server reads from S3.
    """

    table: str
    schema: str | None
    manage_schema: bool
    poll_interval: float
    callbacks: bool = False
    gallery_images: bool = True


def read_settings() -> Settings:
    """Read the configuration now; every process of a deployment has to see the same."""
    from airflow.sdk.configuration import conf

    return Settings(
        table=conf.get(SECTION, "table", fallback=DEFAULT_TABLE),
        schema=conf.get(SECTION, "schema", fallback="") or None,
        manage_schema=conf.getboolean(SECTION, "manage_schema", fallback=True),
        poll_interval=conf.getfloat(SECTION, "poll_interval", fallback=DEFAULT_POLL_INTERVAL),
        callbacks=conf.getboolean(SECTION, "callbacks", fallback=False),
        gallery_images=conf.getboolean(SECTION, "gallery_images", fallback=True),
    )
