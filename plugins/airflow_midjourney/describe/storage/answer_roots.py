"""Whether an answer to a listing is a listing: boto3 takes any other XML for an empty one."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, Final
from xml.etree.ElementTree import ParseError, iterparse

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: What an answer to ListObjectsV2 begins with. Errors are botocore's business, whatever their status.
_KNOWN_ROOTS: Final = frozenset({"ListBucketResult", "Error"})

#: Bytes that are looked at, so that a listing of a thousand keys is not parsed twice.
_HEAD: Final = 4096

_SUCCESS: Final = range(200, 300)


class OtherAnswerError(Exception):
    """The answer to a listing is something else.

    :param root: the name of its root element; empty where it is no XML.
    """

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.root = root


def check_roots_of_listings(client: S3Client) -> None:
    """Let a client raise :class:`OtherAnswerError` where what should be a listing is none.

    :param client: is changed; twice is the same.
    """
    # The wildcard comes before botocore's own handler, which takes what is no XML for a passing error of the server.
    client.meta.events.register_first(
        "before-parse.*.ListObjectsV2", _check_root, unique_id="airflow-midjourney-root-of-listings"
    )


def _check_root(response_dict: dict[str, Any], **_: Any) -> None:
    if response_dict["status_code"] not in _SUCCESS:
        return
    root = root_of(response_dict["body"] or b"")
    if root not in _KNOWN_ROOTS:
        raise OtherAnswerError(root)


def root_of(body: bytes) -> str:
    """Give the name of the root element, without its namespace; empty text for what is no XML."""
    try:
        # botocore reads the whole of it with the same parser next.
        _, root = next(iterparse(BytesIO(body[:_HEAD]), events=("start",)))  # noqa: S314
    except (ParseError, StopIteration):
        return ""
    return str(root.tag).rpartition("}")[2]
