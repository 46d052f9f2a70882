"""One thread calls all that is due, for as many blocks as there are, and in a forked process, too."""

from __future__ import annotations

import multiprocessing
import threading
import time
from typing import TYPE_CHECKING

import pytest

from airflow_midjourney.describe.model.errors import ObjectUnavailableError
from airflow_midjourney.describe.storage import reading_time
from airflow_midjourney.describe.storage.alarms import Alarms
from airflow_midjourney.describe.storage.objects import ImageStore
from tests.support.listing_server import ListingServer, running
from tests.support.stubbed_s3 import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Seconds that no machine is too busy for.
PATIENCE = 60.0


@pytest.fixture
def alarms() -> Alarms:
    return Alarms()


def test_what_is_due_is_called_once(alarms: Alarms) -> None:
    rung = threading.Event()
    times: list[int] = []

    def ring() -> None:
        times.append(1)
        rung.set()

    with alarms.at(time.monotonic(), ring):
        assert rung.wait(PATIENCE)
        again = threading.Event()
        with alarms.at(time.monotonic(), again.set):
            assert again.wait(PATIENCE)

    assert times == [1]


def test_a_moment_that_is_set_later_and_comes_earlier_is_not_missed(alarms: Alarms) -> None:
    rung = threading.Event()

    with alarms.at(time.monotonic() + 3600, lambda: None), alarms.at(time.monotonic() + 0.1, rung.set):
        assert rung.wait(PATIENCE)


def test_after_its_block_nothing_is_called(alarms: Alarms) -> None:
    called: list[str] = []
    rung = threading.Event()
    with alarms.at(time.monotonic() + 0.05, lambda: called.append("over")):
        pass

    with alarms.at(time.monotonic() + 0.1, rung.set):
        assert rung.wait(PATIENCE)

    assert called == []


def test_many_blocks_share_one_thread(alarms: Alarms) -> None:
    with alarms.at(time.monotonic() + 3600, lambda: None):
        before = threading.active_count()
        for _ in range(50):
            with alarms.at(time.monotonic() + 3600, lambda: None):
                assert threading.active_count() <= before


@pytest.fixture
def server() -> Iterator[ListingServer]:
    with running(ListingServer(["in/a.jpg"], drips={"in/a.jpg": 0.05})) as server:
        yield server


def _read_too_slowly(url: str) -> None:
    store = ImageStore(connect(url, s3={"addressing_style": "path"}), name="aws_photos")
    with pytest.raises(ObjectUnavailableError, match="too slowly"):
        store.read(store.look_up("photos", "in/a.jpg"))


def test_a_forked_process_breaks_off_its_own_reads(server: ListingServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_time, "SHORTEST_READ", 0.3)
    _read_too_slowly(server.url)

    child = multiprocessing.get_context("fork").Process(target=_read_too_slowly, args=(server.url,), daemon=True)
    child.start()
    child.join(PATIENCE)

    assert child.exitcode == 0
