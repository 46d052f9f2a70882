"""Listings as some servers write them, in the spelling in which boto3 does not take them for something else."""

from __future__ import annotations

import re
import zlib
from typing import Final

#: Bytes of a page that was compressed: a thousand keys of the longest are well below.
_LARGEST_PAGE: Final = 64 * 1024 * 1024

_GZIP: Final = b"\x1f\x8b"

#: Only ``true`` means true to boto3: anything else ends the listing, and the rest of the images would be missing. What
#: begins with a text is found many times as fast, so names with a prefix are looked for only where there are some.
_TRUNCATED: Final = re.compile(rb"<IsTruncated>\s*(?i:true|yes|1)\s*(?=</)")
_TRUNCATED_AND_PREFIXED: Final = re.compile(rb"(<[\w.-]+:IsTruncated>)\s*(?i:true|yes|1)\s*(?=</)")

#: Only ``url`` means to boto3 that keys are encoded: else ``%20`` would be part of a key.
_ENCODED: Final = re.compile(rb"<EncodingType>\s*(?i:url)\s*(?=</)")
_ENCODED_AND_PREFIXED: Final = re.compile(rb"(<[\w.-]+:EncodingType>)\s*(?i:url)\s*(?=</)")

#: An element of nothing, in which boto3 looks for a prefix.
_NO_GROUP: Final = re.compile(rb"<(?:[\w.-]+:)?CommonPrefixes\s*(?:/>|>\s*</(?:[\w.-]+:)?CommonPrefixes\s*>)")


def usual_spelling(body: bytes) -> bytes:
    """Give the answer to a listing as AWS would write it.

    :param body: as it came. Compressed though it was not asked for, with white space before the declaration, ``True``
        for ``true``: no matter.
    """
    body = unpacked(body, _LARGEST_PAGE).lstrip(b" \t\r\n")
    body = _TRUNCATED.sub(b"<IsTruncated>true", body)
    body = _ENCODED.sub(b"<EncodingType>url", body)
    if b":IsTruncated>" in body:
        body = _TRUNCATED_AND_PREFIXED.sub(rb"\1true", body)
        body = _ENCODED_AND_PREFIXED.sub(rb"\1url", body)
    return _NO_GROUP.sub(b"", body) if b"CommonPrefixes" in body else body


def unpacked(body: bytes, largest: int) -> bytes:
    """Unpack what gzip has packed; give anything else, and what is broken, as it is.

    :param largest: bytes that are unpacked at most; one more is given where there are more.
    """
    if not body.startswith(_GZIP):
        return body
    try:
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(body, largest + 1)
    except zlib.error:
        return body
