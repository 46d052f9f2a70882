"""Reading JSON files back from where exports go: the items of each, with little more than one in memory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.model.errors import SettingsError
from airflow_midjourney.describe.model.json_items import JsonItems

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_midjourney.describe.exports.targets.target import Target

#: Bytes of a file that is one object, such as the annotations in a target storage of Label Studio.
_LARGEST_OBJECT: Final = 4 * 1024 * 1024

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def items_of_files(target: Target, path: str) -> Iterator[object]:
    """Give all items of a file, or of all files below a folder in the order of their names.

    :param target: the place that the path is below.
    :param path: of a file that holds a JSON array, or one object; of a folder of such files if it ends with a slash.
    :raises SettingsError: if there is no such file, or one is no JSON.
    """
    if not path.endswith("/"):
        yield from _items(target, path)
        return
    names = sorted(target.names(path.rstrip("/")))
    if not names:
        raise SettingsError(f"There is no file below {target.location(path)!r}. Check the name.")
    for name in names:
        yield from _items(target, name)


def _items(target: Target, name: str) -> Iterator[object]:
    array, beginning = JsonItems(), b""
    for part in target.parts(name):
        if not array.has_begun:
            beginning += part
            if _begins_an_object(beginning):
                if len(beginning) > _LARGEST_OBJECT:
                    break
                continue
            part = beginning
        yield from array.take(part)
        if array.has_ended or array.is_stuck or not array.has_begun:
            break
    if _begins_an_object(beginning):
        yield _object(beginning, target.location(name))
    elif not array.has_ended:
        raise _no_json(target.location(name))


def _begins_an_object(beginning: bytes) -> bool:
    return beginning.removeprefix(_BYTE_ORDER_MARK).lstrip().startswith(b"{")


def _object(text: bytes, location: str) -> object:
    try:
        return json.loads(text, parse_int=str)
    except (ValueError, RecursionError) as error:
        raise _no_json(location) from error


def _no_json(location: str) -> SettingsError:
    return SettingsError(
        f"{location!r} is no JSON array to its end, and no JSON object of at most {_LARGEST_OBJECT // 1024 // 1024} MB."
        " Give the file that Label Studio's Export writes as JSON or JSON-MIN, or the folder of its target storage with"
        " a slash at the end."
    )
