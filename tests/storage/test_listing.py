"""Listings that do not keep the rules: walked to their end, or one clear error, and never half of the images."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_midjourney.describe.model.batch import Position
from airflow_midjourney.describe.model.errors import StorageError, StorageUnavailableError
from airflow_midjourney.describe.storage import listing as listing_module
from airflow_midjourney.describe.storage.answer_roots import root_of
from airflow_midjourney.describe.storage.listed_images import Page
from airflow_midjourney.describe.storage.listing import PrefixListing, UnorderedListingError
from airflow_midjourney.describe.storage.objects import ImageStore
from tests.support.listing_server import ListingServer, running
from tests.support.stubbed_s3 import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

CASES = Path(__file__).parents[1] / "fixtures" / "cases"
TEN = [f"in/{number:04}.jpg" for number in range(10)]
UNORDERED: list[str] = json.loads((CASES / "lst01_unordered_listing.json").read_text())[
    "keys_in_the_order_of_the_server"
]
#: Each page ascends; only their borders do not.
AT_BORDERS = [*TEN[:3], TEN[9], *TEN[3:7], *TEN[7:9]]
#: As Java sorts: by UTF-16, where what lies beyond the BMP comes before U+E000 and later.
UTF_16 = ["in/a.jpg", "in/\U0001f3d4.jpg", "in/\U0001f3d5.jpg", "in/\ue000.jpg", "in/\uffee.jpg"]
CASELESS = ["in/a.jpg", "in/B.jpg", "in/c.jpg", "in/D.jpg", "in/e.jpg", "in/F.jpg"]


@contextmanager
def store_of(server: ListingServer) -> Iterator[ImageStore]:
    with running(server):
        yield ImageStore(connect(server.url, s3={"addressing_style": "path"}), name="aws_photos")


def list_all(store: ImageStore, *, anew_each_page: bool = False, prefix: str = "in/") -> list[str]:
    """List as the engine does: by keys first, and as a walk where that does not do."""
    found: list[str] = []
    position: Position | None = Position()
    listing = PrefixListing(store, "photos", prefix, 0, None)
    while position is not None:
        if anew_each_page and position.pages is None:
            listing = PrefixListing(store, "photos", prefix, 0, None)
        try:
            page = listing.read(position)
        except UnorderedListingError:
            found, position = [], Position.walked(0)
            continue
        found += [image.key for image in page.images] if page.is_counted else []
        position = page.then
    return found


@pytest.mark.parametrize("anew", [False, True], ids=["one process", "a process a page"])
@pytest.mark.parametrize("keys", [TEN, UNORDERED, AT_BORDERS, UTF_16, CASELESS, TEN[::-1]])
@pytest.mark.parametrize("page_size", [1, 3, 4, 100])
def test_all_images_are_found_once_whatever_the_order_of_the_server(
    keys: list[str], page_size: int, anew: bool
) -> None:
    start_after: Literal["behind", "greater"]
    # What is greater to a server that sorts in another way is what comes later there.
    start_after = "behind" if keys in (UTF_16, CASELESS) else "greater"
    with store_of(ListingServer(keys, page_size, start_after)) as store:
        assert sorted(list_all(store, anew_each_page=anew)) == sorted(keys)


@pytest.mark.parametrize(
    "server",
    [
        ListingServer(TEN, start_after="ignored"),
        ListingServer(TEN, start_after="refused"),
        ListingServer(TEN, continuation="none"),
        ListingServer(TEN, continuation="refused"),
        ListingServer(TEN, start_after="inclusive", continuation="inclusive"),
        ListingServer(TEN, start_after="inclusive", continuation="none"),
        ListingServer(UNORDERED, start_after="ignored", continuation="inclusive"),
        ListingServer(TEN, truncated="never_said"),
        ListingServer(TEN, truncated="never_said", continuation="none"),
        ListingServer(TEN, truncated="empty_between"),
        ListingServer(UNORDERED, truncated="empty_between"),
        ListingServer(TEN, encoded=False),
        ListingServer(TEN, key_count=0),
        ListingServer([*TEN, "in/z/"]),
    ],
    ids=lambda server: f"{server.start_after}-{server.continuation}-{server.truncated}",
)
def test_images_are_found_once_where_one_way_works(server: ListingServer) -> None:
    with store_of(server) as store:
        assert sorted(list_all(store)) == TEN


@pytest.mark.parametrize(
    "server",
    [
        ListingServer(TEN, start_after="ignored", continuation="none", truncated="always"),
        ListingServer(TEN, start_after="ignored", continuation="ignored", truncated="always"),
        ListingServer(TEN, start_after="ignored", continuation="constant", truncated="always"),
        ListingServer(TEN, start_after="refused", continuation="refused", truncated="always"),
        ListingServer(UNORDERED, start_after="greater", continuation="none"),
        ListingServer(UNORDERED, start_after="greater", continuation="ignored"),
        ListingServer(UNORDERED, start_after="greater", continuation="constant"),
        ListingServer(TEN, truncated="empty"),
        ListingServer(TEN, truncated="empty", continuation="none"),
        ListingServer(TEN, truncated="empty", continuation="constant"),
        ListingServer(TEN, start_after="ignored", continuation="none", truncated="never_said"),
    ],
    ids=lambda server: f"{server.start_after}-{server.continuation}-{server.truncated}",
)
def test_where_no_way_works_one_error_names_server_and_cure(
    server: ListingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing_module, "MOST_EMPTY_PAGES", 5)
    with store_of(server) as store, pytest.raises(StorageError, match="aws_photos") as caught:
        list_all(store)
    assert not isinstance(caught.value, StorageUnavailableError)
    assert len(server.lists) < 12
    assert server.url in str(caught.value) or caught.value.http_status == 400


def test_a_listing_in_order_takes_no_more_requests_than_it_has_pages() -> None:
    server = ListingServer(TEN)
    with store_of(server) as store:
        assert list_all(store) == TEN
    assert len(server.lists) == 3


def test_a_walk_taken_up_by_another_process_counts_nothing_twice_and_gives_all() -> None:
    server = ListingServer(UNORDERED, start_after="greater")
    with store_of(server) as store:
        first = PrefixListing(store, "photos", "in/", 0, None).read(Position.walked(0))
        assert first.then == Position.walked(0, 1)
        again = PrefixListing(store, "photos", "in/", 0, None)
        pages, position = [], first.then
        while position is not None:
            page = again.read(position)
            pages.append(page)
            position = page.then
    assert [page.is_counted for page in pages] == [False, True, True]
    assert sorted(image.key for page in pages for image in page.images) == TEN


def test_a_walk_whose_token_has_expired_begins_anew_once() -> None:
    server = ListingServer(UNORDERED, start_after="greater")
    with store_of(server) as store:
        listing = PrefixListing(store, "photos", "in/", 0, None)
        first = listing.read(Position.walked(0))
        server.continuation = "refused"
        assert first.then is not None
        passed_again = listing.read(first.then)
        assert not passed_again.is_counted
        assert passed_again.images == first.images
        with pytest.raises(StorageError):
            listing.read(first.then)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((CASES / "lst04_another_answer.xml").read_bytes(), "ListAllMyBucketsResult"),
        (b"<html><body>Sign in</body></html>", "html"),
        (b"<!doctype html><html><p>Sign in<br></html>", "no XML"),
        (b'{"keys": []}', "no XML"),
        (b"", "no XML"),
        (b"<ListVersionsResult><IsTruncated>false</IsTruncated></ListVersionsResult>", "ListVersionsResult"),
        (b"\xef\xbb\xbf<?xml version='1.0'?><!-- x --><ListPartsResult/>", "ListPartsResult"),
        (b"<s:Envelope xmlns:s='soap'><s:Body/></s:Envelope>", "Envelope"),
    ],
)
def test_another_answer_is_an_error_that_names_connection_and_endpoint_url(answer: bytes, said: str) -> None:
    with store_of(ListingServer([], answer=answer)) as store, pytest.raises(StorageError, match=said) as caught:
        list_all(store)
    assert "aws_photos" in str(caught.value)
    assert "endpoint_url" in str(caught.value)
    assert "Sign in" not in str(caught.value)


@pytest.mark.parametrize("code", ["AccessDenied", "NoSuchBucket", "InternalError"])
def test_an_error_with_status_200_is_an_error(code: str) -> None:
    answer = f"<?xml version='1.0'?><Error><Code>{code}</Code></Error>".encode()
    with store_of(ListingServer([], answer=answer)) as store, pytest.raises(StorageError, match="aws_photos"):
        list_all(store)


def test_a_listing_that_was_cut_off_is_tried_again() -> None:
    server = ListingServer([], answer=b"<ListBucketResult><Contents><Key>in/0")
    with store_of(server) as store, pytest.raises(StorageUnavailableError) as caught:
        list_all(store)
    assert caught.value.retry_helps


@pytest.mark.parametrize(
    ("root", "keys"), [("ListBucketResult", TEN), ("x:ListBucketResult xmlns:x='http://x'", [])], ids=["plain", "named"]
)
def test_listings_with_and_without_a_namespace_are_listings(root: str, keys: list[str]) -> None:
    assert root_of(f"<{root}/>".encode()) == "ListBucketResult"
    with store_of(ListingServer(keys)) as store:
        assert list_all(store) == keys


@pytest.mark.parametrize(
    ("server", "said"),
    [
        (ListingServer(["other/a.jpg"]), "outside the prefix"),
        (ListingServer(TEN, extra="<CommonPrefixes><Prefix>in/sub/</Prefix></CommonPrefixes>"), "groups keys"),
        (ListingServer(TEN, extra="<Contents><Key>in/x.jpg</Key></Contents>"), "without a key or a time"),
    ],
)
def test_answers_about_something_else_are_refused(server: ListingServer, said: str) -> None:
    server_lists = server.list
    if said == "outside the prefix":
        server.list = lambda asked: server_lists(asked | {"prefix": ""})  # type: ignore[method-assign]
    with store_of(server) as store, pytest.raises(StorageError, match=said):
        list_all(store)


class FakeStore:
    """Pages straight from a list: hypothesis has no patience for sockets."""

    server = "the S3 server"

    def __init__(self, keys: list[str], page_size: int, tokens: bool) -> None:
        self._keys, self._size, self._tokens = keys, page_size, tokens

    def list_page(self, bucket: str, prefix: str, *, after: str, continuation: str, suffixes: Any) -> Page:
        keys, start = self._keys, int(continuation or 0)
        if after and not continuation:
            keys = [key for key in keys if key > after]
        page, end = keys[start : start + self._size], start + self._size
        images = tuple(_image(key) for key in page)
        return Page(images, tuple(page), end >= len(keys), str(end) if self._tokens and end < len(keys) else "")


def _image(key: str) -> Any:
    from tests.support.stubbed_s3 import listed

    return listed(key=key)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=3), unique=True, max_size=12), st.integers(1, 5), st.booleans())
def test_any_order_gives_all_keys_once_or_an_error(keys: list[str], page_size: int, tokens: bool) -> None:
    store: Any = FakeStore(keys, page_size, tokens)
    try:
        found = list_all(store)
    except StorageError:
        assert not tokens
        assert keys != sorted(keys)
        return
    if tokens or keys == sorted(keys):
        assert sorted(found) == sorted(keys)
