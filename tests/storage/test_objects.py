from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from botocore.response import StreamingBody
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

from airflow_midjourney.describe.model.errors import (
    ImageRejectedError,
    SettingsError,
    StorageError,
    StorageUnavailableError,
)
from airflow_midjourney.describe.storage.etags import plain_etag
from airflow_midjourney.describe.storage.objects import ImageStore
from airflow_midjourney.describe.storage.suffixes import DEFAULT_SUFFIXES, normalise_suffixes
from tests.support.stubbed_s3 import Stubbed, connect, listed, put

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.storage.listed_images import ListedImage

HOSTILE_KEYS = (
    "a'; drop table--<script>.jpg",
    "a b+c.jpg",
    "%2F%00%.jpg",
    "tab\there.jpg",
    "\u202egpj.\u202c.jpg",
    "снимок 雪 🏔.JPG",
    "a/../b//c.jpg",
    "?x=1&y=#z.jpg",
    "{{ ds }}.jpg",
)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def client(endpoint: str) -> S3Client:
    return connect(endpoint, max_pool_connections=8)


@pytest.fixture
def bucket(client: S3Client) -> str:
    name = f"photos-{uuid4().hex}"
    client.create_bucket(Bucket=name)
    return name


# Listing


@mock_aws
def test_pages_by_plain_keys_over_more_than_a_thousand() -> None:
    client, bucket = connect(None), "photos"
    client.create_bucket(Bucket=bucket)
    keys = [f"in/{number:05}.jpg" for number in range(1203)]
    # Through the client it would take as long as all other tests here together.
    backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    for key in (*keys, "other/x.jpg"):
        backend.put_object(bucket, key, b"x")
    found: list[str] = []
    after, is_last, sizes = "", False, []
    while not is_last:
        # A new store each time: the position is all that a later process has.
        page = ImageStore(client, name="aws").list_page(bucket, "in/", after=after, suffixes=DEFAULT_SUFFIXES)
        found += [image.key for image in page.images]
        sizes.append(page.seen)
        assert page.keys
        after, is_last = page.keys[-1], page.is_last
    assert found == keys
    assert sizes == [1000, 203]


def test_page_tells_what_s3_says(client: S3Client, bucket: str) -> None:
    answer = client.put_object(Bucket=bucket, Key="a.jpg", Body=b"12345", StorageClass="STANDARD_IA")
    (image,) = ImageStore(client, name="aws").list_page(bucket, "", suffixes=None).images
    assert (image.bucket, image.key, image.size_bytes) == (bucket, "a.jpg", 5)
    assert image.etag == answer["ETag"].strip('"')
    assert '"' not in image.etag
    assert image.storage_class == "STANDARD_IA"
    assert image.last_modified.tzinfo is UTC
    assert image.uri == f"s3://{bucket}/a.jpg"


def test_page_filters_and_still_moves_on(client: S3Client, bucket: str) -> None:
    put(client, bucket, "a.JPG", "b.txt", "c.webp", "d", "z.csv")
    put(client, bucket, "folder/", "folder.jpg/", body=b"")
    put(client, bucket, "empty.png", body=b"")
    store = ImageStore(client, name="aws")
    page = store.list_page(bucket, "", suffixes=DEFAULT_SUFFIXES)
    assert [image.key for image in page.images] == ["a.JPG", "c.webp", "empty.png"]
    assert page.seen == 8
    assert page.keys[-1] == "z.csv"
    assert page.is_last
    everything = store.list_page(bucket, "", suffixes=None)
    assert [image.key for image in everything.images] == ["a.JPG", "b.txt", "c.webp", "d", "empty.png", "z.csv"]


def test_empty_page_is_the_last(client: S3Client, bucket: str) -> None:
    page = ImageStore(client, name="aws").list_page(bucket, "none/", suffixes=None)
    assert (page.images, page.seen, page.keys, page.is_last) == ((), 0, (), True)


def test_hostile_keys_survive_listing_paging_and_reading(client: S3Client, bucket: str) -> None:
    for key in HOSTILE_KEYS:
        put(client, bucket, key, body=key.encode())
    store = ImageStore(client, name="aws")
    found: list[ListedImage] = []
    after, is_last = "", False
    while not is_last:
        page = store.list_page(bucket, "", after=after, suffixes=DEFAULT_SUFFIXES, page_size=1)
        found += page.images
        after, is_last = page.keys[-1] if page.keys else "", page.is_last
    assert sorted(image.key for image in found) == sorted(HOSTILE_KEYS)
    for image in found:
        assert store.read(image).body == image.key.encode()
        assert store.look_up(bucket, image.key) == image


