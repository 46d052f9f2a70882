"""Which strings the services take as an image, and what they make of them."""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import unquote_to_bytes

from airflow_midjourney.testing.simulator.model import ReceivedImage

_MEDIA_TYPE = re.compile(r"[a-z0-9-]+/[a-z0-9-]+")
_PARAMETER = re.compile(r"[^;=,\s]+=[^;=,\s]*")
_STANDARD_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_ANYWHERE = re.compile(r"data:(.+?);base64,(.+)")


class MalformedDataUriError(ValueError):
    """The service answers code 4 to this string."""


class UncheckedDataUriError(ValueError):
    """The service crashes on this string, with HTTP 500."""


def read_strictly(text: str) -> ReceivedImage:
    """Read a data URI as novicezk 2.6.3 does (library ``dataurl`` 2.0.0).

    :raises MalformedDataUriError: where it answers ``base64格式错误``.
    :raises UncheckedDataUriError: for one without a comma.
    """
    if not text.startswith("data:"):
        raise MalformedDataUriError(text[:40])
    head, comma, body = text.removeprefix("data:").partition(",")
    if not comma:
        raise UncheckedDataUriError(text[:40])
    parts = head.split(";")
    if parts == ["base64"]:
        return ReceivedImage.of(_decoded(body), None)
    media_type, *options = parts
    if media_type and not _MEDIA_TYPE.fullmatch(media_type):
        raise MalformedDataUriError(media_type)
    encoded = bool(options) and options[-1] == "base64"
    parameters = options[:-1] if encoded else options
    if not media_type and parts != [""]:
        raise MalformedDataUriError(head)
    if not all(_PARAMETER.fullmatch(parameter) for parameter in parameters):
        raise MalformedDataUriError(head)
    content = _decoded(body) if encoded else unquote_to_bytes(body.encode("utf-8", "replace"))
    return ReceivedImage.of(content, media_type or None)


def read_leniently(text: str) -> ReceivedImage:
    """Read an image string as trueai 11.10 does: a data URI, bare base64 (taken for a PNG), or an address.

    :raises MalformedDataUriError: where it answers ``base64格式错误``.
    """
    if re.match(r"https?://", text):
        return ReceivedImage.at(text)
    found = _ANYWHERE.search(text)
    media_type, body = (found.group(1), found.group(2)) if found else ("image/png", text)
    compact = re.sub(r"[ \t\r\n]", "", body)
    if len(compact) % 4:
        raise MalformedDataUriError("padding")
    return ReceivedImage.of(_decoded(compact), media_type)


def read_anyhow(text: str) -> bytes:
    """The bytes meant by a string that a service may refuse; the string itself where it holds none."""
    for reader in (read_strictly, read_leniently):
        try:
            return reader(text).content or text.encode("utf-8", "replace")
        except ValueError:
            continue
    return text.encode("utf-8", "replace")


def _decoded(body: str) -> bytes:
    if not _STANDARD_BASE64.fullmatch(body):
        raise MalformedDataUriError("alphabet")
    bare = body.rstrip("=")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedDataUriError("base64") from error
