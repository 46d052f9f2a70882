"""The object and its bytes."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Integer

from airflow_midjourney.describe.table.columns import KeyText, PlainText, RowNumber, UTCDateTime


def identity_columns() -> list[Column[Any]]:
    """Which version of which object the row is."""
    return [
        Column(
            "id",
            RowNumber,
            primary_key=True,
            autoincrement=True,
            comment="Number of the row. It only grows. Images are sent in this order.",
        ),
        Column(
            "image_uri",
            KeyText,
            nullable=False,
            comment="s3://bucket/key. An erased row holds erased: and a digest instead.",
        ),
        Column(
            "bucket",
            KeyText,
            nullable=False,
            comment="S3 bucket. Empty text once the image was erased, so that no scope holds the row.",
        ),
        Column(
            "key",
            KeyText,
            nullable=False,
            comment="S3 key, raw, as the listing gave it. The digest of image_uri once the image was erased.",
        ),
        Column(
            "image_version",
            KeyText,
            nullable=False,
            comment=(
                "Version of the object: its ETag as listed. Empty text for a key that has no object, and once erased."
            ),
        ),
    ]


def listed_columns() -> list[Column[Any]]:
    """What S3 said of the object when it was listed, and of its version when it was read."""
    return [
        Column(
            "etag",
            PlainText,
            comment="ETag as listed. The object is read with If-Match on it. Empty for a key that has no object.",
        ),
        Column(
            "version_id",
            PlainText,
            comment=(
                "S3 version id of the bytes that were read. Empty before the object is read, and in buckets without "
                "versions."
            ),
        ),
        Column(
            "is_current",
            Boolean,
            nullable=False,
            comment=(
                "True while this is the version that the latest listing saw. The listing sets it to false when the "
                "object is replaced."
            ),
        ),
        Column(
            "size_bytes",
            BigInteger,
            comment="Size of the object in bytes, as listed. Empty for a key that has no object.",
        ),
        Column(
            "last_modified",
            UTCDateTime,
            comment="When the object was last changed, by S3, as listed. Empty for a key that has no object.",
        ),
        Column("storage_class", PlainText, comment="S3 storage class, as listed. Empty for a key that has no object."),
    ]


def content_columns() -> list[Column[Any]]:
    """The bytes, known once they were read, and the bot that describes them."""
    return [
        Column(
            "content_sha256",
            KeyText,
            comment=(
                "SHA-256 of the object's bytes, in hex. Rows with equal digests are twins. Empty before a worker has "
                "read the object. A digest of it once erased."
            ),
        ),
        Column(
            "media_type",
            PlainText,
            comment=(
                "Media type of what a worker found in the bytes, such as image/png. Empty before the object is read."
            ),
        ),
        Column("width", Integer, comment="Width of the image in pixels. Empty before the object is read."),
        Column("height", Integer, comment="Height of the image in pixels. Empty before the object is read."),
        Column(
            "bot_type",
            KeyText,
            nullable=False,
            comment="Bot that describes the image: MID_JOURNEY or NIJI_JOURNEY.",
        ),
    ]
