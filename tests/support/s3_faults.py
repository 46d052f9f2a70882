"""An S3 that throttles, fails and loses objects: faults put between boto3 and a working server."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_s3 import S3Client

_STATUSES: Final = {"SlowDown": 503, "InternalError": 500, "NoSuchKey": 404, "AccessDenied": 403}


@dataclass(frozen=True)
class S3Faults:
    """What goes wrong, and for which share of the objects; which ones, their keys decide.

    :param passing: error codes by the share of objects whose first read comes to them.
    :param lasting: error codes by the share of objects all of whose reads come to them.
    """

    passing: Mapping[str, float] = field(default_factory=dict)
    lasting: Mapping[str, float] = field(default_factory=dict)

    def lasting_for(self, path: str) -> list[str]:
        """Give the codes that every read of an object comes to."""
        return [code for code, share in self.lasting.items() if _fraction(code, path) < share]

    def passing_for(self, path: str) -> list[str]:
        """Give the codes that the first reads of an object come to, one after the other."""
        return [code for code, share in self.passing.items() if _fraction(code, path) < share]


def break_s3(client: S3Client, faults: S3Faults, message: str = "Please try again.") -> list[str]:
    """Let reads of objects through this client come to faults.

    :param message: what S3 says.
    :return: the paths that were read, in the order in which they were; it grows.
    """
    due: dict[str, list[str]] = {}
    read: list[str] = []

    def answer(request: Any, **_: Any) -> Any:
        path = urlsplit(request.url).path
        read.append(path)
        codes = faults.lasting_for(path) or due.setdefault(path, faults.passing_for(path))
        if not codes:
            return None
        code = codes[0] if faults.lasting_for(path) else codes.pop()
        return _error(request.url, code, message)

    client.meta.events.register("before-send.s3.GetObject", answer)
    return read


def _error(url: str, code: str, message: str) -> AWSResponse:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
    return AWSResponse(url, _STATUSES[code], HTTPHeaders.from_dict({"Content-Type": "application/xml"}), _Raw(body))


class _Raw(io.BytesIO):
    """As much of urllib3's response as botocore reads."""

    def stream(self, **_: Any) -> Any:
        yield self.read()


def _fraction(code: str, path: str) -> float:
    digest = hashlib.sha256(f"{code}:{path.rsplit('/', 1)[-1]}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
