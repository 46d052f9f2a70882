"""S3 clients for tests: one for a test server, and one that is told what S3 says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.stub import Stubber

from airflow_midjourney.describe.storage.listed_images import ListedImage
from airflow_midjourney.describe.storage.objects import ImageStore

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def connect(endpoint: str | None, **config: Any) -> S3Client:
    """Make a client that gives up at once; None for the one that moto plays inside the process."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="id",
        aws_secret_access_key="key",
        config=Config(**{"retries": {"max_attempts": 1}, **config}),
    )


def put(client: S3Client, bucket: str, *keys: str, body: bytes = b"pixels") -> None:
    """Store the same bytes under each key."""
    for key in keys:
        client.put_object(Bucket=bucket, Key=key, Body=body)


def listed(**changes: Any) -> ListedImage:
    """Give an image as a listing might, with some of it changed."""
    image = ListedImage("photos", "a.jpg", "abc", 6, datetime(2024, 1, 1, tzinfo=UTC))
    return replace(image, **changes)


class Stubbed:
    """A store whose S3 says what a test lays down; for answers that the test server never gives."""

    def __init__(self, **settings: Any) -> None:
        self.client = connect("http://127.0.0.1:1")
        self.answers = Stubber(self.client)
        self.answers.activate()
        self.store = ImageStore(self.client, name="aws_photos", **settings)
