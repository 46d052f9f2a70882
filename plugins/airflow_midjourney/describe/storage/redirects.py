"""Redirects of what is no S3: botocore takes each for another region, and asks for that until Python gives up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from airflow_midjourney.describe.storage.answer_roots import root_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_REDIRECTS: Final = frozenset({301, 302, 307, 308})

#: How AWS says where a bucket lies; botocore goes there.
_REGION: Final = "x-amz-bucket-region"


class RedirectedError(Exception):
    """The answer is a redirect that names no region.

    :param status: its HTTP status.
    :param target: scheme and host that it names; empty where it names none. Never its path or its query.
    """

    def __init__(self, status: int, target: str) -> None:
        super().__init__(status, target)
        self.status = status
        self.target = target


def refuse_redirects(client: S3Client) -> None:
    """Let a client raise :class:`RedirectedError` where it is sent elsewhere, other than to a bucket's region.

    :param client: is changed; twice is the same.
    """
    client.meta.events.register_first("before-parse.s3", _check, unique_id="airflow-midjourney-redirects")


def _check(response_dict: dict[str, Any], **_: Any) -> None:
    status, headers = response_dict["status_code"], response_dict["headers"]
    if status not in _REDIRECTS or _REGION in headers or root_of(response_dict["body"] or b"") == "Error":
        return
    raise RedirectedError(status, _origin(headers.get("Location", "")))


def _origin(location: str) -> str:
    try:
        url = urlsplit(location)
    except ValueError:
        return ""
    host = url.netloc.rpartition("@")[2]
    return f"{url.scheme}://{host}" if url.scheme and host else ""
