"""Airflow connections for the real parts of the tests, as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import make_url

if TYPE_CHECKING:
    from tests.support.places import MetadataPlace


def midjourney(url: str, key: str = "", **extra: Any) -> str:
    """A connection to a simulator; polled often, since its answers come soon."""
    return json.dumps({"conn_type": "midjourney", "host": url, "password": key, "extra": {"timeout": 10, **extra}})


def aws(endpoint_url: str) -> str:
    """A connection to an S3 server."""
    return json.dumps(
        {
            "conn_type": "aws",
            "login": "an-access-id",
            "password": "an-access-word",
            "extra": {"endpoint_url": endpoint_url, "region_name": "us-east-1"},
        }
    )


def metadata(place: MetadataPlace) -> str:
    """A connection to a metadata database: a file, or a Postgres server behind a Unix socket."""
    url = make_url(place.url)
    if url.get_backend_name() == "sqlite":
        return json.dumps({"conn_type": "sqlite", "host": url.database})
    return json.dumps(
        {
            "conn_type": "postgres",
            "login": url.username,
            "password": url.password,
            "schema": url.database,
            "extra": {"sqlalchemy_query": dict(url.query)},
        }
    )
