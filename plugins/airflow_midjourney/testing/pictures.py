"""An S3 server with pictures, in a thread of the process that tests."""

from __future__ import annotations

import hashlib
import io
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import boto3
from moto.server import ThreadedMotoServer
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client

#: What the server has from its start: so many pictures, below a prefix.
_BUCKET: Final = "photos"
_PREFIX: Final = "incoming/"
_PICTURES: Final = 3

_SIZE: Final = 64


class FakeImages:
    """Buckets with pictures. Use :func:`running_images`.

    :param url: the server's endpoint.
    :param client: a client of boto3 for all else that S3 can do.
    """

    def __init__(self, url: str, client: S3Client) -> None:
        self.url = url
        self.client = client
        self._buckets: list[str] = []

    def put(self, bucket: str, *keys: str) -> None:
        """Put a picture under each key, different from those under all other keys; the bucket is made if need be."""
        self.make(bucket)
        for key in keys:
            self.client.put_object(Bucket=bucket, Key=key, Body=picture_of(f"{bucket}/{key}"))

    def make(self, bucket: str) -> None:
        """Make an empty bucket, unless it is there."""
        if bucket not in self._buckets:
            self.client.create_bucket(Bucket=bucket)
            self._buckets.append(bucket)

    def clear(self) -> None:
        """Delete all buckets: the next server of this process has the same memory."""
        for bucket in self._buckets:
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
                for entry in page.get("Contents", []):
                    self.client.delete_object(Bucket=bucket, Key=entry["Key"])
            self.client.delete_bucket(Bucket=bucket)
        self._buckets.clear()


def picture_of(name: str) -> bytes:
    """Draw a JPEG that follows from a name."""
    digest = hashlib.sha256(name.encode()).digest()
    image = Image.new("RGB", (_SIZE, _SIZE), (digest[0], digest[1], digest[2]))
    image.paste((digest[3], digest[4], digest[5]), (0, _SIZE // 2, digest[6] % _SIZE + 1, _SIZE))
    image.save(buffer := io.BytesIO(), "JPEG", quality=90)
    return buffer.getvalue()


@contextmanager
def running_images() -> Iterator[FakeImages]:
    """Run a server on a free port, with a few pictures in it."""
    # Else each request is a line in the report of a failed test.
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    session = boto3.Session("testing", "testing", region_name="us-east-1")
    images = FakeImages(url, session.client("s3", endpoint_url=url))
    try:
        images.put(_BUCKET, *(f"{_PREFIX}{number}.jpg" for number in range(_PICTURES)))
        yield images
    finally:
        images.clear()
        server.stop()
