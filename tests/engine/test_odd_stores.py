"""Whole batches over S3 servers that list, deny and tag objects in their own ways: one object is one row."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from airflow_midjourney.describe.engine import listing
from airflow_midjourney.describe.engine.refusals import denials
from airflow_midjourney.describe.engine.refusals.denials import DENIED_IN_A_ROW
from airflow_midjourney.describe.engine.verdict import Ending, Tolerance, judge
from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.model.errors import StorageDeniedError, StorageError, StorageUnavailableError
from airflow_midjourney.describe.storage import reading_time
from airflow_midjourney.describe.storage.objects import ImageStore
from tests.support.batches import options
from tests.support.engine import Engine
from tests.support.listing_server import ListingServer, running
from tests.support.stubbed_s3 import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.testing.simulator.serving import RunningSimulator

CASES = Path(__file__).parents[1] / "fixtures" / "cases"
SCOPE = Scope("photos", ("in/",))


def case(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((CASES / f"{name}.json").read_text())
    return loaded


@pytest.fixture
def simulator(simulate: Callable[..., RunningSimulator]) -> RunningSimulator:
    return simulate(latency=0.05, slots=100, queue=500)


@contextmanager
def engine_on(database: Database, service: RunningSimulator, server: ListingServer) -> Iterator[Engine]:
    with running(server):
        client = connect(server.url, s3={"addressing_style": "path"}, max_pool_connections=20)
        yield Engine(database, client, service.url, account={"max_in_flight": 50})


def rows_of(database: Database) -> dict[str, tuple[str, str | None, str | None]]:
    images = database.tables.images.c
    with database.reading() as tx:
        rows = tx.connection.execute(select(images.key, images.status, images.reason, images.detail)).all()
    return {row.key: (row.status, row.reason, row.detail) for row in rows}


@pytest.mark.parametrize("page_size", [1, 4])
def test_an_unordered_listing_gives_every_image_its_row(
    database: Database, simulator: RunningSimulator, page_size: int, caplog: pytest.LogCaptureFixture
) -> None:
    keys = case("lst01_unordered_listing")["keys_in_the_order_of_the_server"]
    with engine_on(database, simulator, ListingServer(keys, page_size, "greater")) as engine:
        batch, counts = engine.run(SCOPE)

    assert set(rows_of(database)) == set(keys)
    assert (counts.succeeded, counts.billed, batch.listed.keys, batch.listed.images) == (10, 10, 10, 10)
    assert "not in the order of keys" in caplog.text


def test_a_walk_that_dies_in_the_middle_is_begun_anew_and_misses_and_pays_nothing_twice(
    database: Database, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = case("lst01_unordered_listing")["keys_in_the_order_of_the_server"]
    list_page, asked = ImageStore.list_page, 0

    def dies_now_and_then(store: ImageStore, *place: Any, **how: Any) -> Any:
        nonlocal asked
        asked += 1
        if asked in (4, 8, 13):
            raise StorageUnavailableError("The network is away.", retry_helps=True)
        return list_page(store, *place, **how)

    monkeypatch.setattr(ImageStore, "list_page", dies_now_and_then)
    with engine_on(
        database, simulator, ListingServer([*keys, "b/a.jpg", "b/c.jpg", "b/b.jpg"], 2, "greater")
    ) as engine:
        scope = Scope("photos", ("in/", "b/"))
        for _ in range(3):
            with pytest.raises(StorageUnavailableError):
                engine.run(scope)
        batch, counts = engine.run(scope)

    assert (counts.succeeded, counts.billed) == (13, 13)
    assert (batch.listed.keys, batch.listed.images) == (13, 13)


@pytest.mark.parametrize("page_size", [1, 2])
@pytest.mark.parametrize("dies_at", [1, 3, 4, 5, 7])
def test_a_listing_that_is_taken_up_by_another_process_keeps_the_order_of_the_server(
    database: Database, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch, page_size: int, dies_at: int
) -> None:
    keys = [f"in/{name}.jpg" for name in ("b", "c", "d", "e", "f", "a", "g")]
    list_page, asked = ImageStore.list_page, 0

    def dies_once(store: ImageStore, *place: Any, **how: Any) -> Any:
        nonlocal asked
        asked += 1
        if asked == dies_at:
            raise StorageUnavailableError("The network is away.", retry_helps=True)
        return list_page(store, *place, **how)

    monkeypatch.setattr(ImageStore, "list_page", dies_once)
    with engine_on(database, simulator, ListingServer(keys, page_size, "greater")) as engine:
        try:
            engine.run(SCOPE)
        except StorageUnavailableError:
            engine.run(SCOPE)

    assert sorted(rows_of(database)) == sorted(keys)
    assert simulator.counters()["billed"] == len(keys)


@pytest.mark.parametrize("continuation", ["refused", "none"])
def test_a_listing_that_is_taken_up_goes_on_after_its_key_where_the_server_knows_no_token(
    database: Database, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch, continuation: Any
) -> None:
    keys = [f"in/{number}.jpg" for number in range(7)]
    server = ListingServer(keys, 2, "greater")
    list_page, asked = ImageStore.list_page, 0

    def dies_once(store: ImageStore, *place: Any, **how: Any) -> Any:
        nonlocal asked
        asked += 1
        if asked == 3:
            raise StorageUnavailableError("The network is away.", retry_helps=True)
        return list_page(store, *place, **how)

    monkeypatch.setattr(ImageStore, "list_page", dies_once)
    with engine_on(database, simulator, server) as engine:
        with pytest.raises(StorageUnavailableError):
            engine.run(SCOPE)
        server.continuation = continuation
        batch, counts = engine.run(SCOPE)

    assert (counts.succeeded, batch.listed.keys) == (7, 7)


def test_a_walk_does_not_stop_for_what_is_pending(
    database: Database, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "LOOK_AHEAD", 2)
    keys = [f"in/{number * 7 % 23:02}.jpg" for number in range(23)]
    server = ListingServer(keys, 3, "greater")
    with engine_on(database, simulator, server) as engine:
        engine.account["max_in_flight"] = 2
        _, counts = engine.run(SCOPE)

    assert counts.succeeded == 23
    assert len(server.lists) <= 10


def test_start_after_that_is_ignored_is_no_endless_listing(database: Database, simulator: RunningSimulator) -> None:
    keys = case("lst02_start_after_ignored")["keys_in_the_order_of_the_server"]
    server = ListingServer(keys, 4, "ignored", "none", "always")
    with engine_on(database, simulator, server) as engine, pytest.raises(StorageError, match="aws_default"):
        engine.run(SCOPE)
    assert len(server.lists) <= 4

    server = ListingServer(keys, 4, "ignored", "works")
    with engine_on(database, simulator, server) as engine:
        assert engine.run(SCOPE)[1].succeeded == 10


def test_another_answer_fails_the_run(database: Database, simulator: RunningSimulator) -> None:
    server = ListingServer([], answer=(CASES / "lst04_another_answer.xml").read_bytes())
    with (
        engine_on(database, simulator, server) as engine,
        pytest.raises(StorageError, match=r"'aws_default' answers 'ListAllMyBucketsResult'.*endpoint_url"),
    ):
        engine.run(SCOPE)


def fault_of(name: str) -> tuple[int, str, str]:
    answer = case(name)["answer_to_GetObject"]
    return answer["status"], answer["code"], answer["message"]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (fault_of("obj01_one_object_403"), "denied"),
        (fault_of("obj02_one_object_sse_c"), "denied"),
        ((400, "KMS.DisabledException", "key is disabled"), "denied"),
        ((403, "KMS.KMSInvalidStateException", "pending deletion"), "denied"),
        ((405, "MethodNotAllowed", "no"), "denied"),
        ((501, "NotImplemented", "no"), "denied"),
        ((416, "InvalidRange", "no"), "denied"),
        ((409, "ObjectLocked", "no"), "denied"),
        ((451, "", "legal"), "denied"),
        ((500, "InternalError", "again and again"), "denied"),
        ((403, "InvalidObjectState", "archived"), "archived"),
        ((404, "NoSuchKey", "gone"), "missing"),
    ],
)
def test_one_object_that_s3_does_not_give_is_one_row(
    database: Database,
    simulator: RunningSimulator,
    fault: tuple[int, str, str],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("airflow_midjourney.describe.engine.refusals.denials._PAUSE_AFTER_FAILURE", 0.1)
    keys = [f"in/{number:04}.jpg" for number in range(25)]
    server = ListingServer(keys, 1000, reads={"in/0003.jpg": fault})
    with engine_on(database, simulator, server) as engine:
        batch, counts = engine.run(SCOPE)
        row = rows_of(database)["in/0003.jpg"]
        verdict = judge(batch, counts, Tolerance(), "image_prompts")
        server.reads.clear()
        _, later = engine.run(SCOPE, run_id="later")

    assert (counts.succeeded, counts.rejected) == (24, 1)
    assert (row[0], row[1]) == ("rejected", reason)
    assert verdict.ending is Ending.GOOD
    assert (later.succeeded, later.billed) == (1, 1)


def test_two_hundred_objects_of_which_one_is_denied(database: Database, simulator: RunningSimulator) -> None:
    known = case("obj01_one_object_403")
    keys = [f"in/{number:04}.jpg" for number in range(known["objects"])]
    server = ListingServer(keys, 1000, reads={known["unreadable"]: fault_of("obj01_one_object_403")})
    with engine_on(database, simulator, server) as engine:
        _, counts = engine.run(SCOPE)

    assert (counts.succeeded, counts.reasons) == (199, {"denied": 1})
    assert "s3:GetObject" in (rows_of(database)[known["unreadable"]][2] or "")
    assert server.read.count(known["unreadable"]) == 2


def test_an_object_that_stays_denied_fails_no_day_without_new_images(
    database: Database, simulator: RunningSimulator
) -> None:
    keys = [f"in/{number:04}.jpg" for number in range(5)]
    server = ListingServer(keys, 1000, reads={"in/0003.jpg": (403, "AccessDenied", "no")})
    with engine_on(database, simulator, server) as engine:
        engine.run(SCOPE, run_id="monday")
        batch, counts = engine.run(SCOPE, run_id="tuesday")
        again = engine.run(SCOPE, run_id="tuesday")
        server.reads["in/0004.jpg"] = server.reads["in/0003.jpg"]
        server.keys[4:] = ["in/0004.jpg", "in/0005.jpg"]
        server.reads["in/0005.jpg"] = server.reads["in/0003.jpg"]
        news = engine.run(SCOPE, run_id="wednesday")

    assert (counts.succeeded, counts.reasons, counts.repeated) == (0, {"denied": 1}, {"denied": 1})
    for tuesday in ((batch, counts), again):
        verdict = judge(*tuesday, Tolerance(max_rejected_rate=0.1), "image_prompts")
        assert verdict.ending is Ending.GOOD
        assert "1 rejected (denied: 1), 1 of them rejected for the same before" in verdict.message
    assert (news[1].reasons, news[1].repeated) == ({"denied": 2}, {"denied": 1})
    assert judge(*news, Tolerance(), "image_prompts").ending is Ending.BAD


def test_a_day_that_failed_for_a_denied_object_fails_when_it_is_cleared(
    database: Database, simulator: RunningSimulator
) -> None:
    keys = ["in/0000.jpg"]
    server = ListingServer(keys, 1000)
    with engine_on(database, simulator, server) as engine:
        engine.run(SCOPE, run_id="monday")
        keys.append("in/0001.jpg")
        server.reads["in/0001.jpg"] = (403, "AccessDenied", "no")
        endings = [judge(*engine.run(SCOPE, run_id=run), Tolerance(), "t").ending for run in ("tuesday", "tuesday")]
        endings.append(judge(*engine.run(SCOPE, run_id="wednesday"), Tolerance(), "t").ending)

    assert endings == [Ending.BAD, Ending.BAD, Ending.GOOD]


def test_a_scope_in_which_all_stays_denied_fails_each_day(database: Database, simulator: RunningSimulator) -> None:
    server = ListingServer(["in/0000.jpg", "in/0001.jpg"], 1000, reads={"*": (403, "AccessDenied", "no")})
    with engine_on(database, simulator, server) as engine:
        days = [judge(*engine.run(SCOPE, run_id=run), Tolerance(), "t").ending for run in ("monday", "tuesday")]

    assert days == [Ending.BAD, Ending.BAD]


def test_a_key_that_stays_missing_fails_no_day_on_which_the_others_are_done(
    database: Database, simulator: RunningSimulator
) -> None:
    named = Scope("photos", keys=("in/0000.jpg", "in/gone.jpg"))
    with engine_on(database, simulator, ListingServer(["in/0000.jpg"], 1000)) as engine:
        first = engine.run(named, run_id="monday")
        second = engine.run(named, run_id="tuesday")
        gone = [
            judge(*engine.run(Scope("photos", keys=("in/gone.jpg",)), run_id=run), Tolerance(), "t") for run in "ab"
        ]

    assert (first[1].succeeded, first[1].reasons, first[1].repeated) == (1, {"missing": 1}, {})
    assert (second[1].reasons, second[1].repeated) == ({"missing": 1}, {"missing": 1})
    assert judge(*second, Tolerance(), "t").ending is Ending.GOOD
    assert [verdict.ending for verdict in gone] == [Ending.BAD, Ending.BAD]


def test_a_denied_folder_holds_up_no_other(database: Database, simulator: RunningSimulator) -> None:
    keys = [f"in/{number:04}.jpg" for number in range(60)]
    server = ListingServer(keys, 1000, reads=dict.fromkeys(keys[:30], (403, "AccessDenied", "no")))
    with engine_on(database, simulator, server) as engine:
        _, counts = engine.run(SCOPE)

    assert (counts.succeeded, counts.reasons) == (30, {"denied": 30})


def test_an_object_that_drips_is_one_bad_row(
    database: Database, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_time, "SHORTEST_READ", 2.0)
    monkeypatch.setattr(denials, "_PAUSE_AFTER_FAILURE", 0.1)
    keys = [f"in/{number}.jpg" for number in range(4)]
    # Each byte comes long before any timeout, and the last of them after half a minute.
    with engine_on(database, simulator, ListingServer(keys, drips={"in/1.jpg": 0.05})) as engine:
        _, counts = engine.run(SCOPE)

    status, reason, detail = rows_of(database)["in/1.jpg"]
    assert (counts.succeeded, counts.rejected) == (3, 1)
    assert (status, reason) == ("rejected", "denied")
    assert "too slowly" in (detail or "")


@pytest.mark.parametrize(
    ("status", "code"), [(403, "AccessDenied"), (500, "InternalError"), (412, "PreconditionFailed")]
)
def test_where_no_object_can_be_read_the_run_stops_and_rows_wait(
    database: Database, simulator: RunningSimulator, status: int, code: str
) -> None:
    keys = [f"in/{number:04}.jpg" for number in range(60)]
    server = ListingServer(keys, 1000, reads={"*": (status, code, "no")})
    kind = StorageUnavailableError if status == 500 else StorageDeniedError
    with engine_on(database, simulator, server) as engine:
        with pytest.raises(kind, match="gave none of the latest") as caught:
            engine.run(SCOPE)
        assert {row[:2] for row in rows_of(database).values()} == {("pending", None)}
        server.reads.clear()
        _, counts = engine.run(SCOPE)

    assert len(set(server.read)) >= DENIED_IN_A_ROW
    assert "aws_default" in str(caught.value)
    assert (counts.succeeded, counts.billed) == (60, 60)


def test_every_read_that_answers_412_does_not_end_well(database: Database, simulator: RunningSimulator) -> None:
    known = case("obj04_every_read_412")
    answer = known["answer_to_every_GetObject"]
    keys = [f"in/{number:04}.jpg" for number in range(known["objects"])]
    server = ListingServer(keys, 1000, reads={"*": (answer["status"], answer["code"], "no")})
    with engine_on(database, simulator, server) as engine:
        batch, counts = engine.run(SCOPE)

    assert counts.reasons == {"denied": 5}
    assert judge(batch, counts, Tolerance(), "image_prompts").ending is Ending.BAD
    assert all(server.url in (detail or "") for _, _, detail in rows_of(database).values())


def test_a_store_that_only_fails_at_if_match_is_read_without_it(
    database: Database, simulator: RunningSimulator
) -> None:
    keys = [f"in/{number:04}.jpg" for number in range(12)]
    fault = (412, "PreconditionFailed", "no")
    server = ListingServer(keys, 1000, reads={"*": fault}, conditional_reads_only=True)
    with engine_on(database, simulator, server) as engine:
        _, counts = engine.run(SCOPE)

    assert (counts.succeeded, counts.rejected) == (12, 0)


@pytest.mark.parametrize("keys_named", [True, False])
def test_a_weak_etag_is_the_same_etag(database: Database, simulator: RunningSimulator, keys_named: bool) -> None:
    assert case("obj05_weak_etag_of_head")["HeadObject_ETag"].startswith("W/")
    keys = ("in/a.jpg", "in/b.jpg")
    scope = Scope("photos", keys=keys) if keys_named else SCOPE
    with engine_on(database, simulator, ListingServer(list(keys), weak=True)) as engine:
        _, counts = engine.run(scope)

    assert (counts.succeeded, counts.rejected) == (2, 0)


def test_named_keys_that_may_not_be_looked_up_are_rows(database: Database, simulator: RunningSimulator) -> None:
    keys = ("in/a.jpg", "in/b.jpg", "in/c.jpg", "out/d.jpg")
    server = ListingServer(list(keys), heads={"in/b.jpg": 403}, reads={"in/b.jpg": (403, "AccessDenied", "no")})
    with engine_on(database, simulator, server) as engine:
        engine.store["allowed_uris"] = ["s3://photos/in/*"]
        _, counts = engine.run(Scope("photos", keys=keys))

    found = rows_of(database)
    assert counts.succeeded == 2
    assert found["in/b.jpg"][:2] == ("rejected", "denied")
    assert found["out/d.jpg"][:2] == ("rejected", "not_allowed")


def test_expired_credentials_stop_the_run_at_once(database: Database, simulator: RunningSimulator) -> None:
    keys = [f"in/{number:04}.jpg" for number in range(3)]
    server = ListingServer(keys, reads={"*": (400, "ExpiredToken", "no")}, heads=dict.fromkeys(keys, 400))
    for scope in (SCOPE, Scope("photos", keys=tuple(keys))):
        with (
            engine_on(database, simulator, server) as engine,
            pytest.raises(StorageDeniedError, match="does not accept the credentials"),
        ):
            engine.run(scope, run_id=str(scope.keys))
    assert {row[0] for row in rows_of(database).values()} == {"pending"}


def test_rows_outside_allowed_uris_are_rows_and_come_back(database: Database, simulator: RunningSimulator) -> None:
    keys = ["in/a.jpg", "in/private/b.jpg"]
    with engine_on(database, simulator, ListingServer(keys)) as engine:
        # They were listed while they were allowed, and were left pending.
        engine.run(SCOPE, options(max_submissions=0))
        engine.store["allowed_uris"] = ["s3://photos/in/?.jpg"]
        _, counts = engine.run(SCOPE, run_id="narrowed")
        assert counts.succeeded == 1
        assert rows_of(database)["in/private/b.jpg"][:2] == ("rejected", "not_allowed")
        engine.store["allowed_uris"] = ["s3://photos/*"]
        _, counts = engine.run(SCOPE, run_id="widened")

    assert counts.succeeded == 1
