"""The ``manifest.json`` of an S3 Inventory: which files list the objects, and with which columns."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_midjourney.describe.model.errors import ManifestError
from airflow_midjourney.describe.storage.manifest.entries import Columns, named_columns

if TYPE_CHECKING:
    from airflow_midjourney.describe.storage.listed_images import ListedImage

_ARN: Final = "arn:"


@dataclass(frozen=True, slots=True)
class Inventory:
    """What one inventory consists of.

    :param source_bucket: the bucket that is listed; empty where it does not say.
    :param bucket: where its files are.
    :param files: their keys.
    """

    source_bucket: str
    bucket: str
    columns: Columns
    files: tuple[str, ...]


def read_inventory(content: bytes, stored: ListedImage) -> Inventory:
    """Read a ``manifest.json``.

    :param stored: where it comes from.
    :raises ManifestError: it is something else, or of files that are not CSV.
    """
    try:
        described: Any = json.loads(content)
    except (ValueError, RecursionError):
        described = None
    if not isinstance(described, dict) or not isinstance(described.get("fileSchema"), str):
        raise _not_an_inventory(stored)
    if described.get("fileFormat", "CSV") != "CSV":
        raise ManifestError(
            f"The S3 Inventory {stored.uri!r} has files of the format {described['fileFormat']!r}, which is not read"
            " here. Set the output format of the inventory to CSV and give the manifest.json of the next one.",
            image_uri=stored.uri,
        )
    places = named_columns(described["fileSchema"].split(","))
    if "key" not in places:
        raise _not_an_inventory(stored)
    return Inventory(
        source_bucket=_text(described.get("sourceBucket")),
        bucket=_bucket(_text(described.get("destinationBucket"))) or stored.bucket,
        columns=Columns(places, encoded=True),
        files=_files(described.get("files"), stored),
    )


def _files(files: Any, stored: ListedImage) -> tuple[str, ...]:
    if not isinstance(files, list):
        raise _not_an_inventory(stored)
    keys = tuple(_text(one.get("key")) if isinstance(one, dict) else "" for one in files)
    if not all(keys):
        raise _not_an_inventory(stored)
    return keys


def _bucket(destination: str) -> str:
    return destination.rpartition(":")[2] if destination.startswith(_ARN) else destination


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _not_an_inventory(stored: ListedImage) -> ManifestError:
    return ManifestError(
        f"{stored.uri!r} is neither a JSON list of keys nor the manifest.json of an S3 Inventory (which needs"
        " fileSchema with a Key, and files with keys). Write one s3://bucket/key a line, and name the list .txt.",
        image_uri=stored.uri,
    )
