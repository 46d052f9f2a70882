"""GETs as servers really answer them, over HTTP: the bytes that were listed, or one verdict that can be undone."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from airflow_midjourney.describe.model.errors import (
    DescribeError,
    ImageRejectedError,
    ObjectDeniedError,
    ObjectUnavailableError,
    StorageError,
)
from airflow_midjourney.describe.storage.objects import ImageStore
from tests.support.images import jpeg
from tests.support.scripted_server import Asked, Said, saying
from tests.support.stubbed_s3 import connect, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BODY = jpeg(13, size=32)
TAG = {"ETag": '"abc"'}
PAGE = b"\n<!DOCTYPE html><html><title>Sign in</title></html>"
IMAGE = listed(size_bytes=len(BODY))
ENCODED = {"Content-Encoding": "gzip"}
CHUNKED: dict[str, str | None] = {"Content-Length": None, "Transfer-Encoding": "chunked"}


def in_chunks(body: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:100], body[100:])) + b"0\r\n\r\n"


def read(answer: Callable[[Asked], Said], size_bytes: int = len(BODY)) -> bytes:
    with saying(answer) as url:
        store = ImageStore(connect(url, s3={"addressing_style": "path"}), name="aws_photos", max_bytes=50_000)
        return store.read(listed(size_bytes=size_bytes)).body


def error_of(answer: Callable[[Asked], Said], size_bytes: int = len(BODY)) -> DescribeError:
    with pytest.raises(DescribeError) as caught:
        read(answer, size_bytes)
    return caught.value


@pytest.mark.parametrize(
    "said",
    [
        Said(BODY, headers=TAG),
        Said(BODY, headers={"ETag": 'W/"abc"'}),
        Said(BODY, headers={}),
        Said(BODY, 206, TAG | {"Content-Range": f"bytes 0-{len(BODY) - 1}/{len(BODY)}"}),
        Said(BODY, headers=TAG | {"Content-Length": None, "Connection": "close"}, cut_at=len(BODY)),
        Said(in_chunks(BODY), headers=TAG | CHUNKED),
        Said(gzip.compress(BODY), headers=TAG | ENCODED),
        Said(in_chunks(gzip.compress(BODY)), headers=TAG | CHUNKED | ENCODED),
        Said(BODY, headers=TAG | ENCODED),
        Said(BODY, headers=TAG | {"Content-Encoding": "aws-chunked"}),
        Said(BODY, headers=TAG | {"Content-Type": "text/html", "Expires": "-1"}),
    ],
    ids=["plain", "weak", "no tag", "206", "no length", "chunked", "packed", "both", "said", "aws-chunked", "type"],
)
def test_the_image_is_read_whatever_the_way_that_it_comes(said: Said) -> None:
    assert read(lambda _: said) == BODY


def test_an_object_that_is_stored_packed_is_unpacked() -> None:
    packed = gzip.compress(BODY)
    assert read(lambda _: Said(packed, headers=TAG | ENCODED), len(packed)) == BODY
    # Google's store unpacks by itself, and lists what it keeps.
    assert read(lambda _: Said(BODY, headers=TAG), len(BODY) // 2) == BODY


def test_what_is_packed_may_not_be_larger_than_what_is_read() -> None:
    packed = gzip.compress(b"x" * 50_001)
    error = error_of(lambda _: Said(packed, headers=TAG | ENCODED), len(packed))
    assert isinstance(error, ImageRejectedError)
    assert error.reason == "too_large"


@pytest.mark.parametrize(
    "said",
    [
        Said(BODY, headers=TAG | {"Content-Length": None, "Connection": "close"}, cut_at=200),
        Said(BODY[:200], 206, TAG | {"Content-Range": f"bytes 0-199/{len(BODY)}"}),
        Said(PAGE, headers={"Content-Type": "text/html"}),
        Said(b"<?xml version='1.0'?><Error><Code>InternalError</Code></Error>"),
    ],
    ids=["cut", "part", "page", "error"],
)
def test_what_is_not_the_object_is_asked_for_again_and_is_no_verdict_on_the_image(said: Said) -> None:
    assert read(lambda asked: Said(BODY, headers=TAG) if asked.before else said) == BODY
    error = error_of(lambda _: said)
    assert isinstance(error, ObjectUnavailableError)
    assert error.retry_helps
    assert "fewer bytes" in str(error)


@pytest.mark.parametrize("tag", ["def", "abc-2", "ABC"])
def test_another_version_is_not_taken_where_the_server_passes_over_the_condition(tag: str) -> None:
    error = error_of(lambda _: Said(BODY, headers={"ETag": f'"{tag}"'}))
    assert isinstance(error, ImageRejectedError)
    assert error.reason == "replaced"


def test_a_tag_that_something_on_the_way_has_changed_is_no_other_version() -> None:
    head = TAG | {"Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
    changed = {"ETag": '"abc;deflated"'}
    assert read(lambda asked: Said(BODY, headers=head if asked.method == "HEAD" else changed)) == BODY


@pytest.mark.parametrize(
    "header",
    [
        {"Last-Modified": "yesterday"},
        {"Last-Modified": ""},
        {"x-amz-missing-meta": "a"},
        {"x-amz-mp-parts-count": ""},
        {"Content-Length": "2, 2"},
    ],
)
def test_a_header_that_is_none_is_a_verdict_on_this_object_alone(header: Mapping[str, str]) -> None:
    error = error_of(lambda _: Said(BODY, headers=TAG | dict(header)))
    assert isinstance(error, ObjectDeniedError)
    assert "header" in str(error)
    assert error.image_uri == IMAGE.uri


@pytest.mark.parametrize("header", [{"Last-Modified": "yesterday"}, {"Last-Modified": None}, {"ETag": None}])
def test_a_look_up_whose_answer_says_too_little_is_a_verdict_on_this_object_alone(
    header: Mapping[str, str | None],
) -> None:
    usual = TAG | {"Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
    with saying(lambda _: Said(BODY, headers=usual | dict(header))) as url:
        store = ImageStore(connect(url, s3={"addressing_style": "path"}), name="aws_photos")
        with pytest.raises(ObjectDeniedError, match="aws_photos"):
            store.look_up("photos", "a.jpg")


@pytest.mark.parametrize("status", [304, 402, 418, 451])
def test_what_is_no_denial_does_not_send_to_grants(status: int) -> None:
    error = error_of(lambda _: Said(b"", status))
    assert isinstance(error, ObjectDeniedError)
    assert "Grant" not in str(error)
    assert str(status) in str(error)


@pytest.mark.parametrize("status", [301, 302, 307])
def test_a_redirect_is_no_verdict_on_the_image(status: int) -> None:
    error = error_of(lambda _: Said(b"", status, {"Location": "https://photos.example.com/login"}))
    assert type(error) is StorageError
    assert "https://photos.example.com" in str(error)


def test_an_address_that_knows_nothing_is_no_missing_image() -> None:
    everything = error_of(lambda _: Said(b"<html>404 Not Found</html>", 404))
    assert type(everything) is StorageError
    assert "endpoint_url" in str(everything)
    this_one = error_of(lambda asked: Said(b"", 404 if asked.path.endswith(".jpg") else 200))
    assert isinstance(this_one, ImageRejectedError)
    assert this_one.reason == "missing"


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("start", [0, 7, len(BODY) - 3])
def test_a_part_is_the_part_that_was_asked_for_where_the_server_knows_no_ranges(ranges: bool, start: int) -> None:
    part = Said(BODY[start : start + 5], 206, TAG | {"Content-Range": f"bytes {start}-{start + 4}/{len(BODY)}"})
    with saying(lambda _: part if ranges else Said(BODY, headers=TAG)) as url:
        store = ImageStore(connect(url, s3={"addressing_style": "path"}), name="aws_photos")
        assert store.read_part(IMAGE, start, 5) == BODY[start : start + 5]
