"""JSON as these services write it, read without losing a digit of an id; and as they read it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

import msgspec

from airflow_midjourney.describe.service.dialects import is_identifier

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Whether an image was taken hangs on these.
_SAID_ONCE: Final = frozenset({"code", "result"})

_INTEGER: Final = re.compile(r"-?[0-9]{1,19}")


def encode(payload: Mapping[str, object]) -> bytes:
    """Write a JSON object, which may hold megabytes of base64."""
    try:
        return msgspec.json.encode(payload)
    except UnicodeEncodeError:
        # A lone surrogate has no form in UTF-8; ASCII can name it.
        return json.dumps(payload, separators=(",", ":")).encode("ascii")


def decode(body: bytes) -> object:
    """Read a JSON body whatever its Content-Type; new-api sends ``text/plain``.

    Whole numbers come back as the text of their digits: ids of 17 digits do not survive every number type. A code or a
    result that an object has twice, and not the same, is none: what it says cannot be told.

    :raises ValueError: if it is not JSON.
    """
    try:
        return json.loads(body.decode("utf-8-sig", "replace"), parse_int=str, object_pairs_hook=_object)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    read = dict(pairs)
    if len(read) < len(pairs):
        read |= {name: None for name, value in pairs if name in _SAID_ONCE and value != read[name]}
    return read


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
