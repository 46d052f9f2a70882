"""The receiver as Airflow's API server serves it, over real HTTP: one answer for everybody, whatever is sent."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from airflow_midjourney.describe.service.callback_url import digest_of, new_callback
from airflow_midjourney.describe.table import claims, leases
from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.describe.table.migrations import ensure_tables
from airflow_midjourney.describe.table.submissions import PostFacts
from airflow_midjourney.hooks.midjourney import MidjourneyHook
from airflow_midjourney.web import callbacks as callbacks_module
from airflow_midjourney.web.callbacks import MOST_WAITING, Doorbell, make_receiver
from tests.support import airflow_connections as connections
from tests.support import rows
from tests.support.airflow_runs import run_dag, submit_and_wait
from tests.support.airflow_server import make_app
from tests.support.receiving import PREFIX, running_app, running_receiver

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from contextlib import AbstractContextManager

    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace
    from tests.support.receiving import RunningReceiver

VALUE = "v" * 32
MEGABYTE = 1024 * 1024


class Notes:
    """What was written, by which update."""

    def __init__(self, delay: float = 0.0) -> None:
        self.updates: list[set[str]] = []
        self.at_once = self.most_at_once = 0
        self._delay = delay

    async def write(self, digests: Collection[str]) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(self._delay)
        self.updates.append(set(digests))
        self.at_once -= 1

    @property
    def written(self) -> set[str]:
        return set().union(*self.updates)

    def eventually_written(self, *digests: str) -> None:
        wait_until(lambda: set(digests) <= self.written)


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, "It never came."
        time.sleep(0.02)


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def receiver(notes: Notes) -> Iterator[RunningReceiver]:
    with running_receiver(make_receiver(Doorbell(notes.write))) as running:
        yield running


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, verify=False, timeout=60) as one:
        yield one


def assert_nothing_is_said(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.content) == (204, b"")
    assert set(answer.headers) <= {"date", "server", "connection"}


def test_a_callback_is_written_down(receiver: RunningReceiver, notes: Notes, client: httpx.Client) -> None:
    assert_nothing_is_said(client.post(f"{receiver.url}/{VALUE}", json={"id": "1", "status": "SUCCESS"}))

    notes.eventually_written(digest_of(VALUE))


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_other_methods_get_the_same_answer_and_do_nothing(
    receiver: RunningReceiver, notes: Notes, client: httpx.Client, method: str
) -> None:
    assert_nothing_is_said(client.request(method, f"{receiver.url}/{VALUE}"))
    assert notes.updates == []


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/docs",
        "/openapi.json",
        "/short",
        f"/{VALUE}/",
        f"/{VALUE}/more",
        "/" + "a" * 5000,
        "/%00%ff'%3B%20DROP%20TABLE--" + "a" * 8,
        "/..%2f..%2fapi%2fv2%2fdags",
    ],
)
def test_other_paths_get_the_same_answer_and_do_nothing(
    receiver: RunningReceiver, notes: Notes, client: httpx.Client, path: str
) -> None:
    answer = client.post(receiver.url + path, content=b"x")
    if path:
        assert_nothing_is_said(answer)
    assert notes.updates == []


@pytest.mark.parametrize("length", ["content-length", "chunked"])
def test_ten_megabytes_are_not_kept(receiver: RunningReceiver, notes: Notes, client: httpx.Client, length: str) -> None:
    whole = b"x" * MEGABYTE * 10

    def send() -> None:
        body: Any = whole if length == "content-length" else iter([whole[:MEGABYTE]] * 10)
        assert_nothing_is_said(client.post(f"{receiver.url}/{VALUE}", content=body))

    for _ in range(3):
        send()
    before = psutil.Process().memory_info().rss
    for _ in range(20):
        send()

    notes.eventually_written(digest_of(VALUE))
    assert receiver.bytes_read == 0
    assert psutil.Process().memory_info().rss - before < 100 * MEGABYTE


def test_a_body_that_never_comes_holds_up_nobody(receiver: RunningReceiver, notes: Notes) -> None:
    host, port = urlsplit(receiver.url).hostname, urlsplit(receiver.url).port
    with socket.create_connection((host, port), timeout=60) as caller:
        caller.sendall(f"POST {PREFIX}/{VALUE} HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\nabc".encode())
        assert caller.recv(100).startswith(b"HTTP/1.1 204")

    notes.eventually_written(digest_of(VALUE))


def test_a_flood_costs_a_few_updates_and_bounded_memory(client: httpx.Client) -> None:
    notes = Notes(delay=0.05)
    rung = [digest_of(f"{number}") for number in range(20 * MOST_WAITING)]

    async def flood() -> tuple[int, float]:
        doorbell = Doorbell(notes.write)
        began, most = time.monotonic(), 0
        for number, digest in enumerate(rung):
            doorbell.ring(digest)
            if number % 100 == 0:
                most = max(most, len(doorbell._waiting))
                await asyncio.sleep(0)
        while doorbell._waiting:
            await asyncio.sleep(0.01)
        return most, time.monotonic() - began

    most, took = asyncio.run(flood())

    assert most <= MOST_WAITING
    assert notes.most_at_once == 1
    assert len(notes.updates) <= took / callbacks_module.PAUSE + 2
    assert max(map(len, notes.updates)) <= MOST_WAITING


def test_a_flood_over_http_is_answered_and_written_in_few_updates(receiver: RunningReceiver, notes: Notes) -> None:
    values = [new_callback() for _ in range(150)]

    async def flood() -> list[int]:
        async with httpx.AsyncClient(
            trust_env=False, verify=False, limits=httpx.Limits(max_connections=50), timeout=60
        ) as many:
            answers = await asyncio.gather(*(many.post(f"{receiver.url}/{value}", content=b"{}") for value in values))
        return [answer.status_code for answer in answers]

    began = time.monotonic()
    assert set(asyncio.run(flood())) == {204}
    notes.eventually_written(*map(digest_of, values))

    assert len(notes.updates) <= (time.monotonic() - began) / callbacks_module.PAUSE + 2


def test_a_database_that_is_away_is_not_the_callers_business(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(callbacks_module, "PAUSE_AFTER_FAILURE", 0.3)
    notes, tries = Notes(), iter(range(100))

    async def away_at_first(digests: Collection[str]) -> None:
        if next(tries) == 0:
            raise OSError("The database is away.")
        await notes.write(digests)

    with running_receiver(make_receiver(Doorbell(away_at_first))) as running:
        assert_nothing_is_said(client.post(f"{running.url}/{VALUE}"))
        wait_until(lambda: "polling goes on" in caplog.text)
        later = [new_callback() for _ in range(3)]
        for value in later:
            assert_nothing_is_said(client.post(f"{running.url}/{value}"))
        notes.eventually_written(*map(digest_of, later))

    assert len(notes.updates) == 1
    assert VALUE not in caplog.text


def test_switched_off_it_answers_and_does_nothing(client: httpx.Client) -> None:
    with running_receiver(make_receiver(None)) as running:
        assert_nothing_is_said(client.post(f"{running.url}/{VALUE}", content=b"x" * MEGABYTE))


@pytest.fixture
def table(sqlite_place: MetadataPlace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setenv("AIRFLOW_CONN_IMAGE_PROMPTS_DB", connections.metadata(sqlite_place))
    database = open_database(sqlite_place.url, sqlite_place.names)
    ensure_tables(database)
    yield database
    database.close()


@pytest.fixture
def reload_receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bool], None]]:
    """Have the plugin load the receiver anew, with callbacks switched on or off, as when the API server starts."""
    import sys

    def reload(on: bool) -> None:
        monkeypatch.setenv("AIRFLOW__MIDJOURNEY__CALLBACKS", str(on))
        sys.modules.pop("airflow_midjourney.web.callbacks", None)

    yield reload
    sys.modules["airflow_midjourney.web.callbacks"] = callbacks_module


def submitted_with_callback(table: Database) -> int:
    with table.writing() as tx:
        batch = rows.open_batch(tx)
        rows.list_images(tx, [rows.listed("a.jpg")])
        (row,) = leases.reserve(tx, batch, "holder", 1)
        wanted = claims.Claim(
            row,
            "holder",
            "s" * 32,
            batch,
            batch.origin,
            rows.content("a"),
            callback_digest=digest_of(VALUE),
        )
        rows.claim(tx, wanted)
        rows.accepted(tx, wanted.submit_token, "1", PostFacts(200, 1))
        return row.id


def called_at(table: Database, image_id: int) -> Any:
    with table.reading() as tx:
        return rows.image_row(tx, image_id)["called_at"]


def test_airflow_serves_it_without_a_login_and_the_pages_only_with_one(
    table: Database, reload_receiver: Callable[[bool], None], client: httpx.Client
) -> None:
    image_id = submitted_with_callback(table)
    reload_receiver(True)
    with running_api_server() as root:
        answer = client.post(f"{root}{PREFIX}/{VALUE}", content=b"x" * 10 * MEGABYTE)

        assert (answer.status_code, answer.content) == (204, b"")
        assert "set-cookie" not in answer.headers
        wait_until(lambda: called_at(table, image_id) is not None)
        assert client.post(f"{root}{PREFIX}/unknown").status_code == 204
        assert client.get(f"{root}{PREFIX}/batches?batch=a/b/c").status_code == 204
        assert client.get(f"{root}/midjourney/batches?batch=a/b/c").status_code == 401
        assert client.post(f"{root}/midjourney/{VALUE}").status_code in (401, 404, 405)


def test_airflow_serves_it_switched_off(
    table: Database, reload_receiver: Callable[[bool], None], client: httpx.Client
) -> None:
    image_id = submitted_with_callback(table)
    reload_receiver(False)
    with running_api_server() as root:
        assert client.post(f"{root}{PREFIX}/{VALUE}").status_code == 204
    time.sleep(0.5)

    assert called_at(table, image_id) is None


def running_api_server() -> AbstractContextManager[str]:
    return running_app(make_app())


@pytest.mark.parametrize("how", [{"deferrable": True}, {"poke_interval": 300.0}], ids=["deferred", "poke"])
def test_tasks_that_wait_are_woken_by_callbacks_long_before_they_would_look(
    how: dict[str, Any],
    bucket: str,
    simulator: RunningSimulator,
    sqlite_place: MetadataPlace,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
    deferrals: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    simulator.change(latency=3.0)
    with running_receiver(make_receiver(Doorbell(callbacks_module._mark))) as running:
        connect(simulator, sqlite_place, callback_url=running.url)
        monkeypatch.setenv("AIRFLOW__MIDJOURNEY__POLL_INTERVAL", "300")
        monkeypatch.setenv("AIRFLOW__MIDJOURNEY__CALLBACKS", "True")
        put_photos("in/", 2)
        began = time.monotonic()
        dag = submit_and_wait({"bucket": bucket, "prefix": "in/"}, how)

        run = run_dag(dag)

    assert run.state_of("wait") == "success"
    assert time.monotonic() - began < 300
    assert len(running.paths) >= 2
    requests = simulator.counters()["requests"]
    assert sum(number for route, number in requests.items() if route != "submit") < 12


@pytest.mark.parametrize(
    ("callbacks", "url", "asks"),
    [("True", "http://h/hook", True), ("False", "http://h/hook", False), ("True", "", False)],
)
def test_submissions_ask_for_callbacks_only_where_both_are_set(
    callbacks: str, url: str, asks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__MIDJOURNEY__CALLBACKS", callbacks)
    monkeypatch.setenv("AIRFLOW_CONN_MIDJOURNEY_DEFAULT", connections.midjourney("http://h/mj", callback_url=url))

    assert MidjourneyHook().account().callbacks is asks
    assert MidjourneyHook().service().notify_url == url


def test_an_address_that_nobody_can_call_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_midjourney.describe.model.errors import SettingsError

    monkeypatch.setenv("AIRFLOW__MIDJOURNEY__CALLBACKS", "True")
    monkeypatch.setenv("AIRFLOW_CONN_MIDJOURNEY_DEFAULT", connections.midjourney("http://h/mj", callback_url="nowhere"))

    with pytest.raises(SettingsError, match=r"midjourney_default.*callback_url"):
        MidjourneyHook().account()
    with pytest.raises(SettingsError, match=r"midjourney_default.*callback_url"):
        MidjourneyHook().service()
