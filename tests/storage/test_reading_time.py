"""An answer that drips is broken off when its time is over: headers, listings and bodies."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from airflow_midjourney.describe.model.errors import ObjectUnavailableError, StorageError, StorageUnavailableError
from airflow_midjourney.describe.storage import reading_time
from airflow_midjourney.describe.storage.errors import Place
from airflow_midjourney.describe.storage.objects import ImageStore
from airflow_midjourney.describe.storage.reading_time import ReadingTime
from airflow_midjourney.describe.table.leases import LEASE
from tests.support.listing_server import ListingServer, running
from tests.support.stubbed_s3 import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_midjourney.describe.storage.listed_images import ListedImage

#: A byte in so many seconds: each comes long before a read timeout, and all of them after half a minute.
DRIP = 0.05


@pytest.fixture
def server() -> Iterator[ListingServer]:
    with running(ListingServer(["in/a.jpg"], drips={"in/a.jpg": DRIP})) as server:
        yield server


@pytest.fixture
def store(server: ListingServer) -> ImageStore:
    return ImageStore(connect(server.url, s3={"addressing_style": "path"}), name="aws_photos")


@pytest.mark.parametrize(
    "read",
    [
        lambda store, image: store.read(image),
        lambda store, image: store.read_part(image, 0, image.size_bytes),
    ],
    ids=["whole", "part"],
)
def test_a_body_that_drips_is_broken_off(
    read: Callable[[ImageStore, ListedImage], object],
    store: ImageStore,
    server: ListingServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reading_time, "SHORTEST_READ", 0.5)
    image = store.look_up("photos", "in/a.jpg")

    with pytest.raises(ObjectUnavailableError, match=r"sends 's3://photos/in/a.jpg' too slowly") as caught:
        read(store, image)

    assert caught.value.retry_helps
    assert caught.value.image_uri == "s3://photos/in/a.jpg"
    # All attempts share the time.
    assert server.read == ["in/a.jpg"]


@pytest.mark.parametrize(
    ("ask", "key", "what"),
    [
        (lambda store, image: store.read(image), "in/a.jpg", "s3://photos/in/a.jpg"),
        (lambda store, image: store.read_part(image, 0, 9), "in/a.jpg", "s3://photos/in/a.jpg"),
        (lambda store, image: store.look_up("photos", image.key), "in/a.jpg", "s3://photos/in/a.jpg"),
        (lambda store, _: store.list_page("photos", "in/", suffixes=None), "", "s3://photos"),
    ],
    ids=["read", "read part", "look up", "list"],
)
@pytest.mark.parametrize("attempts", [1, 5])
def test_headers_that_drip_are_broken_off(
    ask: Callable[[ImageStore, ListedImage], object],
    key: str,
    what: str,
    attempts: int,
    server: ListingServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    retries = {"mode": "standard", "max_attempts": attempts}
    store = ImageStore(connect(server.url, s3={"addressing_style": "path"}, retries=retries), name="aws_photos")
    image = store.look_up("photos", "in/a.jpg")
    server.slow_heads[key] = DRIP
    monkeypatch.setattr(reading_time, "LONGEST_READ", 0.5)

    with pytest.raises(StorageError, match=rf"sends '{what}' too slowly") as caught:
        ask(store, image)

    assert isinstance(caught.value, StorageUnavailableError | ObjectUnavailableError)
    assert isinstance(caught.value, ObjectUnavailableError) is bool(key)
    assert caught.value.retry_helps
    assert len(server.read) + len(server.lists) <= 1


def test_a_listing_that_drips_is_broken_off_and_the_next_is_read(
    store: ImageStore, server: ListingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.drips[""] = DRIP
    with monkeypatch.context() as short:
        short.setattr(reading_time, "LONGEST_READ", 0.5)
        with pytest.raises(StorageUnavailableError, match=r"sends 's3://photos' too slowly"):
            store.list_page("photos", "in/", suffixes=None)
    server.drips.clear()

    assert store.list_page("photos", "in/", suffixes=None).keys == ("in/a.jpg",)


def test_other_threads_go_on_while_one_waits_for_a_drip(
    store: ImageStore, server: ListingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.keys.append("in/b.jpg")
    slow, quick = (store.look_up("photos", key) for key in server.keys)
    with ThreadPoolExecutor(1) as other:
        with monkeypatch.context() as short:
            short.setattr(reading_time, "SHORTEST_READ", 1.0)
            waiting = other.submit(store.read, slow)
            deadline = time.monotonic() + 60
            while "in/a.jpg" not in server.read:
                assert time.monotonic() < deadline
                time.sleep(0.01)
        while not waiting.done():
            assert store.read(quick).body == server.body_of("in/b.jpg")

    assert isinstance(waiting.exception(), ObjectUnavailableError)


@pytest.mark.parametrize("at", ["in/a.jpg", ""], ids=["object", "listing"])
def test_a_time_that_is_over_before_the_answer_is_waited_for_ends_it(
    at: str, server: ListingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = connect(server.url, s3={"addressing_style": "path"})
    store = ImageStore(client, name="aws_photos")
    server.slow_heads[at] = DRIP
    monkeypatch.setattr(reading_time, "LONGEST_READ", 0.2)
    # As a server does that is slow to take a connection: the time ends between the last look at it and the answer.
    client.meta.events.register_last("before-send.s3", lambda **_: time.sleep(0.5))

    with pytest.raises(StorageUnavailableError, match="too slowly"):
        store.look_up("photos", at) if at else store.list_page("photos", "in/", suffixes=None)


def test_a_body_that_takes_its_time_is_read(store: ImageStore, server: ListingServer) -> None:
    server.drips["in/a.jpg"] = 0.001
    image = store.look_up("photos", "in/a.jpg")

    assert store.read(image).body == server.body_of("in/a.jpg")


@pytest.mark.parametrize(
    ("size_bytes", "seconds"), [(0, 90.0), (1_000_000, 100.0), (15_000_000, 240.0), (100_000_000, 240.0)]
)
def test_the_larger_the_longer_but_never_longer_than_a_lease(size_bytes: int, seconds: float) -> None:
    assert ReadingTime(Place("aws", "photos", "a.jpg"), size_bytes).seconds == seconds
    assert seconds < LEASE


def test_who_reads_a_large_body_is_told_while_it_is_read(
    store: ImageStore, server: ListingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    del server.drips["in/a.jpg"]
    image = store.look_up("photos", "in/a.jpg")
    told: list[str] = []
    store.read(image, lambda: told.append("small"))
    monkeypatch.setattr("airflow_midjourney.describe.storage.objects._LARGE_BYTES", 100)
    store.read(image, lambda: told.append("large"))

    assert told == ["large"]
