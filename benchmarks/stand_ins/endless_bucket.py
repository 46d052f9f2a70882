"""An S3 server whose buckets hold as many images as their names say: ``bucket-1000000``. It stores nothing.

Listings are real ``ListObjectsV2`` answers, and objects real JPEGs of some 200 kB, no two alike. A bucket such as
``photos-60`` holds photographs of 12 megapixels, which are too large to be sent as they are.
"""

from __future__ import annotations

import hashlib
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, quote, unquote

import numpy as np
from PIL import Image

from benchmarks.stand_ins.http import answer, body_of

if TYPE_CHECKING:
    from benchmarks.stand_ins.http import Receive, Scope, Send

PREFIX: Final = "in/"
SIDE: Final = 1024
SIDE_OF_PHOTOS: Final = 3456

_XML: Final = b"application/xml"
_HEAD: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
)


def key_of(number: int) -> str:
    """Give the key of an image."""
    return f"{PREFIX}{number:08}.jpg"


def etag_of(number: int) -> str:
    """Give the ETag of an image, without quotes."""
    return f"{number:032x}"


@cache
def picture(side: int = SIDE) -> bytes:
    """Give the JPEG that all objects have in common: coloured patches with the noise of a camera."""
    random = np.random.default_rng(0)
    patches = random.integers(0, 255, (side // 16, side // 16, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(patches).resize((side, side), Image.Resampling.BICUBIC), dtype=np.float64)
    noisy = (smooth + random.normal(0, 6, smooth.shape)).clip(0, 255).astype(np.uint8)
    body = BytesIO()
    Image.fromarray(noisy).save(body, "JPEG", quality=80)
    return body.getvalue()


def object_of(number: int, side: int = SIDE) -> bytes:
    """Give an image's bytes: a comment of its own makes them unlike all others."""
    comment = hashlib.sha256(str(number).encode()).digest()
    segment = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
    return picture(side)[:2] + segment + picture(side)[2:]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request."""
    await body_of(receive)
    bucket, _, key = unquote(scope["path"]).lstrip("/").partition("/")
    if not key:
        query = {name: values[-1] for name, values in parse_qs(scope["query_string"].decode()).items()}
        await answer(send, _listing(bucket, query), _XML)
        return
    number = int(key.removeprefix(PREFIX).removesuffix(".jpg"))
    etag = f'"{etag_of(number)}"'.encode()
    body = object_of(number, SIDE_OF_PHOTOS if bucket.startswith("photos-") else SIDE)
    await answer(send, body, b"image/jpeg", etag=etag, last_modified=b"Thu, 01 Jan 2026 00:00:00 GMT")


def _listing(bucket: str, query: dict[str, str]) -> bytes:
    """Give a page; a continuation token is the key that it starts after."""
    size = int(bucket.rpartition("-")[2])
    after = query.get("continuation-token") or query.get("start-after") or ""
    most = int(query.get("max-keys", "1000"))
    start = int(after.removeprefix(PREFIX).removesuffix(".jpg")) + 1 if after else 0
    end = min(size, start + most)
    following = f"<NextContinuationToken>{key_of(end - 1)}</NextContinuationToken>" if end < size else ""
    entries = "".join(
        f"<Contents><Key>{quote(key_of(number))}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
        f"<ETag>&quot;{etag_of(number)}&quot;</ETag><Size>202406</Size><StorageClass>STANDARD</StorageClass></Contents>"
        for number in range(start, end)
    )
    truncated = "true" if following else "false"
    return (
        f"{_HEAD}<Name>{bucket}</Name><Prefix>{PREFIX}</Prefix><KeyCount>{end - start}</KeyCount>"
        f"<MaxKeys>{most}</MaxKeys><EncodingType>url</EncodingType><IsTruncated>{truncated}</IsTruncated>"
        f"{following}{entries}</ListBucketResult>"
    ).encode()
