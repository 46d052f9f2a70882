"""Other spellings of a key that has no object: as people, spreadsheets and other systems write the same key down."""

from __future__ import annotations

import html
import re
import unicodedata
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, unquote_plus

from airflow_midjourney.describe.storage.address import read_address
from airflow_midjourney.describe.storage.keys import problem_of_key

if TYPE_CHECKING:
    from collections.abc import Iterator

_ENCODED: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_ENTITY: Final = re.compile(r"&(?:amp|quot|apos|lt|gt|#\d{1,5}|#x[0-9A-Fa-f]{1,5});")
#: What word processors and chats make of straight ones.
_TYPOGRAPHIC: Final = ("“”", "„“", "‘’", "«»", "``")
_LEADING: Final = re.compile(r"(?:\.?[/\\])+")
#: What a list in another form than lines leaves around a key: bullets and numbers, brackets, commas.
_BEFORE: Final = re.compile(r"(?:[-*•+]\s+|\d{1,6}[.)]\s+|[\[(<]\s*(?=[\"']|s3:))")
_BEHIND: Final = re.compile(r"(?<=[\"'])\s*[\])]?\s*[,;]?$|[\s>]*[,;\x1a]*$")


def other_spellings(key: str, bucket: str = "") -> list[str]:
    """Give the keys that a line may mean instead, the likeliest first; none for a plain key.

    S3 takes every letter as it is, so the engine asks about these only after S3 has no object of the key itself, and
    takes one only if there is an object of it: a spelling makes no row by itself.

    :param key: as the line has it.
    :param bucket: where it would be; people write it before the key.
    """
    bare = _without_quotes(_visible(key).strip())
    item = _without_quotes(_BEHIND.sub("", _BEFORE.sub("", bare, count=1) if _BEFORE.match(bare) else bare))
    plain = _LEADING.sub("", bare, count=1) if _LEADING.match(bare) else bare
    spellings = [bare, plain, *_decoded(bare), *_decoded(plain), plain.replace("\\", "/"), _key_of(item)]
    if _ENTITY.search(bare):
        spellings.append(html.unescape(bare))
    if bucket and plain.startswith(f"{bucket}/"):
        spellings.append(plain.removeprefix(f"{bucket}/"))
    spellings += [unicodedata.normalize(form, spelling) for spelling in (key, *spellings) for form in ("NFC", "NFD")]
    return [one for one in dict.fromkeys(spellings) if one and one != key and not problem_of_key(one)]


def _key_of(item: str) -> str:
    """Give the key of an address that stood in brackets or behind a bullet; everything else as it is."""
    address = read_address(item)
    return item if address is None else address.key


def _visible(text: str) -> str:
    """Leave out marks that no reader sees: a byte order mark amid joined lists, a zero-width space from a cell."""
    return "".join(letter for letter in text if unicodedata.category(letter) != "Cf")


def _without_quotes(text: str) -> str:
    for quote in ('"', "'"):
        if len(text) > 1 and text.startswith(quote) and text.endswith(quote):
            return text[1:-1].replace(quote * 2, quote)
    return text[1:-1] if len(text) > 2 and text[0] + text[-1] in _TYPOGRAPHIC else text


def _decoded(text: str) -> Iterator[str]:
    """Decode percent signs, and then plus signs, which mean a blank only where the rest is encoded as well."""
    if not _ENCODED.search(text):
        return
    for decode in (unquote, unquote_plus):
        decoded = decode(text, errors="replace")
        if "\ufffd" not in decoded:
            yield decoded
