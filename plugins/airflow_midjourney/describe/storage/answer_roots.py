"""Whether an answer to a listing is a listing: boto3 takes any other XML for an empty one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from xml.parsers.expat import ExpatError, ParserCreate

from airflow_midjourney.describe.storage.answer_spellings import usual_spelling

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: What an answer to ListObjectsV2 begins with. Errors are botocore's business, whatever their status.
_KNOWN_ROOTS: Final = frozenset({"ListBucketResult", "Error"})

#: What a listing ends with that was not cut off on the way.
_END: Final = b"ListBucketResult>"

_SUCCESS: Final = range(200, 300)


class OtherAnswerError(Exception):
    """The answer to a listing is something else.

    :param root: the name of its root element; empty where it is no XML.
    """

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.root = root


class MalformedListingError(Exception):
    """A listing came whole, and holds what no XML may hold, such as a key with a control character as it is.

    :param problem: what the parser says of it, with the line and the column.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


def check_roots_of_listings(client: S3Client) -> None:
    """Let a client raise :class:`OtherAnswerError` where what should be a listing is none.

    It raises :class:`MalformedListingError` where one cannot be read, which botocore would try again for ever.

    :param client: is changed; twice is the same.
    """
    # The wildcard comes before botocore's own handler, which takes what is no XML for a passing error of the server.
    client.meta.events.register_first(
        "before-parse.*.ListObjectsV2", _check_root, unique_id="airflow-midjourney-root-of-listings"
    )


def _check_root(response_dict: dict[str, Any], **_: Any) -> None:
    if response_dict["status_code"] not in _SUCCESS:
        return
    body = usual_spelling(response_dict["body"] or b"")
    response_dict["body"] = body
    root, problem = _read(body)
    if root not in _KNOWN_ROOTS:
        raise OtherAnswerError(root)
    if problem and body.rstrip().endswith(_END):
        raise MalformedListingError(problem)


def root_of(body: bytes) -> str:
    """Give the name of the root element, without its namespace; empty text for what is no XML."""
    return _read(body)[0]


def _read(body: bytes) -> tuple[str, str]:
    """Give the name of the root element, and what is wrong with the whole."""
    names: list[str] = []
    # botocore reads all of it with the same parser next.
    parser = ParserCreate()

    def begin(name: str, _attributes: dict[str, str]) -> None:
        names.append(name.rpartition(":")[2])
        parser.StartElementHandler = None

    parser.StartElementHandler = begin
    try:
        parser.Parse(body, True)
    except ExpatError as error:
        return "".join(names), str(error)
    return "".join(names), ""
