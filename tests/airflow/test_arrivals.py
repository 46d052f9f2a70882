"""What events of assets tell of: their own words, S3's notifications, and whatever else someone may post."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_midjourney.arrivals import Arrivals, arrivals
from tests.support.airflow_home import REPOSITORY


def watched(*bodies: Any) -> dict[str, Any]:
    """Give an extra as Airflow makes it of messages that a watcher took from SQS."""
    messages = [{"MessageId": "1", "Body": body if isinstance(body, str) else json.dumps(body)} for body in bodies]
    return {"from_trigger": True, "payload": {"status": "success", "message_batch": messages}}


def record(key: str, event: str = "ObjectCreated:Put") -> dict[str, Any]:
    return {"eventName": event, "s3": {"bucket": {"name": "photos"}, "object": {"key": key}}}


def test_events_name_keys_by_bucket_and_each_once() -> None:
    extras = [
        {"bucket": "photos", "key": "b.jpg", "from_rest_api": True},
        {"bucket": "others", "keys": ["x.jpg", "y+%20.jpg"]},
        {"bucket": "photos", "keys": ["a.jpg", "b.jpg"]},
    ]

    assert arrivals(extras) == [
        Arrivals("others", ("x.jpg", "y+%20.jpg")),
        Arrivals("photos", ("b.jpg", "a.jpg")),
    ]


def test_bucket_and_key_as_clients_of_s3_spell_them() -> None:
    spelt = {"Bucket": "photos", "Key": "in/a+b.jpg"}

    assert arrivals([spelt]) == arrivals([{"payload": [spelt]}]) == [Arrivals("photos", ("in/a+b.jpg",))]
    assert arrivals([{"Event": "s3:TestEvent", "Bucket": "photos"}]) == []


def test_more_keys_than_one_batch_takes_are_several_batches() -> None:
    keys = [f"{number}.jpg" for number in range(2500)]

    parts = arrivals([{"bucket": "photos", "key": key} for key in keys])

    assert [len(part.keys) for part in parts] == [1000, 1000, 500]
    assert [key for part in parts for key in part.keys] == keys


def test_notifications_of_s3_and_eventbridge_that_a_watcher_took_from_a_queue() -> None:
    bridged = {
        "detail-type": "Object Created",
        "detail": {"bucket": {"name": "photos"}, "object": {"key": "in/a+b.jpg"}},
    }
    extra = watched(
        {"Records": [record("in/red+flower%2B.jpg"), record("gone.jpg", "ObjectRemoved:Delete")]},
        bridged,
        bridged | {"detail-type": "Object Deleted"},
        {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "photos"},
        "no JSON",
    )

    assert arrivals([extra]) == [Arrivals("photos", ("in/red flower+.jpg", "in/a+b.jpg"))]


def test_events_that_tell_of_nothing_are_passed_over() -> None:
    extras: list[Any] = [{}, {"bucket": "photos"}, {"key": "a.jpg"}, {"bucket": None, "keys": []}, None, [], "a.jpg"]

    assert arrivals(extras) == []


NAMES = ["payload", "message_batch", "Body", "Records", "s3", "bucket", "name", "object", "key", "keys", "detail"]

anything = st.recursive(
    st.none() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(st.lists(anything, max_size=3), anything)
def test_whatever_someone_posts_does_no_harm(extras: list[Any], body: Any) -> None:
    found = arrivals([*extras, watched(body), {"bucket": "photos", "key": "a.jpg"}])

    assert Arrivals("photos", ("a.jpg",)) in found or any("a.jpg" in part.keys for part in found)
    assert all(part.bucket and all(part.keys) for part in found)


CASE = REPOSITORY / "tests/fixtures/cases/evt01_s3_to_sns_to_sqs.json"
NEW = {"detail-type": "Object Created", "detail": {"bucket": {"name": "photos"}, "object": {"key": "in/a+b.jpg"}}}


CALL = {"eventName": "PutObject", "requestParameters": {"bucketName": "photos", "key": "in/a+b.jpg"}}


def packed(message: Any) -> str:
    return base64.b64encode(json.dumps(message).encode()).decode()


def topic(message: Any) -> dict[str, Any]:
    return {"Type": "Notification", "Message": json.dumps(message)}


def test_a_notification_of_s3_through_a_topic_to_a_queue() -> None:
    assert arrivals([json.loads(CASE.read_text())]) == [Arrivals("photos", ("in/café menu (1).jpg",))]


@pytest.mark.parametrize(
    "extra",
    [
        watched(topic(NEW)),
        watched([NEW, NEW]),
        watched(json.dumps(json.dumps(NEW))),
        watched({"Records": [{"body": json.dumps(topic(NEW))}]}),
        watched({"Records": [{"Sns": topic(NEW)}]}),
        {"payload": json.dumps(NEW)},
        {"payload": {"message_batch": [topic({"Records": [record("in/a%2Bb.jpg")]})]}},
        {"payload": {"EventName": "s3:ObjectCreated:Put", "Records": [record("in/a%2Bb.jpg", "s3:ObjectCreated:Put")]}},
        topic(NEW),
        {"payload": "\ufeff" + json.dumps(NEW)},
        {"payload": json.dumps(NEW) + "\n" + json.dumps(NEW) + "\n"},
        watched(NEW | {"detail": json.dumps(NEW["detail"])}),
        watched(NEW["detail"]),
        watched(NEW | {"detail-type": "AWS API Call via CloudTrail", "detail": CALL}),
        watched({"specversion": "1.0", "type": "com.amazonaws.s3.objectcreated", "data": NEW}),
        watched({"Input": json.dumps(NEW)}),
        watched({"Records": record("in/a%2Bb.jpg")}),
        watched({"Records": json.dumps([record("in/a%2Bb.jpg")])}),
        watched([record("in/a%2Bb.jpg")]),
        watched({"Records": [{"eventSource": "aws:kinesis", "kinesis": {"data": packed(NEW)}}]}),
        watched({"records": {"topic-0": [{"offset": 1, "value": packed(NEW)}]}}),
        watched({"isBase64Encoded": True, "body": packed(NEW)}),
        {"payload": {"event": {"value": json.dumps(NEW)}}},
        watched({"account": "1", "bucket": "photos", "object": {"key": "in/a+b.jpg"}, "action": "PutObject"}),
        {"bucket": "photos", "key": "s3://photos/in/a+b.jpg"},
        {"bucket": "photos", "keys": '["in/a+b.jpg"]'},
    ],
)
def test_envelopes_in_any_order_hold_the_same_object(extra: dict[str, Any]) -> None:
    assert arrivals([extra]) == [Arrivals("photos", ("in/a+b.jpg",))]


def test_the_log_says_what_named_no_object_and_the_others_count(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING")
    foreign = {"kind": "storage#object", "name": "a.jpg", "bucket": "photos"}
    gone = {"Records": [record("gone.jpg", "ObjectRemoved:Delete"), record("in/a%2Bb.jpg")]}
    joining = {"Type": "SubscriptionConfirmation", "Message": "You have chosen to subscribe"}

    found = arrivals([watched({"Event": "s3:TestEvent"}, foreign, gone, joining, "no JSON")])

    assert found == [Arrivals("photos", ("in/a+b.jpg",))]
    (line,) = caplog.messages
    assert line.startswith("5 messages name no new object")
    for what in ("s3:TestEvent: 1", "storage#object: 1", "ObjectRemoved:Delete: 1", "SubscriptionConfirmation: 1"):
        assert what in line


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ({"Records": [record("in/new/")]}, "a folder"),
        ({"Records": [record("in/caf%E9.jpg")]}, "a key that is not UTF-8"),
        ({"Records": [record("in/..%2F..%2Fa.jpg")]}, "a key that S3 does not take"),
        ({"Records": [record("a", "LifecycleExpiration:Delete")]}, "LifecycleExpiration:Delete"),
        (NEW | {"detail-type": "Object Deleted", "source": "aws.s3"}, "aws.s3 Object Deleted"),
        (
            NEW | {"detail-type": "AWS API Call via CloudTrail", "detail": CALL | {"eventName": "DeleteObject"}},
            "DeleteObject",
        ),
        (
            NEW | {"detail-type": "AWS API Call via CloudTrail", "detail": CALL | {"errorCode": "x"}},
            "CloudTrail: PutObject",
        ),
        ({"bucket": "photos", "object": {"key": "a.jpg"}, "action": "DeleteObject"}, "DeleteObject"),
        (
            {"bucket": {"name": "photos"}, "object": {"key": "a.jpg"}, "deletion-type": "Permanently Deleted"},
            "Permanently",
        ),
        ({"bucket": "photos", "key": "s3://others/a.jpg"}, "an address of another bucket"),
        ({"bucket": "photos", "key": "in/\ud800.jpg"}, "a key that S3 does not take"),
        ({"data": {"Records": [record("a", "ObjectRemoved:Delete")]}}, "ObjectRemoved:Delete"),
    ],
)
def test_what_creates_no_object_or_names_none_makes_no_key(
    body: Any, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING")

    assert arrivals([watched(body)]) == []
    assert what in caplog.text
