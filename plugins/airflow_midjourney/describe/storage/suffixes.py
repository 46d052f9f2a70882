"""Which keys are images: by the endings of their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.model.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Keys with these endings are images unless the user says otherwise. HEIC is among them whether it can be
#: read here or not: a row that says ``unsupported_format`` is better than an image that is left out in silence.
DEFAULT_SUFFIXES: Final = frozenset(
    {
        ".png",
        ".jpg",
        ".jpeg",
        ".webp",
        ".gif",
        ".bmp",
        ".tif",
        ".tiff",
        ".avif",
        ".heic",
        ".heif",
    }
)


def normalise_suffixes(suffixes: str | Iterable[str] | None) -> frozenset[str] | None:
    """Bring the file name endings that a user gave into one form.

    :param suffixes: such as ``["PNG", ".jpg", "*.webp"]`` or ``"png, jpg"``; None for all keys.
    :return: lower case with the dot, as in ``.png``; None for all keys.
    :raises SettingsError: there is none, or one that is not an ending.
    """
    if suffixes is None:
        return None
    given = suffixes.split(",") if isinstance(suffixes, str) else list(suffixes)
    names = {suffix.strip().removeprefix("*").removeprefix(".").lower() for suffix in given}
    if not names or any(not name or set(name) & set("/*? ") for name in names):
        msg = f"suffixes: {suffixes!r} must be file name endings, such as ['.png', '.jpg'], or None."
        raise SettingsError(msg)
    return frozenset(f".{name}" for name in names)
