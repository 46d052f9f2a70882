"""What S3 takes a prefix for, where people may have meant something else."""

from __future__ import annotations

from typing import Final

_WILDCARDS: Final = "*?["


def prefix_hint(prefix: str) -> str:
    """Say what S3 takes a prefix for that found nothing; empty where it can only be meant as it is.

    The batch's verdict calls it for each prefix under which there was no image: each of these characters may be part of
    a key, so they are no error before S3 was asked.

    :param prefix: as the scope has it.
    :return: one sentence that says what to write instead.
    """
    if prefix.startswith(("/", "./")):
        plain = prefix.removeprefix(".").lstrip("/")
        return f"S3 takes the beginning of {prefix!r} as part of the key; keys seldom begin so. Write {plain!r}."
    wildcard = next((place for place, letter in enumerate(prefix) if letter in _WILDCARDS), None)
    if wildcard is not None:
        return (
            f"S3 takes the {prefix[wildcard]!r} in {prefix!r} as a letter of the key, not as a wildcard. Write"
            f" {prefix[:wildcard]!r} and choose by ending with suffixes=."
        )
    if "\\" in prefix:
        return f"S3 takes the '\\' in {prefix!r} as a letter of the key. Write {prefix.replace(chr(92), '/')!r}."
    bare = prefix.strip().strip("\"'")
    if bare != prefix:
        return f"S3 takes the blanks and quotes around {prefix!r} as letters of the key. Write {bare!r}."
    return ""
