"""The bytes of a GET: whether they are the object that was listed, and what a server did to them on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from botocore.exceptions import IncompleteReadError

from airflow_midjourney.describe.storage.answer_spellings import unpacked

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

    from airflow_midjourney.describe.storage.reading_time import ReadingTime

CHUNK_BYTES: Final = 1024 * 1024


def as_stored(answer: GetObjectOutputTypeDef, body: bytes, listed_size: int, largest: int) -> bytes:
    """Give the bytes of an object, unpacked where it was stored packed, or was packed on the way.

    :param body: what came; not empty.
    :param largest: bytes that are unpacked at most; one more is given where there are more.
    :raises IncompleteReadError: these are fewer bytes than the object has, or a web page in its place, whatever the
        status says.
    """
    whole = unpacked(body, largest) if "gzip" in answer.get("ContentEncoding", "").lower() else body
    if listed_size not in (len(body), len(whole)) and _is_another(answer, body, listed_size):
        raise IncompleteReadError(actual_bytes=len(body), expected_bytes=listed_size)
    return whole


def from_byte(answer: GetObjectOutputTypeDef, start: int, size: int, time_left: ReadingTime) -> bytes:
    """Read what a range was asked for; a server, or a proxy before it, that knows no ranges gives all from byte 0.

    :raises StorageError: what comes first takes too long.
    """
    stream: StreamingBody = answer["Body"]
    ahead = 0 if answer.get("ContentRange") else start
    while ahead > 0 and (passed := len(stream.read(min(ahead, CHUNK_BYTES)))):
        ahead -= passed
        time_left.check()
    return bytes(stream.read(size))


def _is_another(answer: GetObjectOutputTypeDef, body: bytes, listed_size: int) -> bool:
    # Another number of bytes than was listed may be right: Google's store unpacks what it keeps packed, a function of
    # the store's changes what it gives. Where HTTP says that all has come, that holds.
    if not answer.get("ETag"):
        return body.lstrip().startswith(b"<")
    return len(body) < listed_size and not _is_whole(answer, body)


def _is_whole(answer: GetObjectOutputTypeDef, body: bytes) -> bool:
    if part := answer.get("ContentRange"):
        return part.rpartition("/")[2] == str(len(body))
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    return "content-length" in headers or "transfer-encoding" in headers
