"""Which objects the events of an asset tell of: for DAGs that describe files as they arrive."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

#: As many as ``keys=`` takes.
MOST_KEYS: Final = 1000

_CREATED: Final = "ObjectCreated"


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Objects of one bucket that arrived.

    :param keys: raw, each once, at most 1,000.
    """

    bucket: str
    keys: tuple[str, ...]


def arrivals(extras: Iterable[Mapping[str, Any]]) -> list[Arrivals]:
    """Read the ``extra`` of asset events; the same events always give the same list.

    Understood are ``{"bucket": "photos", "key": "in/a.jpg"}``, with ``keys`` for several, and what a watcher of a
    queue passes on of S3's own notifications, whether sent there directly or by EventBridge. Events that tell of no
    object are passed over.

    :return: the objects by bucket, those of a bucket in parts of at most 1,000 keys.
    """
    found: dict[str, dict[str, None]] = {}
    for extra in extras:
        for bucket, key in _objects(extra):
            found.setdefault(bucket, {})[key] = None
    return [Arrivals(bucket, part) for bucket, keys in sorted(found.items()) for part in _parts(tuple(keys))]


def _parts(keys: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for start in range(0, len(keys), MOST_KEYS):
        yield keys[start : start + MOST_KEYS]


def _objects(extra: Any) -> Iterator[tuple[str, str]]:
    """Give bucket and key of each object that an event tells of."""
    if not isinstance(extra, dict):
        return
    if "payload" in extra:
        for message in _list(_dict(extra["payload"]).get("message_batch")):
            yield from _notified(_body(message))
        return
    keys = extra.get("keys", [extra.get("key")])
    yield from _named(extra.get("bucket"), keys if isinstance(keys, list | tuple) else [keys])


def _notified(notification: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Read a notification of S3, of EventBridge or as it is."""
    if notification.get("detail-type") == "Object Created":
        detail = _dict(notification.get("detail"))
        yield from _named(_dict(detail.get("bucket")).get("name"), [_dict(detail.get("object")).get("key")])
    for record in map(_dict, _list(notification.get("Records"))):
        if _CREATED in str(record.get("eventName", _CREATED)):
            s3 = _dict(record.get("s3"))
            key = _dict(s3.get("object")).get("key")
            decoded = unquote_plus(key) if isinstance(key, str) else None
            yield from _named(_dict(s3.get("bucket")).get("name"), [decoded])


def _named(bucket: Any, keys: Sequence[Any]) -> Iterator[tuple[str, str]]:
    if isinstance(bucket, str) and bucket:
        yield from ((bucket, key) for key in keys if isinstance(key, str) and key)


def _body(message: Any) -> dict[str, Any]:
    body = _dict(message).get("Body", message)
    try:
        return _dict(json.loads(body) if isinstance(body, str) else body)
    except (ValueError, RecursionError):
        return {}


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
