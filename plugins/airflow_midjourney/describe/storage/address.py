"""Addresses of objects as people copy them: URIs of S3's clients, ARNs, and the links that AWS's console gives."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

_SCHEME: Final = re.compile(r"([a-z][a-z0-9+.-]{1,20})://", re.IGNORECASE)
_OF_S3: Final = frozenset({"s3", "s3a", "s3n"})
_OF_THE_WEB: Final = frozenset({"http", "https"})
_ARN: Final = re.compile(r"arn:aws[a-z-]*:s3:::", re.IGNORECASE)
_OTHER_ARN: Final = re.compile(r"arn:[a-z-]{2,20}:[a-z0-9-]{1,40}:", re.IGNORECASE)
_MISTYPED: Final = re.compile(r"s3[an]?:/(?=[^/])", re.IGNORECASE)
_HOST: Final = re.compile(r"(?:(?P<bucket>.+)\.)?s3[.-](?:[a-z0-9.-]+\.)?amazonaws\.com(?:\.cn)?", re.IGNORECASE)
_SIGNED: Final = "x-amz-"


@dataclass(frozen=True, slots=True)
class Address:
    """Bucket and key; the key may be empty, and both are where S3 is not meant.

    :param problem: why it is no address of an object in S3; empty where it is one.
    """

    bucket: str
    key: str
    problem: str = ""


def read_address(text: str) -> Address | None:
    """Read what begins as an address; None for everything else, which may be a key.

    :param text: as it was written. Keys of links are percent-encoded, those of URIs and ARNs are as they are.
    """
    arn = _ARN.match(text)
    if arn is not None:
        return _split(text[arn.end() :])
    if _OTHER_ARN.match(text):
        return Address("", "", "is an ARN that names no object by bucket and key; write s3://bucket/key")
    scheme = _SCHEME.match(text)
    if scheme is None:
        return Address("", "", "lacks a slash; write s3://bucket/key") if _MISTYPED.match(text) else None
    name = scheme[1].lower()
    if name in _OF_S3:
        return _split(text[scheme.end() :])
    if name in _OF_THE_WEB:
        return _linked(text)
    return Address("", "", f"is an address of {name}://, which is not S3")


def _split(text: str) -> Address:
    bucket, _, key = text.partition("/")
    return Address(bucket, key)


def _linked(text: str) -> Address:
    elsewhere = Address("", "", "is a link that does not say which object of S3 it means; write s3://bucket/key")
    try:
        link = urlsplit(text.strip())
        named = _HOST.fullmatch(link.hostname or "")
        path = unquote(link.path.removeprefix("/"), errors="strict")
    except ValueError:
        return elsewhere
    # Whatever else a query says may choose another version, or something that is no object.
    if named is None or link.fragment or not all(name.lower().startswith(_SIGNED) for name, _ in _query(link.query)):
        return elsewhere
    return Address(named["bucket"], path) if named["bucket"] else _split(path)


def _query(query: str) -> list[tuple[str, str]]:
    return parse_qsl(query, keep_blank_values=True)
