"""What may ever be read and sent, whatever a DAG's parameters say."""

from __future__ import annotations

import re
import unicodedata
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from airflow_midjourney.describe.model.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

_FIRST_WILDCARD: Final = re.compile(r"[*?\[]")

#: Ways up, as servers on top of a file system take them.
_DOTS: Final = frozenset({".", ".."})

#: What a segment ends at to some of them: parameters of a path, a zero byte, blanks.
_END_OF_SEGMENT: Final = re.compile(r"[;\0-\x1f\x7f]|\s+$")

#: A dot and the slashes in longer UTF-8 than is allowed, and in code units: some decoders take them all the same.
_OVERLONG: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), sign)
    for pattern, sign in (
        ("%(?:c0%ae|e0%80%ae|f0%80%80%ae|u002e|uff0e)", "."),
        ("%(?:c0%af|e0%80%af|f0%80%80%af|u002f|u2215|uff0f)", "/"),
        ("%(?:c1%9c|e0%81%9c|f0%80%81%9c|u005c|uff3c)", r"\\"),
    )
)

#: A key that can be decoded more often than this is taken for one that climbs.
_DECODED_AT_MOST: Final = 5


class AllowedUris:
    """Patterns over ``s3://bucket/key``; without any pattern, everything is allowed.

    A pattern is matched against the whole URI with the raw key, case-sensitively: ``*`` stands for any
    characters, ``/`` among them, ``?`` for one, ``[ab]`` for one of these; everything else is literal. So
    ``s3://photos/public/*`` allows all below that prefix, and ``s3://photos/public`` that one key only.

    A key with a segment ``.`` or ``..`` matches no pattern: to S3 these are names like any other, but servers that keep
    objects as files go up a folder there, and so out of the pattern.

    :param patterns: the patterns; each starts with ``s3://``.
    :raises SettingsError: a pattern starts with anything else, and so could never match.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        for pattern in patterns:
            if not pattern.startswith("s3://"):
                msg = f"allowed_uris: the pattern {pattern!r} must start with 's3://', as in 's3://bucket/prefix/*'."
                raise SettingsError(msg)
        self._patterns = tuple(patterns)

    def allow(self, uri: str) -> bool:
        """Tell whether this image may be read.

        :param uri: ``s3://bucket/key`` with the raw key.
        """
        if not self._patterns:
            return True
        return not climbs(uri) and any(fnmatchcase(uri, pattern) for pattern in self._patterns)

    def reach_into(self, prefix_uri: str) -> bool:
        """Tell whether an allowed image may lie below this prefix.

        Compares the prefix with what each pattern says before its first wildcard, so it may say yes where
        nothing matches in the end, and never no where something would.

        :param prefix_uri: ``s3://bucket/prefix`` with the raw prefix.
        """
        # What comes after the last slash may still become a name that begins with dots.
        if self._patterns and climbs(prefix_uri.rpartition("/")[0]):
            return False
        heads = (_FIRST_WILDCARD.split(pattern, maxsplit=1)[0] for pattern in self._patterns)
        return not self._patterns or any(head.startswith(prefix_uri) or prefix_uri.startswith(head) for head in heads)


def climbs(path: str) -> bool:
    """Tell whether a path has a segment ``.`` or ``..`` to any server that may get it.

    To S3 these are names like any other. Servers that keep objects as files go up a folder there; some decode a path
    once more, take overlong UTF-8 or full-width signs for dots and slashes, know backslashes, or leave out what
    follows a semicolon, a control character or a blank.
    """
    for _ in range(_DECODED_AT_MOST):
        if any(_END_OF_SEGMENT.split(part, maxsplit=1)[0] in _DOTS for part in re.split(r"[/\\]", _plain(path))):
            return True
        before, path = path, unquote(_decoded_overlong(path))
        if path == before:
            return False
    return True


def _plain(path: str) -> str:
    """Write full-width signs and the like as servers do that look for the nearest letter, without invisible marks."""
    if path.isascii():
        return path
    visible = "".join(letter for letter in path if unicodedata.category(letter) != "Cf")
    return unicodedata.normalize("NFKC", visible.replace("\u2215", "/"))


def _decoded_overlong(path: str) -> str:
    for pattern, sign in _OVERLONG:
        path = pattern.sub(sign, path)
    return path
