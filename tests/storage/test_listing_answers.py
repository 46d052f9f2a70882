"""Listings as servers really write them, over HTTP: all of the images, or one error; never half of them in silence."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.describe.model.errors import StorageDeniedError, StorageError, StorageUnavailableError
from airflow_midjourney.describe.storage.objects import ImageStore
from airflow_midjourney.describe.storage.timestamps import read_time
from tests.storage.test_listing import list_all
from tests.support.scripted_server import Asked, Said, saying
from tests.support.stubbed_s3 import connect

if TYPE_CHECKING:
    from collections.abc import Callable

A, B, C = "in/a.jpg", "in/b.jpg", "in/c.jpg"
DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'


def entry(key: str, **changes: str | None) -> str:
    """Write one object of a listing; None takes an element out."""
    facts: dict[str, str | None] = {
        "Key": key,
        "LastModified": "2026-01-01T00:00:00.000Z",
        "ETag": "&quot;abc&quot;",
        "Size": "10",
    } | changes
    inside = "".join(f"<{name}>{value}</{name}>" for name, value in facts.items() if value is not None)
    return f"<Contents>{inside}</Contents>"


def page(*parts: str, truncated: str | None = "false", encoding: str = "url", token: str = "") -> bytes:
    """Write a page of a listing."""
    heads = [f"<EncodingType>{encoding}</EncodingType>" if encoding else ""]
    heads += [f"<IsTruncated>{truncated}</IsTruncated>" if truncated is not None else ""]
    heads += [f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""]
    return f"{DECLARATION}<ListBucketResult>{''.join([*heads, *parts])}</ListBucketResult>".encode()


def listing_of(answer: Callable[[Asked], Said]) -> list[str]:
    with saying(answer) as url:
        return list_all(ImageStore(connect(url, s3={"addressing_style": "path"}), name="aws_photos"))


def error_of(answer: Callable[[Asked], Said]) -> StorageError:
    with pytest.raises(StorageError, match="aws_photos") as caught:
        listing_of(answer)
    return caught.value


def always(body: bytes, **more: Any) -> Callable[[Asked], Said]:
    return lambda _: Said(body, **more)


@pytest.mark.parametrize("truncated", ["True", "TRUE", " true ", "1", "yes"])
def test_a_page_that_says_in_another_way_that_there_is_more_is_not_the_last(truncated: str) -> None:
    pages = [page(entry(A), truncated=truncated), page(entry(B))]
    assert listing_of(lambda asked: Said(pages[min(asked.before, 1)])) == [A, B]


def test_a_page_whose_names_have_a_prefix_is_read_in_the_same_way() -> None:
    pages = [page(entry("in/a%20a.jpg"), truncated="True", encoding="URL"), page(entry(B))]
    prefixed = [one.replace(b"</", b"</s:").replace(b"<", b"<s:").replace(b"<s:/s:", b"</s:") for one in pages]
    prefixed = [one.replace(b"<s:?", b"<?").replace(b"Result>", b"Result xmlns:s='http://x'>", 1) for one in prefixed]
    assert listing_of(lambda asked: Said(prefixed[min(asked.before, 1)])) == ["in/a a.jpg", B]


@pytest.mark.parametrize("truncated", ["false", None, "", "no"])
def test_a_token_to_go_on_with_is_gone_on_with_whatever_the_page_says(truncated: str | None) -> None:
    pages = {"": page(entry(A), truncated=truncated, token="n/+=&amp;"), "n/+=&": page(entry(B))}
    assert listing_of(lambda asked: Said(pages[asked.query.get("continuation-token", "")])) == [A, B]


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("in/a%2Bb.jpg", "in/a+b.jpg"),
        ("in/a+b.jpg", "in/a b.jpg"),
        ("in/c%2520d.jpg", "in/c%20d.jpg"),
        ("in/%01%0A.jpg", "in/\x01\n.jpg"),
        ("in/%F0%9F%8F%94.jpg", "in/\U0001f3d4.jpg"),
        ("in/e%CC%81.jpg", "in/e\u0301.jpg"),
    ],
)
@pytest.mark.parametrize("encoding", ["url", "URL", "\nurl\n"])
def test_encoded_keys_are_decoded_however_the_server_says_that_they_are(written: str, key: str, encoding: str) -> None:
    assert listing_of(always(page(entry(written), encoding=encoding))) == [key]


@pytest.mark.parametrize("written", ["in/a%20b.jpg", "in/a+b.jpg", "in/100%.jpg"])
def test_keys_of_a_server_that_does_not_encode_are_as_they_stand(written: str) -> None:
    assert listing_of(always(page(entry(written), encoding=""))) == [written]


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(page(entry(A))),
        b"\r\n" + page(entry(A)),
        b"      " + page(entry(A)),
        b"\xef\xbb\xbf" + page(entry(A)),
        page(entry(A)).replace(DECLARATION.encode(), f"{DECLARATION}<!--{'x' * 5000}-->".encode()),
        page(entry(A), "<CommonPrefixes></CommonPrefixes>"),
        page(entry(A), "<CommonPrefixes/><CommonPrefixes><Prefix/></CommonPrefixes>"),
        page(entry("in/", Size="0"), entry(A), entry("in/b/", Size=None)),
        page(entry(A, ETag="W/&quot;abc&quot;", StorageClass="COLDLINE", Size="9223372036854775807")),
        page(entry(A, ETag="abc", StorageClass="", LastModified="Thu, 01 Jan 2026 00:00:00 GMT")),
    ],
    ids=["gzip", "line break", "spaces", "BOM", "comment", "no group", "empty groups", "folders", "odd", "old"],
)
def test_what_is_around_the_keys_does_not_matter(body: bytes) -> None:
    assert listing_of(always(body)) == [A]


def test_a_page_packed_over_http_is_unpacked() -> None:
    packed = Said(gzip.compress(page(entry(A), entry(B))), headers={"Content-Encoding": "gzip"})
    assert listing_of(lambda _: packed) == [A, B]


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        (entry(B, ETag=None), "in/b.jpg"),
        (entry(B, ETag="&quot;&quot;"), "in/b.jpg"),
        (entry(B, Size=None), "in/b.jpg"),
        (entry(B, Size="-1"), "in/b.jpg"),
        (entry(B, Size=str(2**63)), "in/b.jpg"),
        (entry(B, Size=""), "size"),
        (entry(B, Size="10 B"), "10 B"),
        (entry(B, LastModified="yesterday"), "yesterday"),
        (entry(B, LastModified="2026-13-01T00:00:00Z"), "2026-13-01"),
        (entry(B, LastModified="0001-01-01T00:00:00+08:00"), "time"),
        (entry(B, LastModified=None), "time"),
        ("<Contents><Size>1</Size></Contents>", "Key"),
    ],
)
def test_an_entry_that_cannot_be_is_one_error_that_quotes_it(odd: str, said: str) -> None:
    error = error_of(always(page(entry(A), odd)))
    assert said in str(error)
    assert not error.retry_helps


def test_milliseconds_are_no_time_of_a_listing() -> None:
    assert read_time("1767225600").year == 2026
    with pytest.raises(ValueError, match="1767225600000"):
        read_time("1767225600000")


@pytest.mark.parametrize("inside", ["in/\x01.jpg", "in/&#x1;.jpg", "in/a&b.jpg"])
def test_a_whole_listing_that_is_no_xml_is_an_error_that_does_not_pass(inside: str) -> None:
    error = error_of(always(page(entry(inside), encoding="")))
    assert "control character" in str(error)
    assert "line 1, column" in str(error)
    assert not error.retry_helps


@pytest.mark.parametrize("headers", [{}, {"Content-Length": None}, {"Content-Length": "160"}])
def test_a_listing_that_ends_in_the_middle_may_be_whole_the_next_time(headers: dict[str, str | None]) -> None:
    error = error_of(always(page(entry(A), entry(B)), headers=headers, cut_at=160))
    assert isinstance(error, StorageUnavailableError)
    assert error.retry_helps


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("location", ["https://minio.example.com/photos?X-Amz-Signature=s", "/login", ""])
def test_a_redirect_to_no_region_names_where_it_leads_and_is_asked_once(status: int, location: str) -> None:
    asked: list[Asked] = []

    def redirect(request: Asked) -> Said:
        asked.append(request)
        return Said(b"<html>moved</html>", status, {"Location": location or None})

    error = error_of(redirect)
    assert "endpoint_url" in str(error)
    assert ("https://minio.example.com" in str(error)) == location.startswith("https")
    assert "Signature" not in str(error)
    assert error.http_status == status
    assert len(asked) == 1


def test_a_redirect_of_s3_without_a_region_is_one_error() -> None:
    moved = b"<Error><Code>PermanentRedirect</Code><Endpoint>photos.s3.example.com</Endpoint></Error>"
    assert "region_name" in str(error_of(always(moved, status=301)))


def test_a_redirect_to_another_region_is_followed() -> None:
    def answer(asked: Asked) -> Said:
        if not asked.before:
            moved = b"<Error><Code>PermanentRedirect</Code></Error>"
            return Said(moved, 301, {"x-amz-bucket-region": "eu-central-1"})
        return Said(page(entry(A)))

    assert listing_of(answer) == [A]


def test_a_denial_with_a_status_of_success_is_a_denial() -> None:
    error = error_of(always(b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"))
    assert isinstance(error, StorageDeniedError)
    assert "s3:ListBucket" in str(error)


@pytest.mark.parametrize("status", [400, 403, 405, 418, 451])
def test_a_refusal_that_bears_no_code_of_s3_sends_to_the_address_and_not_to_grants(status: int) -> None:
    error = error_of(
        always(b"<html><title>The plain HTTP request was sent to HTTPS port</title></html>", status=status)
    )
    assert "endpoint_url" in str(error)
    assert "Grant" not in str(error)
