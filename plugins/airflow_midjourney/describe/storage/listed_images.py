"""What S3 says of an object: as an entry of a listing, as the answer to HEAD, and with its bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.model.errors import StorageError
from airflow_midjourney.describe.storage.etags import plain_etag

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_s3.type_defs import HeadObjectOutputTypeDef, ObjectTypeDef

#: Only these need a restore before they can be read; GLACIER_IR is read like any other.
_ARCHIVES: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})

#: What the column of sizes can hold.
_LARGEST_SIZE: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class ListedImage:
    """One version of one object, as S3 lists it.

    :param bucket: the bucket.
    :param key: the key, raw: any character that S3 allows.
    :param etag: the ETag without its quotes. Opaque: it is no digest for multipart uploads.
    :param size_bytes: the size in bytes.
    :param last_modified: when it was written, UTC.
    :param storage_class: such as ``STANDARD`` or ``DEEP_ARCHIVE``.
    :param restored: True where a copy of an archived object can be read now.
    """

    bucket: str
    key: str
    etag: str
    size_bytes: int
    last_modified: datetime
    storage_class: str = "STANDARD"
    restored: bool = False

    @property
    def uri(self) -> str:
        """``s3://bucket/key``, the key raw."""
        return f"s3://{self.bucket}/{self.key}"

    @property
    def needs_restore(self) -> bool:
        """Whether it lies in an archive, out of which a person has to restore it before it can be read."""
        return self.storage_class in _ARCHIVES and not self.restored


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing, as the server gave it; see :mod:`airflow_midjourney.describe.storage.listing`.

    :param images: what is wanted of it, in the order of the keys.
    :param keys: all its keys, the unwanted among them, in the order of the server.
    :param is_last: True where nothing follows.
    :param continuation: what asks for the next page in the order of the server; empty where it gave nothing.
    """

    images: tuple[ListedImage, ...]
    keys: tuple[str, ...]
    is_last: bool
    continuation: str = ""

    @property
    def seen(self) -> int:
        """How many keys the page has."""
        return len(self.keys)


@dataclass(frozen=True, slots=True)
class StoredImage:
    """The bytes of an image, surely those of the version that was listed.

    :param image: what was asked for.
    :param body: the bytes.
    :param version_id: the version's id in a versioned bucket, ``null`` where it dates from before; else None.
    """

    image: ListedImage
    body: bytes = field(repr=False)
    version_id: str | None


def from_listing(bucket: str, entry: ObjectTypeDef, name: str) -> ListedImage:
    """Give an image as an entry of a listing has it.

    :param name: of the connection, for the message.
    :raises StorageError: the entry has no ETag.
    """
    etag, uri = plain_etag(entry.get("ETag", "")), f"s3://{bucket}/{entry['Key']}"
    if not etag:
        message = f"The S3 server of connection {name!r} lists no ETag for {uri!r}, so versions cannot be told apart."
        raise StorageError(message, image_uri=uri)
    return ListedImage(
        bucket=bucket,
        key=entry["Key"],
        etag=etag,
        size_bytes=entry.get("Size", 0),
        last_modified=entry["LastModified"].astimezone(UTC),
        storage_class=entry.get("StorageClass", "STANDARD"),
        restored="RestoreExpiryDate" in entry.get("RestoreStatus", {}),
    )


def from_head(bucket: str, key: str, answer: HeadObjectOutputTypeDef) -> ListedImage:
    """Give an image as the answer to HEAD has it."""
    return ListedImage(
        bucket=bucket,
        key=key,
        etag=plain_etag(answer["ETag"]),
        size_bytes=answer["ContentLength"],
        last_modified=answer["LastModified"].astimezone(UTC),
        # HEAD leaves the class out where it is the usual one.
        storage_class=answer.get("StorageClass") or "STANDARD",
        restored='ongoing-request="false"' in answer.get("Restore", ""),
    )


def is_wanted(entry: ObjectTypeDef, suffixes: frozenset[str] | None) -> bool:
    """Tell whether an entry is no folder of a console, and has one of the wanted endings; None for any."""
    key = entry["Key"]
    if key.endswith("/") and not entry.get("Size"):
        return False
    return suffixes is None or key.lower().endswith(tuple(suffixes))


def has_a_size(entry: ObjectTypeDef) -> bool:
    """Tell whether an entry has a size that can be; a folder of a console needs none."""
    return 0 <= entry.get("Size", 0 if entry["Key"].endswith("/") else -1) <= _LARGEST_SIZE