@mock_aws
def test_line_breaks_in_keys_are_kept() -> None:
    # The test server's own routes stop at line breaks, so S3 is played inside the client here.
    client, key = connect(None), "line\nbreak\r.jpg"
    client.create_bucket(Bucket="photos")
    put(client, "photos", key)
    store = ImageStore(client, name="aws")
    (image,) = store.list_page("photos", "line\n", suffixes=DEFAULT_SUFFIXES).images
    assert image.key == key
    assert store.read(image).body == b"pixels"
    assert store.look_up("photos", key) == image
    assert store.list_page("photos", "", after=key, suffixes=None).seen == 0


def test_prefix_is_taken_literally(client: S3Client, bucket: str) -> None:
    put(client, bucket, "50% off+/a.jpg", "50%20off+/b.jpg")
    page = ImageStore(client, name="aws").list_page(bucket, "50% off+/", suffixes=None)
    assert [image.key for image in page.images] == ["50% off+/a.jpg"]


def test_control_characters_in_an_answer_come_through_raw() -> None:
    stubbed = Stubbed()
    entry = {"Key": "a%00b%01%0A+c.jpg", "ETag": '"e"', "Size": 1, "LastModified": datetime.now(UTC)}
    stubbed.answers.add_response("list_objects_v2", {"Contents": [entry], "EncodingType": "url"})
    (image,) = stubbed.store.list_page("photos", "", suffixes=None).images
    assert image.key == "a\x00b\x01\n c.jpg"


def test_listing_without_etags_is_refused() -> None:
    stubbed = Stubbed()
    entry = {"Key": "a.jpg", "Size": 1, "LastModified": datetime.now(UTC)}
    stubbed.answers.add_response("list_objects_v2", {"Contents": [entry]})
    with pytest.raises(StorageError, match="aws_photos"):
        stubbed.store.list_page("photos", "", suffixes=None)


def test_truncated_page_without_keys_is_not_believed_to_be_the_last() -> None:
    stubbed = Stubbed()
    stubbed.answers.add_response("list_objects_v2", {"IsTruncated": True})
    assert not stubbed.store.list_page("photos", "", suffixes=None).is_last


def test_requester_pays_is_said_in_every_request() -> None:
    stubbed = Stubbed(requester_pays=True)
    asked: dict[str, Any] = {}
    stubbed.client.meta.events.register(
        "provide-client-params.s3", lambda params, model, **_: asked.update({model.name: params})
    )
    when = datetime.now(UTC)
    stubbed.answers.add_response("list_objects_v2", {})
    stubbed.answers.add_response("head_object", {"ETag": '"e"', "ContentLength": 1, "LastModified": when})
    stubbed.answers.add_response("get_object", {"Body": StreamingBody(io.BytesIO(b"x"), 1)})
    stubbed.store.list_page("photos", "", suffixes=None)
    stubbed.store.look_up("photos", "a.jpg")
    stubbed.store.read(listed())
    payers = {name: params.get("RequestPayer") for name, params in asked.items()}
    assert payers == {"ListObjectsV2": "requester", "HeadObject": "requester", "GetObject": "requester"}
    assert asked["GetObject"]["IfMatch"] == '"abc"'


def test_missing_bucket_is_named(client: S3Client) -> None:
    store = ImageStore(client, name="aws_photos")
    with pytest.raises(StorageError, match=r"'no-such-bucket'.*'aws_photos'") as caught:
        store.list_page("no-such-bucket", "", suffixes=None)
    assert not caught.value.retry_helps


def test_impossible_bucket_name_is_a_settings_error(client: S3Client) -> None:
    with pytest.raises(SettingsError, match="no bucket"):
        ImageStore(client, name="aws").list_page("no bucket/at all", "", suffixes=None)


# Looking up


def test_look_up_says_what_a_listing_says(client: S3Client, bucket: str) -> None:
    put(client, bucket, "a.jpg")
    store = ImageStore(client, name="aws")
    assert store.list_page(bucket, "", suffixes=None).images == (store.look_up(bucket, "a.jpg"),)


def test_look_up_of_a_missing_key_and_of_a_missing_bucket_differ(client: S3Client, bucket: str) -> None:
    store = ImageStore(client, name="aws")
    with pytest.raises(ImageRejectedError) as caught:
        store.look_up(bucket, "nothing.jpg")
    assert caught.value.reason == "missing"
    assert caught.value.image_uri == f"s3://{bucket}/nothing.jpg"
    with pytest.raises(StorageError, match="'no-such-bucket'"):
        store.look_up("no-such-bucket", "nothing.jpg")


