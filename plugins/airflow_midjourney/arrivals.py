"""Which objects the events of an asset tell of: for DAGs that describe files as they arrive."""

from __future__ import annotations

import json
import logging
from base64 import b64decode
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_plus

from airflow_midjourney.describe.model.text import presentable
from airflow_midjourney.describe.storage.address import read_address
from airflow_midjourney.describe.storage.keys import problem_of_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

#: As many as ``keys=`` takes.
MOST_KEYS: Final = 1000

_CREATED: Final = "ObjectCreated"
_NOTIFICATION: Final = "Notification"
_BY_CLOUDTRAIL: Final = "AWS API Call via CloudTrail"
_CALLS_THAT_CREATE: Final = frozenset(
    {"PutObject", "POST Object", "PostObject", "CopyObject", "CompleteMultipartUpload"}
)

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
_ANONYMOUS: Final = "a message without bucket and key"
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
    if isinstance(extra, dict | list | tuple | str):
        yield from _unpacked(extra, 0)
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
    for read in (json.loads, _objects_a_line, _of_base64):
        try:
            value: Any = read(text.lstrip("\ufeff"))
        except (ValueError, RecursionError):
            continue
        yield from _unpacked(value, depth + 1)
        return
    yield _Other("text that is no JSON")


def _objects_a_line(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def _of_base64(text: str) -> Any:
    """Read JSON as Kinesis, Kafka and gateways carry it."""
    return json.loads(b64decode(text, validate=True))


def _unpacked_object(message: dict[str, Any], depth: int) -> Iterator[_Object | _Other]:
    envelope = next((name for name in _ENVELOPES if name in message), None)
    if isinstance(message.get("Records"), list):
        for record in message["Records"]:
            yield from _of_record(record, depth)
    elif isinstance(message.get("s3"), dict):
        yield from _of_record(message, depth)
    elif "detail-type" in message:
        yield from _bridged(message, depth)
    elif message.get("Type", _NOTIFICATION) != _NOTIFICATION:
        yield _Other(str(message["Type"]))
    elif envelope is not None:
        yield from _unpacked(message[envelope], depth + 1)
    elif isinstance(message.get("bucket"), str) and ("key" in message or "keys" in message):
        yield from _own_words(message)
    elif isinstance(message.get("Bucket"), str) and isinstance(message.get("Key"), str):
        # As clients of S3 spell the two.
        yield _named(message["Bucket"], message["Key"])
    elif "bucket" in message and isinstance(message.get("object"), dict):
        yield _detailed(message)
    else:
        yield from _searched(message, depth)


def _searched(message: dict[str, Any], depth: int) -> Iterator[_Object | _Other]:
    """Look for an object in all that an envelope of an unknown kind holds, else say what the message is."""
    inside = [value for value in message.values() if _may_hold_a_message(value)]
    found = [one for value in inside for one in _unpacked(value, depth + 1)] if depth < _DEEPEST else []
    objects: list[_Object | _Other] = [one for one in found if isinstance(one, _Object)]
    kind = _kind(message)
    told: list[_Object | _Other] = [one for one in found if isinstance(one, _Other) and one.what != _ANONYMOUS]
    yield from objects or ([_Other(kind)] if kind else told[:1] or [_Other(_ANONYMOUS)])


def _may_hold_a_message(value: Any) -> bool:
    return isinstance(value, dict | list) or (isinstance(value, str) and value.lstrip().startswith(("{", "[", "eyJ")))


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
    try:
        decoded = unquote_plus(key, errors="strict") if isinstance(key, str) else None
    except UnicodeDecodeError:
        yield _Other("a key that is not UTF-8")
        return
    yield _named(_dict(record["s3"].get("bucket")).get("name"), decoded)


def _bridged(message: dict[str, Any], depth: int) -> Iterator[_Object | _Other]:
    """Read an event of EventBridge, which gives keys as they are."""
    detail = message.get("detail")
    if isinstance(detail, str):
        yield from _unpacked({**message, "detail": _json_object(detail)}, depth + 1)
    elif message["detail-type"] == "Object Created":
        yield _detailed(_dict(detail))
    elif message["detail-type"] == _BY_CLOUDTRAIL:
        yield _recorded(_dict(detail))
    else:
        yield _Other(f"{message.get('source', 'EventBridge')} {message['detail-type']}")


def _detailed(detail: dict[str, Any]) -> _Object | _Other:
    """Read the detail of EventBridge, which a rule may pass on alone, or an event of R2, which is like it."""
    call = detail.get("reason", detail.get("action", detail.get("deletion-type")))
    if call is not None and call not in _CALLS_THAT_CREATE:
        return _Other(str(call))
    bucket = detail.get("bucket")
    return _named(
        bucket if isinstance(bucket, str) else _dict(bucket).get("name"), _dict(detail.get("object")).get("key")
    )


def _recorded(detail: dict[str, Any]) -> _Object | _Other:
    """Read a call that CloudTrail has recorded."""
    call, asked = str(detail.get("eventName")), _dict(detail.get("requestParameters"))
    if call not in _CALLS_THAT_CREATE or "errorCode" in detail:
        return _Other(f"{_BY_CLOUDTRAIL}: {call}")
    return _named(asked.get("bucketName"), asked.get("key"))


def _json_object(text: str) -> dict[str, Any]:
    try:
        return _dict(json.loads(text))
    except (ValueError, RecursionError):
        return {}


def _own_words(event: dict[str, Any]) -> Iterator[_Object | _Other]:
    keys = event["keys"] if "keys" in event else event.get("key")
    if isinstance(keys, str) and keys.startswith("["):
        keys = _json_list(keys)
    for key in keys if isinstance(keys, list | tuple) else [keys]:
        yield _named(event.get("bucket"), key)


def _json_list(text: str) -> Any:
    """Read a list that a template made text of; a key may begin with a bracket, too."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _named(bucket: Any, key: Any) -> _Object | _Other:
    if not (isinstance(bucket, str) and bucket and isinstance(key, str) and key):
        return _Other("an event without bucket and key")
    if key.endswith("/"):
        return _Other("a folder")
    address = read_address(key)
    if address is not None and (address.problem or address.bucket != bucket):
        return _Other("an address of another bucket in place of a key")
    key = key if address is None else address.key
    return _Other("a key that S3 does not take") if problem_of_key(key) else _Object(bucket, key)


def _kind(message: dict[str, Any]) -> str:
    """Name a message by what it says of itself; empty where it says nothing."""
    return next((message[name] for name in _KINDS if isinstance(message.get(name), str)), "")


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
