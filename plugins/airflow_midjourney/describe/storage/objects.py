"""S3 objects: paging through a prefix, looking one up, reading one."""

from __future__ import annotations

from contextlib import closing, suppress
from typing import TYPE_CHECKING, Final, Literal, TypedDict

from botocore.exceptions import ClientError
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, stop_after_delay, wait_random_exponential

from airflow_midjourney.describe.model.errors import (
    DescribeError,
    ImageRejectedError,
    ObjectDeniedError,
    SettingsError,
    StorageDeniedError,
    StorageError,
)
from airflow_midjourney.describe.model.status import Reason
from airflow_midjourney.describe.storage.allowed_uris import AllowedUris
from airflow_midjourney.describe.storage.answer_roots import check_roots_of_listings
from airflow_midjourney.describe.storage.bodies import CHUNK_BYTES, as_stored, from_byte
from airflow_midjourney.describe.storage.errors import (
    BROKEN_STREAM,
    Place,
    is_bare_404,
    is_condition_failed,
    translated,
)
from airflow_midjourney.describe.storage.etags import plain_etag
from airflow_midjourney.describe.storage.listed_images import (
    ListedImage,
    Page,
    StoredImage,
    from_head,
    from_listing,
    has_a_size,
    is_wanted,
)
from airflow_midjourney.describe.storage.reading_time import LISTING_BYTES, ReadingTime, bound_requests
from airflow_midjourney.describe.storage.redirects import refuse_redirects

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import (
        GetObjectOutputTypeDef,
        ListObjectsV2OutputTypeDef,
    )

DEFAULT_MAX_BYTES: Final = 100 * 1024 * 1024

_READ_ATTEMPTS: Final = 3

#: A worker that dies while it holds so many bytes of an object may have died of them.
_LARGE_BYTES: Final = 8 * 1024 * 1024


class _Payer(TypedDict, total=False):
    RequestPayer: Literal["requester"]


class _Start(TypedDict, total=False):
    StartAfter: str
    ContinuationToken: str


class _Range(TypedDict, total=False):
    Range: str


def _ignore() -> None:
    """Note nothing."""


