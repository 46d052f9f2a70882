"""Which objects the events of an asset tell of: for DAGs that describe files as they arrive."""

from __future__ import annotations

import json
import logging
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_plus

from airflow_midjourney.describe.model.text import presentable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

#: As many as ``keys=`` takes.
MOST_KEYS: Final = 1000

_CREATED: Final = "ObjectCreated"
_NOTIFICATION: Final = "Notification"

#: Where watchers, queues, topics and functions put the message of another; the first that is there is opened.
_ENVELOPES: Final = (
    "payload",
    "message_batch",
    "messages",
    "Messages",
    "Sns",
    "Message",
    "Body",
    "body",
    "message",
    "value",
)
_DEEPEST: Final = 20

#: Where a message that names no object says what it is.
_KINDS: Final = ("Event", "eventName", "eventType", "kind", "Type", "type", "source", "eventSource")
_KINDS_TOLD: Final = 10
_LONGEST_NAME: Final = 80

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Objects of one bucket that arrived.

    :param keys: raw, each once, at most 1,000.
    """

    bucket: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Object:
    """An object that arrived."""

    bucket: str
    key: str


@dataclass(frozen=True, slots=True)
class _Other:
    """A message that names no new object, and what it is instead."""

    what: str


def arrivals(extras: Iterable[Mapping[str, Any]]) -> list[Arrivals]:
    """Read the ``extra`` of asset events; the same events always give the same list.

    Understood are ``{"bucket": "photos", "key": "in/a.jpg"}``, with ``keys`` for several, and what a watcher of a
    queue passes on of S3's own notifications, whether sent there directly, through SNS or by EventBridge, in any number
    of envelopes. What names no new object is passed over, and the log says how much of what kind.

    :return: the objects by bucket, those of a bucket in parts of at most 1,000 keys.
    """
    found: dict[str, dict[str, None]] = {}
    others: Counter[str] = Counter()
    for extra in extras:
        for one in _read_extra(extra):
            if isinstance(one, _Other):
                others[presentable(one.what, limit=_LONGEST_NAME)] += 1
            else:
                found.setdefault(one.bucket, {})[one.key] = None
    if others:
        told = "; ".join(f"{what}: {number}" for what, number in others.most_common(_KINDS_TOLD))
        log.warning("%d messages name no new object and are passed over: %s.", others.total(), told)
    return [Arrivals(bucket, part) for bucket, keys in sorted(found.items()) for part in _parts(tuple(keys))]


def _parts(keys: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for start in range(0, len(keys), MOST_KEYS):
        yield keys[start : start + MOST_KEYS]


def _read_extra(extra: Any) -> Iterator[_Object | _Other]:
    """Read the extra of one event: its own words, or messages that a watcher took from a queue."""
    if isinstance(extra, dict) and not ("bucket" in extra and ("key" in extra or "keys" in extra)):
        yield from _unpacked(extra, 0)
    elif isinstance(extra, dict):
        yield from _own_words(extra)
    else:
        yield _Other("an event without an extra")


def _unpacked(value: Any, depth: int) -> Iterator[_Object | _Other]:
    """Open envelopes within envelopes, which may be JSON in text, until something names an object."""
    if depth > _DEEPEST:
        yield _Other("a message in too many envelopes")
    elif isinstance(value, str):
        yield from _unpacked_text(value, depth)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _unpacked(one, depth + 1)
    elif isinstance(value, dict):
        yield from _unpacked_object(value, depth)
    else:
        yield _Other("a message that is no JSON object")


def _unpacked_text(text: str, depth: int) -> Iterator[_Object | _Other]:
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        yield _Other("text that is no JSON")
        return
    yield from _unpacked(value, depth + 1)


def _unpacked_object(message: dict[str, Any], depth: int) -> Iterator[_Object | _Other]:
    envelope = next((name for name in _ENVELOPES if name in message), None)
    if isinstance(message.get("Records"), list):
        for record in message["Records"]:
            yield from _of_record(record, depth)
    elif "detail-type" in message:
        yield _bridged(message)
    elif message.get("Type", _NOTIFICATION) != _NOTIFICATION:
        yield _Other(str(message["Type"]))
    elif envelope is not None:
        yield from _unpacked(message[envelope], depth + 1)
    elif "bucket" in message and ("key" in message or "keys" in message):
        yield from _own_words(message)
    else:
        yield _Other(_kind(message))


def _of_record(record: Any, depth: int) -> Iterator[_Object | _Other]:
    """Read a record of S3's own notification, whose keys are encoded like a form, or open one of another kind."""
    if not isinstance(record, dict) or not isinstance(record.get("s3"), dict):
        yield from _unpacked(record, depth + 1)
        return
    event = str(record.get("eventName", _CREATED))
    if _CREATED not in event:
        yield _Other(event)
        return
    key = _dict(record["s3"].get("object")).get("key")
    decoded = unquote_plus(key) if isinstance(key, str) else None
    yield _named(_dict(record["s3"].get("bucket")).get("name"), decoded)


def _bridged(message: dict[str, Any]) -> _Object | _Other:
    """Read an event of EventBridge, which gives keys as they are."""
    if message["detail-type"] != "Object Created":
        return _Other(f"{message.get('source', 'EventBridge')} {message['detail-type']}")
    detail = _dict(message.get("detail"))
    return _named(_dict(detail.get("bucket")).get("name"), _dict(detail.get("object")).get("key"))


def _own_words(event: dict[str, Any]) -> Iterator[_Object | _Other]:
    keys = event["keys"] if "keys" in event else event.get("key")
    for key in keys if isinstance(keys, list | tuple) else [keys]:
        yield _named(event.get("bucket"), key)


def _named(bucket: Any, key: Any) -> _Object | _Other:
    if isinstance(bucket, str) and bucket and isinstance(key, str) and key:
        return _Object(bucket, key)
    return _Other("an event without bucket and key")


def _kind(message: dict[str, Any]) -> str:
    """Name a message by what it says of itself."""
    kind = next((message[name] for name in _KINDS if isinstance(message.get(name), str)), None)
    return kind or "a message without bucket and key"


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
