"""A prefix in S3."""

from __future__ import annotations

import tempfile
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.model.errors import ImageRejectedError, SettingsError, StorageDeniedError
from airflow_midjourney.describe.storage.errors import Place, translated

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from mypy_boto3_s3 import S3Client

#: Small files on their way at once.
WRITES_SIDE_BY_SIDE: Final = 16

#: Bytes of an object that are read at once.
_PART: Final = 256 * 1024

#: Keys that one request deletes.
_DELETED_AT_ONCE: Final = 1000


class BucketTarget:
    """Objects below a prefix. An object is there whole or not at all: S3 sees to that.

    A long file is first written to a temporary file on the worker's disk, then sent, in parts where it is large. A
    worker that is killed meanwhile leaves parts that no reader sees; a lifecycle rule of the bucket removes them.

    :param client: an S3 client of boto3.
    :param name: what messages call it: the connection id.
    :param bucket: the bucket.
    :param prefix: what all keys begin with; may be empty.
    :raises SettingsError: if there is no bucket.
    """

    def __init__(self, client: S3Client, *, name: str, bucket: str, prefix: str) -> None:
        if not bucket:
            raise SettingsError("target= names no bucket: give s3://bucket/prefix.")
        self._client = client
        self._name = name
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._threads = ThreadPoolExecutor(WRITES_SIDE_BY_SIDE, thread_name_prefix="export")
        self._on_their_way: set[Future[None]] = set()

    def location(self, name: str) -> str:
        """Give the URI of an object."""
        return f"s3://{self._bucket}/{self._prefix}{name}".rstrip("/")

    def put(self, name: str, body: bytes) -> None:
        """Send a small file, beside others that are on their way."""
        if len(self._on_their_way) >= 2 * WRITES_SIDE_BY_SIDE:
            done, self._on_their_way = wait(self._on_their_way, return_when=FIRST_COMPLETED)
            for one in done:
                one.result()
        self._on_their_way.add(self._threads.submit(self._put, name, body))

    def flush(self) -> None:
        """Wait until all is stored."""
        waiting, self._on_their_way = self._on_their_way, set()
        for one in waiting:
            one.result()

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Collect a file on disk, and send it when the block has ended well."""
        with tempfile.TemporaryFile(prefix="export-") as file:
            yield file
            file.seek(0)
            with self._explained():
                # In parts where it is long; boto3 aborts the whole upload when one part cannot be sent.
                self._client.upload_fileobj(file, self._bucket, self._prefix + name)

    def read(self, name: str) -> bytes | None:
        """Read a small object."""
        try:
            with translated(Place(self._name, self._bucket, self._prefix + name)):
                return self._client.get_object(Bucket=self._bucket, Key=self._prefix + name)["Body"].read()
        except ImageRejectedError:
            return None

    def parts(self, name: str) -> Iterator[bytes]:
        """Read an object, part by part."""
        try:
            with translated(Place(self._name, self._bucket, self._prefix + name)):
                body = self._client.get_object(Bucket=self._bucket, Key=self._prefix + name)["Body"]
                yield from body.iter_chunks(_PART)
        except ImageRejectedError as error:
            raise SettingsError(f"There is no object {self.location(name)!r}. Check the name.") from error

    def names(self, below: str) -> Iterator[str]:
        """Name all objects below a folder."""
        pages = self._client.get_paginator("list_objects_v2")
        with self._explained():
            for page in pages.paginate(Bucket=self._bucket, Prefix=f"{self._prefix}{below}/"):
                for entry in page.get("Contents", []):
                    yield entry["Key"].removeprefix(self._prefix)

    def delete(self, names: Iterable[str]) -> None:
        """Delete objects, a thousand a request."""
        rest = iter(names)
        while some := list(islice(rest, _DELETED_AT_ONCE)):
            with self._explained():
                self._client.delete_objects(
                    Bucket=self._bucket,
                    Delete={"Objects": [{"Key": self._prefix + name} for name in some], "Quiet": True},
                )

    def point(self, name: str, folder: str) -> None:
        """S3 knows no links; ``latest.json`` says which folder to read."""

    def close(self) -> None:
        """Give the threads back; what is not sent yet is not."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _put(self, name: str, body: bytes) -> None:
        with self._explained():
            self._client.put_object(Bucket=self._bucket, Key=self._prefix + name, Body=body)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Say which rights a target needs.

        :raises StorageError: the subclass says why.
        """
        try:
            with translated(Place(self._name, self._bucket)):
                yield
        except StorageDeniedError as error:
            raise StorageDeniedError(
                f"S3 does not let connection {self._name!r} write to {self.location('')!r} ({error.code}). An export"
                " needs s3:PutObject, s3:GetObject, s3:ListBucket and s3:DeleteObject below its target.",
                http_status=error.http_status,
                code=error.code,
            ) from error