def test_look_up_of_a_missing_key_where_the_bucket_may_not_be_asked() -> None:
    stubbed = Stubbed()
    stubbed.answers.add_client_error("head_object", "404", http_status_code=404)
    stubbed.answers.add_client_error("head_bucket", "403", http_status_code=403)
    with pytest.raises(ImageRejectedError) as caught:
        stubbed.store.look_up("photos", "a.jpg")
    assert caught.value.reason == "missing"


def test_look_up_knows_a_restored_archive() -> None:
    stubbed = Stubbed()
    answer = {
        "ETag": '"e"',
        "ContentLength": 1,
        "LastModified": datetime.now(UTC),
        "StorageClass": "GLACIER",
        "Restore": 'ongoing-request="false", expiry-date="Fri, 21 Dec 2035 00:00:00 GMT"',
    }
    stubbed.answers.add_response("head_object", answer)
    image = stubbed.store.look_up("photos", "a.jpg")
    assert (image.storage_class, image.restored) == ("GLACIER", True)


# Reading


def test_read_gives_the_bytes_and_the_version(client: S3Client, bucket: str) -> None:
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    answer = client.put_object(Bucket=bucket, Key="a.jpg", Body=b"first")
    store = ImageStore(client, name="aws")
    stored = store.read(store.look_up(bucket, "a.jpg"))
    assert stored.body == b"first"
    assert stored.version_id == answer["VersionId"]
    assert "first" not in repr(stored)


def test_unversioned_buckets_have_no_version_id(client: S3Client, bucket: str) -> None:
    put(client, bucket, "a.jpg")
    store = ImageStore(client, name="aws")
    assert store.read(store.look_up(bucket, "a.jpg")).version_id is None


def rejection(store: ImageStore, image: ListedImage) -> str:
    with pytest.raises(ImageRejectedError) as caught:
        store.read(image)
    assert caught.value.image_uri == image.uri
    return caught.value.reason


def test_replaced_and_deleted_objects_are_rejected(client: S3Client, bucket: str) -> None:
    put(client, bucket, "a.jpg", body=b"first")
    store = ImageStore(client, name="aws")
    image = store.look_up(bucket, "a.jpg")
    put(client, bucket, "a.jpg", body=b"other")
    assert rejection(store, image) == "replaced"
    assert store.read(store.look_up(bucket, "a.jpg")).body == b"other"
    client.delete_object(Bucket=bucket, Key="a.jpg")
    assert rejection(store, image) == "missing"


@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
def test_archived_objects_are_rejected(client: S3Client, bucket: str, storage_class: Any) -> None:
    client.put_object(Bucket=bucket, Key="a.jpg", Body=b"x", StorageClass=storage_class)
    store = ImageStore(client, name="aws")
    image = store.look_up(bucket, "a.jpg")
    assert image.storage_class == storage_class
    assert rejection(store, image) == "archived"
    # A row does not remember its storage class: then S3 has to say it.
    assert rejection(store, replace(image, storage_class="STANDARD")) == "archived"


def test_archives_are_not_asked_for_but_restored_and_instant_ones_are() -> None:
    stubbed = Stubbed()
    assert rejection(stubbed.store, listed(storage_class="GLACIER")) == "archived"
    for image in (listed(storage_class="GLACIER", restored=True), listed(storage_class="GLACIER_IR")):
        stubbed.answers.add_response("get_object", {"Body": StreamingBody(io.BytesIO(b"x"), 1)})
        assert stubbed.store.read(image).body == b"x"
    stubbed.answers.assert_no_pending_responses()


def test_empty_and_huge_objects_are_rejected_unread() -> None:
    store = Stubbed(max_bytes=5).store
    assert rejection(store, listed(size_bytes=0)) == "empty"
    assert rejection(store, listed(size_bytes=6)) == "too_large"


def test_listed_sizes_are_not_trusted(client: S3Client, bucket: str) -> None:
    put(client, bucket, "huge.jpg", body=b"x" * 3_000_000)
    put(client, bucket, "empty.jpg", body=b"")
    store = ImageStore(client, name="aws", max_bytes=2_000_000)
    assert rejection(store, replace(store.look_up(bucket, "huge.jpg"), size_bytes=1)) == "too_large"
    assert rejection(store, replace(store.look_up(bucket, "empty.jpg"), size_bytes=1)) == "empty"


def test_broken_body_is_read_again() -> None:
    stubbed = Stubbed()
    stubbed.answers.add_response("get_object", {"Body": StreamingBody(io.BytesIO(b"pix"), 6)})
    stubbed.answers.add_response("get_object", {"Body": StreamingBody(io.BytesIO(b"pixels"), 6)})
    assert stubbed.store.read(listed()).body == b"pixels"


