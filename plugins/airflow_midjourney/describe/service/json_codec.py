"""JSON as these services write it, read without losing a digit of an id; and as they read it."""

from __future__ import annotations

import json
import re
import string
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.service.dialects import is_identifier

if TYPE_CHECKING:
    from collections.abc import Mapping

_INTEGER: Final = re.compile(r"-?[0-9]{1,19}")

#: What JSON writes as it is, of all that a data URI consists of.
_WRITTEN_AS_IT_IS: Final = (string.ascii_letters + string.digits + "+/=:;,.-_").encode("ascii")


def encode(payload: Mapping[str, object]) -> bytes:
    """Write a JSON object."""
    return json.dumps(payload, separators=(",", ":")).encode("ascii")


def encode_with(payload: Mapping[str, object], name: str, text: str) -> bytes:
    """Write a JSON object with one text more, which may be megabytes of base64.

    Looking through these for what JSON would escape takes longer than everything else about a request, so it is done
    quicker here.

    :param payload: the other fields, at least one.
    """
    body = text.encode("utf-8", "surrogatepass")
    if body.translate(None, _WRITTEN_AS_IT_IS):
        return encode({**payload, name: text})
    return b'%b,%b:"%b"}' % (encode(payload)[:-1], json.dumps(name).encode("ascii"), body)


def decode(body: bytes) -> object:
    """Read a JSON body whatever its Content-Type; new-api sends ``text/plain``.

    Whole numbers come back as the text of their digits: ids of 17 digits do not survive every number type.

    :raises ValueError: if it is not JSON.
    """
    try:
        return json.loads(body.decode("utf-8-sig", "replace"), parse_int=str)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def as_integer(value: object) -> int | None:
    """Read a whole number that came as a number or as text; None if it is neither."""
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return None


def as_text(value: object) -> str:
    """Read a text, or a whole number as text; everything else, null included, is empty."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return ""


def as_identifier(value: object) -> str | None:
    """Read an opaque id that came as text or as a whole number; None where there is none.

    A number with a fraction or an exponent is no id: it may have lost digits on its way.
    """
    text = as_text(value).strip()
    return text if is_identifier(text) else None
