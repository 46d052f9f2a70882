"""ETags as servers and the proxies before them write them, in the one form in which they are stored and sent."""

from __future__ import annotations

import re
from typing import Final

#: What Apache and others append to the tag of an answer that they have compressed.
_COMPRESSED: Final = re.compile(r"^([0-9a-f]{32}(?:-\d+)?)-{1,2}(?:gzip|deflate|br|zstd)$", re.IGNORECASE)


def plain_etag(text: str) -> str:
    """Give an ETag without quotes and without the mark of a weak one.

    A proxy that compresses makes ``"abc"`` weak, ``W/"abc"``, though the object is the same; S3 compares strong tags.

    :param text: as an answer has it, with or without quotes.
    """
    tag = text.strip()
    if tag[:2] in ("W/", "w/"):
        tag = tag[2:].lstrip()
    tag = tag.strip('"')
    compressed = _COMPRESSED.match(tag)
    return compressed.group(1) if compressed else tag