class ImageStore:
    """The images of S3 buckets. Safe to share between threads, as the client is.

    :param client: an S3 client of boto3.
    :param name: what messages call it: the connection id.
    :param requester_pays: True to pay for requests to requester-pays buckets.
    :param allowed_uris: patterns over ``s3://bucket/key``, see
        :class:`~airflow_midjourney.describe.storage.allowed_uris.AllowedUris`; empty to allow everything.
    :param max_bytes: the largest object that is read, in bytes.
    :raises SettingsError: a pattern is malformed.
    """

    def __init__(
        self,
        client: S3Client,
        *,
        name: str,
        requester_pays: bool = False,
        allowed_uris: Sequence[str] = (),
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> None:
        check_roots_of_listings(client)
        refuse_redirects(client)
        bound_requests(client)
        self._client = client
        self._name = name
        self._payer: _Payer = {"RequestPayer": "requester"} if requester_pays else {}
        self._allowed = AllowedUris(allowed_uris)
        self._max_bytes = max_bytes

    @property
    def server(self) -> str:
        """What messages call the S3 server: its connection and its address."""
        return f"the S3 server of connection {self._name!r} ({self._client.meta.endpoint_url})"

    def allows(self, image_uri: str) -> bool:
        """Tell whether ``allowed_uris`` lets this image be read.

        :param image_uri: ``s3://bucket/key`` with the raw key.
        """
        return self._allowed.allow(image_uri)

    def list_page(
        self,
        bucket: str,
        prefix: str,
        *,
        after: str = "",
        continuation: str = "",
        suffixes: frozenset[str] | None,
        page_size: int = 1000,
    ) -> Page:
        """List the next images below a prefix, in the order of the server.

        Keys outside ``allowed_uris`` and the empty objects that consoles make for folders are left out.

        :param bucket: the bucket.
        :param prefix: the prefix, raw; empty for the whole bucket.
        :param after: the key that the page starts after.
        :param continuation: what the page before gave to be gone on with; instead of ``after``.
        :param suffixes: the wanted endings, as :func:`~airflow_midjourney.describe.storage.suffixes.normalise_suffixes`
            gives them; None for all keys.
        :param page_size: keys per page, at most 1,000.
        :raises SettingsError: no key below the prefix can be within ``allowed_uris``.
        :raises StorageError: S3 cannot be read, or the answer is no listing of this prefix.
        """
        if not self._allowed.reach_into(f"s3://{bucket}/{prefix}"):
            raise _outside(f"s3://{bucket}/{prefix}")
        start: _Start = {}
        if continuation:
            start = {"ContinuationToken": continuation}
        elif after:
            start = {"StartAfter": after}
        place = Place(self._name, bucket)
        with translated(place), ReadingTime(place, LISTING_BYTES).bounds():
            answer = self._client.list_objects_v2(
                Bucket=bucket,
                Prefix=prefix,
                MaxKeys=page_size,
                OptionalObjectAttributes=["RestoreStatus"],
                **start,
                **self._payer,
            )
        entries = answer.get("Contents", [])
        self._check_entries(answer, bucket, prefix)
        wanted = (entry for entry in entries if is_wanted(entry, suffixes))
        with translated(place):
            images = [from_listing(bucket, entry, self._name) for entry in wanted]
        goes_on = answer.get("NextContinuationToken", "")
        return Page(
            images=tuple(image for image in images if self.allows(image.uri)),
            keys=tuple(entry["Key"] for entry in entries),
            # A server that does not say whether there is more is asked until it gives nothing; one that gives a
            # token to go on with has more, whatever it says, as in the command line of AWS.
            is_last=not (goes_on or answer.get("IsTruncated", bool(entries))),
            continuation=goes_on,
        )

    def _check_entries(self, answer: ListObjectsV2OutputTypeDef, bucket: str, prefix: str) -> None:
        """Refuse an answer that is about something else than was asked for.

        :raises StorageError: it groups keys, or lists keys of another prefix, or some without a key, a time or a size.
        """
        trouble = ""
        entries = answer.get("Contents", [])
        if any(group.get("Prefix") for group in answer.get("CommonPrefixes", [])):
            trouble = "groups keys to folders, though it was not asked to, and so hides the images in them"
        elif any(not entry.get("Key") or not entry.get("LastModified") for entry in entries):
            trouble = "lists objects without a key or a time"
        elif sizeless := next((entry["Key"] for entry in entries if not has_a_size(entry)), None):
            trouble = f"lists objects without a size, or with one that cannot be, such as {sizeless!r}"
        elif strange := next((entry["Key"] for entry in entries if not entry["Key"].startswith(prefix)), None):
            trouble = f"lists keys outside the prefix, such as {strange!r}"
        if trouble:
            raise StorageError(
                f"For {f's3://{bucket}/{prefix}'!r} {self.server} {trouble}. Nothing of that page was taken. Give"
                " the images in a list with manifest= or keys=, or read them through another endpoint of the store."
            )

    def look_up(self, bucket: str, key: str) -> ListedImage:
        """Find out about one object, as a listing would say it.

        :param bucket: the bucket.
        :param key: the key, raw.
        :raises ImageRejectedError: there is no such object (``missing``).
        :raises SettingsError: the object is outside ``allowed_uris``; S3 was not asked.
        :raises StorageError: S3 cannot be read; the subclass says why.
        """
        place = Place(self._name, bucket, key)
        self._check_allowed(f"s3://{bucket}/{key}")
        try:
            with translated(place), ReadingTime(place, 0).bounds():
                answer = self._client.head_object(Bucket=bucket, Key=key, **self._payer)
        except ImageRejectedError:
            self._check_bucket(bucket)
            raise
        except ObjectDeniedError:
            self._ask_why_denied(place, key)
            raise
        with translated(place):
            return from_head(bucket, key, answer)

    def _ask_why_denied(self, place: Place, key: str) -> None:
        """Let S3 say why it denies an object: its answer to HEAD has no body, so old credentials look like one key."""
        with translated(place), ReadingTime(place, 0).bounds():
            answer = self._client.get_object(Bucket=place.bucket, Key=key, Range="bytes=0-0", **self._payer)
        answer["Body"].close()

    def read(self, image: ListedImage, when_large: Callable[[], None] = _ignore) -> StoredImage:
        """Read one image, if it is still the version that was listed.

        A broken connection is retried twice here, as boto3 retries requests but not their bodies.

        :param image: as :meth:`list_page` or :meth:`look_up` gave it.
        :param when_large: called once so many bytes are held that more of them may be too much for this machine.
        :raises ImageRejectedError: ``missing``, ``replaced``, ``archived``, ``empty``, ``too_large``, or
            ``not_allowed``: then it was not read.
        :raises ObjectDeniedError: S3 denies or refuses this object.
        :raises ObjectUnavailableError: S3 fails at this object.
        :raises StorageError: S3 cannot be read; the subclass says why.
        """
        if not self.allows(image.uri):
            raise ImageRejectedError(Reason.NOT_ALLOWED, str(_outside(image.uri)), image_uri=image.uri)
        self._check_readable(image)
        place = Place(self._name, image.bucket, image.key)
        time_left = ReadingTime(place, image.size_bytes)
        try:
            with translated(place):
                return _patient(time_left)(self._read_once, image, time_left, when_large)
        except ImageRejectedError as error:
            if error.reason == Reason.MISSING and is_bare_404(error.__cause__):
                # Whatever stands at a wrong address knows no path at all.
                self._check_bucket(image.bucket)
            raise

    def read_part(self, stored: ListedImage, start: int, size: int) -> bytes:
        """Read some bytes of one object of any kind, if it is still the version that was looked up.

        :param stored: as :meth:`look_up` gave it.
        :param start: the first byte, within the object.
        :param size: how many bytes at most, at least 1.
        :raises ImageRejectedError: ``missing``, ``replaced`` or ``archived``.
        :raises SettingsError: the object is outside ``allowed_uris``; it was not read.
        :raises StorageError: S3 cannot be read; the subclass says why.
        """
        self._check_allowed(stored.uri)
        place = Place(self._name, stored.bucket, stored.key)
        time_left = ReadingTime(place, size)
        with translated(place):
            return _patient(time_left)(self._read_part_once, stored, start, size, time_left)

    def _read_part_once(self, stored: ListedImage, start: int, size: int, time_left: ReadingTime) -> bytes:
        with time_left.bounds():
            answer = self._get(stored, {"Range": f"bytes={start}-{start + size - 1}"})
            with closing(answer["Body"]):
                return from_byte(answer, start, size, time_left)

    def _read_once(self, image: ListedImage, time_left: ReadingTime, when_large: Callable[[], None]) -> StoredImage:
        with time_left.bounds():
            answer = self._get(image, {})
            with closing(answer["Body"]) as stream:
                body = self._read_body(stream, image, time_left, when_large)
        if not body:
            raise _empty(image)
        body = as_stored(answer, body, image.size_bytes, self._max_bytes)
        if len(body) > self._max_bytes:
            raise self._too_large(image)
        return StoredImage(image=image, body=body, version_id=answer.get("VersionId"))

    def _get(self, image: ListedImage, part: _Range) -> GetObjectOutputTypeDef:
        """Ask for the bytes of the version that was listed.

        A store that answers 412 though the version has not changed cannot be asked that way: then the tag of the
        answer says which version it is. So it does where a store passes over the condition.
        """
        try:
            answer = self._client.get_object(
                Bucket=image.bucket, Key=image.key, IfMatch=f'"{image.etag}"', **part, **self._payer
            )
        except ClientError as error:
            if not is_condition_failed(error) or not self._is_unchanged(image):
                raise
        else:
            if plain_etag(answer.get("ETag", "")) not in ("", image.etag) and not self._is_unchanged(image):
                raise _replaced(image, answer)
            return answer
        try:
            answer = self._client.get_object(Bucket=image.bucket, Key=image.key, **part, **self._payer)
        except ClientError as error:
            if not is_condition_failed(error):
                raise
            raise self._will_not_match(image) from error
        if plain_etag(answer.get("ETag", "")) != image.etag:
            raise _replaced(image, answer)
        return answer

    def _is_unchanged(self, image: ListedImage) -> bool:
        try:
            return self.look_up(image.bucket, image.key).etag == image.etag
        except DescribeError:
            return False

    def _will_not_match(self, image: ListedImage) -> ObjectDeniedError:
        return ObjectDeniedError(
            f"For {image.uri!r} {self.server} answers 412 (PreconditionFailed) to every read, though the ETag that it"
            " gives for the object is still the one that was listed. Upgrade that server, or take away what changes"
            " ETags or conditions on the way, such as a proxy that compresses.",
            http_status=412,
            code="PreconditionFailed",
            image_uri=image.uri,
        )

    def _read_body(
        self, stream: StreamingBody, image: ListedImage, time_left: ReadingTime, when_large: Callable[[], None]
    ) -> bytes:
        # The size that S3 listed is not trusted: what is held in memory is bounded here.
        body = bytearray()
        for chunk in stream.iter_chunks(CHUNK_BYTES):
            before = len(body)
            body += chunk
            if len(body) > self._max_bytes:
                raise self._too_large(image)
            if before < _LARGE_BYTES <= len(body):
                when_large()
            time_left.check()
        return bytes(body)

    def _check_readable(self, image: ListedImage) -> None:
        if image.needs_restore:
            message = f"The object is archived ({image.storage_class}); restore it to read it."
            raise ImageRejectedError(Reason.ARCHIVED, message, image_uri=image.uri)
        if image.size_bytes == 0:
            raise _empty(image)
        if image.size_bytes > self._max_bytes:
            raise self._too_large(image)

    def _too_large(self, image: ListedImage) -> ImageRejectedError:
        message = f"The object has over {self._max_bytes} bytes, the most that is read."
        return ImageRejectedError(Reason.TOO_LARGE, message, image_uri=image.uri)

    def _check_allowed(self, image_uri: str) -> None:
        if not self.allows(image_uri):
            raise _outside(image_uri)

    def _check_bucket(self, bucket: str) -> None:
        # The answer to HEAD has no body: its 404 does not say which of key and bucket is missing.
        place = Place(self._name, bucket)
        with suppress(StorageDeniedError), translated(place), ReadingTime(place, 0).bounds():
            self._client.head_bucket(Bucket=bucket)


def _patient(time_left: ReadingTime) -> Retrying:
    return Retrying(
        retry=retry_if_exception_type(BROKEN_STREAM),
        stop=stop_after_attempt(_READ_ATTEMPTS) | stop_after_delay(time_left.seconds),
        wait=wait_random_exponential(multiplier=0.2, max=2),
        reraise=True,
    )


def _replaced(image: ListedImage, answer: GetObjectOutputTypeDef) -> ImageRejectedError:
    answer["Body"].close()
    return ImageRejectedError(Reason.REPLACED, "The object was replaced while it was read.", image_uri=image.uri)


def _empty(image: ListedImage) -> ImageRejectedError:
    return ImageRejectedError(Reason.EMPTY, "The object has no bytes.", image_uri=image.uri)


def _outside(uri: str) -> SettingsError:
    message = (
        f"{uri!r} is outside allowed_uris, so nothing of it was read. Correct the bucket and the key or "
        "prefix, or have allowed_uris widened in the extra of the midjourney connection."
    )
    return SettingsError(message, image_uri=uri)
