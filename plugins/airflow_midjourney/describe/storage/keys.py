"""Which keys an object can have."""

from __future__ import annotations

from typing import Final

_LONGEST: Final = 1024


def problem_of_key(key: str) -> str:
    """Say why no object can have this key; empty where one can."""
    if not key:
        return "names no key"
    if len(key.encode("utf-8", "surrogatepass")) > _LONGEST:
        return "has a key of more than 1,024 bytes, which S3 has not"
    if not is_text(key) or _leads_out(key):
        return "has a key that S3 does not take"
    return ""


def is_text(text: str) -> bool:
    """Say whether S3 can be asked for a text: JSON may bring NUL, or a surrogate without its other half."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def _leads_out(key: str) -> bool:
    """Say whether ``..`` leads out of the bucket; S3 refuses the whole request for it."""
    depth = 0
    for part in key.split("/"):
        depth += -1 if part == ".." else int(part not in ("", "."))
        if depth < 0:
            return True
    return False