def test_body_that_keeps_breaking_is_unavailable() -> None:
    stubbed = Stubbed()
    for _ in range(3):
        stubbed.answers.add_response("get_object", {"Body": StreamingBody(io.BytesIO(b"pix"), 6)})
    with pytest.raises(StorageUnavailableError) as caught:
        stubbed.store.read(listed())
    assert caught.value.retry_helps
    stubbed.answers.assert_no_pending_responses()


# What may be read


def test_allowed_uris_bound_what_is_listed_and_read(client: S3Client, bucket: str) -> None:
    put(client, bucket, "public/a.jpg", "public/deep/b.jpg", "private/c.jpg")
    store = ImageStore(client, name="aws", allowed_uris=[f"s3://{bucket}/public/*"])
    everything = store.list_page(bucket, "", suffixes=None)
    assert [image.key for image in everything.images] == ["public/a.jpg", "public/deep/b.jpg"]
    assert everything.seen == 3
    assert store.read(everything.images[0]).body == b"pixels"
    with pytest.raises(SettingsError, match="allowed_uris"):
        store.list_page(bucket, "private/", suffixes=None)
    with pytest.raises(SettingsError, match=r"private/c\.jpg"):
        store.look_up(bucket, "private/c.jpg")
    hidden = ImageStore(client, name="aws").look_up(bucket, "private/c.jpg")
    with pytest.raises(ImageRejectedError, match="allowed_uris") as caught:
        store.read(hidden)
    assert (caught.value.reason, caught.value.image_uri) == ("not_allowed", hidden.uri)
    assert not store.allows(hidden.uri)


def test_s3_is_not_even_asked_about_what_is_not_allowed() -> None:
    # Nothing is laid down here: any request would end in another error.
    store = Stubbed(allowed_uris=["s3://other/*"]).store
    with pytest.raises(SettingsError):
        store.list_page("photos", "in/", suffixes=None)
    with pytest.raises(SettingsError):
        store.look_up("photos", "a.jpg")
    assert rejection(store, listed()) == "not_allowed"


@pytest.mark.parametrize("tag", ['"abc"', "abc", 'W/"abc"', "W/abc", 'w/"abc"', ' W/ "abc" ', '"abc', 'W/""abc""'])
def test_etags_are_kept_and_sent_in_one_form(tag: str) -> None:
    stubbed, when = Stubbed(), datetime.now(UTC)
    sent: list[str] = []
    stubbed.client.meta.events.register(
        "provide-client-params.s3.GetObject", lambda params, **_: sent.append(params["IfMatch"])
    )
    entry = {"Key": "a.jpg", "ETag": tag, "Size": 1, "LastModified": when}
    stubbed.answers.add_response("list_objects_v2", {"Contents": [entry]})
    stubbed.answers.add_response("head_object", {"ETag": tag, "ContentLength": 1, "LastModified": when})
    stubbed.answers.add_response("get_object", {"Body": StreamingBody(io.BytesIO(b"x"), 1), "ETag": tag})
    (image,) = stubbed.store.list_page("photos", "", suffixes=None).images
    assert image.etag == stubbed.store.look_up("photos", "a.jpg").etag == "abc"
    stubbed.store.read(image)
    assert sent == ['"abc"']


@pytest.mark.parametrize(
    ("tag", "plain"),
    [
        ('W/"9b2cf535f27731c974343645a3985328"', "9b2cf535f27731c974343645a3985328"),
        ('"9b2cf535f27731c974343645a3985328-gzip"', "9b2cf535f27731c974343645a3985328"),
        ('W/"9b2cf535f27731c974343645a3985328-12--gzip"', "9b2cf535f27731c974343645a3985328-12"),
        ('"9b2cf535f27731c974343645a3985328-12"', "9b2cf535f27731c974343645a3985328-12"),
        ('"mine-gzip"', "mine-gzip"),
    ],
)
def test_what_a_proxy_adds_to_an_etag_is_taken_off(tag: str, plain: str) -> None:
    assert plain_etag(tag) == plain


# Suffixes


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, None),
        (["PNG", ".jpg", "*.webp", " .png "], {".png", ".jpg", ".webp"}),
        ("jpg, .JPEG", {".jpg", ".jpeg"}),
        (DEFAULT_SUFFIXES, DEFAULT_SUFFIXES),
    ],
)
def test_suffixes_take_any_usual_form(given: Any, expected: Any) -> None:
    assert normalise_suffixes(given) == expected


@pytest.mark.parametrize("given", [[], "", ["."], ["*"], ["a/b"], ["jp g"], "jpg,,png"])
def test_other_suffixes_are_refused(given: Any) -> None:
    with pytest.raises(SettingsError, match="suffixes"):
        normalise_suffixes(given)
