"""What is left of an erased image: two digests, so that it is not sent, and paid for, again by accident.

They are plain SHA-256, without a key. The first is over the URI *and* the version, the second over the digest of the
bytes: guessing names finds out nothing, only whoever has the very bytes (or their ETag) can.
A key would have to be kept beside the digests for as long as these, and losing it would mean paying again.
"""

from __future__ import annotations

import hashlib
import json
from typing import Final

#: What the digests begin with, where a URI, a key or a digest of bytes stood. No URI and no SHA-256 begins so.
MARK: Final = "erased:"

#: The bucket of an erased row. No bucket is called so, hence no scope holds such rows.
NO_BUCKET: Final = ""


def object_mark(image_uri: str, image_version: str, bot_type: str) -> str:
    """Give what stands for a version of an object."""
    return _mark("object", bot_type, image_uri, image_version)


def content_mark(content_sha256: str, bot_type: str) -> str:
    """Give what stands for the bytes of an image, whatever their key."""
    return _mark("content", bot_type, content_sha256)


def _mark(*parts: str) -> str:
    return MARK + hashlib.sha256(json.dumps(parts, ensure_ascii=True).encode()).hexdigest()
