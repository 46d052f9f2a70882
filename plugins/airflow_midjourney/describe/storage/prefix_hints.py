"""What S3 takes a prefix for, where people may have meant something else."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable

_WILDCARDS: Final = "*?["
_UNRENDERED: Final = re.compile(r"\{\{.*|\$\{.*|\{%.*", re.DOTALL)
_ENCODED: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_STEPS: Final = re.compile(r"(?:^|(?<=/))\.{0,2}/")


def prefix_hint(prefix: str, bucket: str = "") -> str:
    """Say what S3 takes a prefix for that found nothing; empty where it can only be meant as it is.

    The batch's verdict calls it for each prefix under which there was no image: each of these characters may be part of
    a key, so they are no error before S3 was asked.

    :param prefix: as the scope has it.
    :param bucket: where it was looked for; people write it before the prefix.
    :return: one sentence that says what to write instead.
    """
    if bucket and prefix.lstrip("/").startswith(f"{bucket}/"):
        plain = prefix.lstrip("/").removeprefix(f"{bucket}/")
        return f"S3 takes the bucket's name in {prefix!r} as part of the key. Write {plain!r}."
    return next((hint for look in _HINTS if (hint := look(prefix))), "")


def _beginning(prefix: str) -> str:
    if not prefix.startswith(("/", "./")):
        return ""
    plain = prefix.removeprefix(".").lstrip("/")
    return f"S3 takes the beginning of {prefix!r} as part of the key; keys seldom begin so. Write {plain!r}."


def _template(prefix: str) -> str:
    found = _UNRENDERED.search(prefix)
    if found is None:
        return ""
    return f"No template has filled in {found[0]!r} in {prefix!r}. Write it as Jinja, where the argument is rendered."


def _several(prefix: str) -> str:
    if not prefix.startswith(("['", '["')):
        return ""
    return f"S3 takes {prefix!r} as one prefix, not as a list of some. Give a list, or render one with | tojson."


def _wildcard(prefix: str) -> str:
    place = next((place for place, letter in enumerate(prefix) if letter in _WILDCARDS), None)
    if place is None:
        return ""
    return (
        f"S3 takes the {prefix[place]!r} in {prefix!r} as a letter of the key, not as a wildcard. Write"
        f" {prefix[:place]!r} and choose by ending with suffixes=."
    )


def _backslash(prefix: str) -> str:
    if "\\" not in prefix:
        return ""
    return f"S3 takes the '\\' in {prefix!r} as a letter of the key. Write {prefix.replace(chr(92), '/')!r}."


def _around(prefix: str) -> str:
    bare = prefix.strip().strip("\"'")
    return (
        ""
        if bare == prefix
        else f"S3 takes the blanks and quotes around {prefix!r} as letters of the key. Write {bare!r}."
    )


def _unseen(prefix: str) -> str:
    plain = "".join(letter for letter in prefix if unicodedata.category(letter) not in ("Cc", "Cf"))
    return "" if plain == prefix else f"There are letters in {prefix!r} that no reader sees. Write {plain!r}."


def _steps(prefix: str) -> str:
    if _STEPS.search(prefix) is None:
        return ""
    return f"S3 has no folders, and takes '.', '..' and '//' in {prefix!r} as letters of the key. Write it as keys are."


def _encoded(prefix: str) -> str:
    if _ENCODED.search(prefix) is None or "\ufffd" in (plain := unquote(prefix)):
        return ""
    return f"S3 takes {prefix!r} as it is, without decoding it. Write {plain!r}."


def _accents(prefix: str) -> str:
    forms = {unicodedata.normalize(form, prefix) for form in ("NFC", "NFD")} - {prefix}
    if not forms:
        return ""
    return (
        f"The accents in {prefix!a} may be composed otherwise in the keys, which looks the same. Try"
        f" {' or '.join(ascii(form) for form in sorted(forms))}."
    )


_HINTS: Final[tuple[Callable[[str], str], ...]] = (
    _beginning,
    _template,
    _several,
    _wildcard,
    _backslash,
    _around,
    _unseen,
    _steps,
    _encoded,
    _accents,
)
