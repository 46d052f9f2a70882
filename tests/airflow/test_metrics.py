"""Every event is counted once, by its writer, and reaches Airflow's stats where they are switched on."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.serde import _register as begin_stats_as_every_process_does

from airflow_midjourney.describe.admin import resolve
from airflow_midjourney.describe.model.events import Event, EventKind
from airflow_midjourney.describe.model.status import BotType, Reason
from airflow_midjourney.describe.table import duplicates, leases, results, submissions
from airflow_midjourney.describe.table.doubt import late_results
from airflow_midjourney.describe.table.matching import Asker, insert_missing
from airflow_midjourney.observability import metrics
from tests.support import rows
from tests.support.airflow_home import REPOSITORY
from tests.support.airflow_runs import make_dag, run_dag, submit_and_wait
from tests.support.hurrying import hurried_once
from tests.support.statsd import statsd_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace
    from tests.support.statsd import StatsdServer

RUNBOOK = REPOSITORY / "docs" / "runbook.md"

#: Every name that a statsd server sees.
NAMES = (
    *(f"{metrics.PREFIX}.{kind}" for kind in EventKind),
    metrics.BILLED_COST,
    metrics.IN_FLIGHT_GAUGE,
    metrics.WAIT,
)


class Recorder:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def happened(self, event: Event) -> None:
        self.events.append(event)

    def in_flight(self, service: str, images: int) -> None:
        """Not looked at here."""

    def counted(self) -> dict[tuple[str, str | None], int]:
        found: Counter[tuple[str, str | None]] = Counter()
        for event in self.events:
            found[event.kind.value, event.reason] += event.rows
        return dict(found)


@pytest.fixture
def recorder(database: Database) -> Recorder:
    database.observer = recorder = Recorder()
    return recorder


@pytest.fixture
def statsd(monkeypatch: pytest.MonkeyPatch) -> Iterator[StatsdServer]:
    """Airflow's stats go to a server of this test."""
    pytest.importorskip("statsd", reason="needs apache-airflow-core[statsd]")
    with statsd_server() as server:
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_ON", "True")
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_HOST", "127.0.0.1")
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_PORT", str(server.port))
        begin_stats_as_every_process_does()
        yield server
        monkeypatch.undo()
        begin_stats_as_every_process_does()


def submitted(database: Database, *keys: str) -> list[results.InFlight]:
    """List images and have them accepted."""
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed(key) for key in keys])
        batch = rows.open_batch(tx)
        return [rows.submit_next(tx, batch, task_id=key) for key in keys]


def test_an_answer_that_two_processes_write_is_counted_once(database: Database, recorder: Recorder) -> None:
    (row,) = submitted(database, "a.jpg")

    for _ in range(2):
        with database.writing() as tx:
            rows.described(tx, row, rows.four_prompts(), "raw", results.RemoteTimes())
            results.ended(tx, row, Reason.BANNED, "", results.RemoteTimes(), "")

    assert recorder.counted() == {("submitted", None): 1, ("billed", None): 1, ("succeeded", None): 1}
    waits = [event.waited for event in recorder.events if event.waited is not None]
    assert len(waits) == 1
    assert waits[0] >= 0


def test_a_transaction_that_does_not_commit_is_not_counted(database: Database, recorder: Recorder) -> None:
    (row,) = submitted(database, "a.jpg")
    recorder.events.clear()

    def write_and_die() -> None:
        with database.writing() as tx:
            rows.described(tx, row, rows.four_prompts(), "raw", results.RemoteTimes())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_die()

    assert recorder.events == []


def test_an_observer_that_breaks_breaks_nothing_else(database: Database, recorder: Recorder) -> None:
    def broken(_event: Event) -> None:
        raise OSError("no route to the metrics")

    recorder.happened = broken  # type: ignore[method-assign]

    assert len(submitted(database, "a.jpg")) == 1
    with database.reading() as tx:
        assert rows.image_rows(tx)[0]["status"] == "submitted"


def test_a_failure_counts_when_it_is_final_and_a_late_answer_counts_beside_it(
    database: Database, recorder: Recorder
) -> None:
    (row,) = submitted(database, "a.jpg")
    with database.writing() as tx:
        rows.set_columns(tx, row.id, attempts=2, max_attempts=2)
        results.ended(tx, row, Reason.LOST, "gone", results.RemoteTimes(), "")
    one = late_results.GivenUp(row.id, row.task_id, row.submit_token)

    for _ in range(2):
        with database.writing() as tx:
            late_results.answered_late(
                tx, rows.ACCOUNT.identity, one, rows.four_prompts(), "raw", results.RemoteTimes()
            )

    assert recorder.counted() == {
        ("submitted", None): 1,
        ("billed", None): 1,
        ("failed", "lost"): 1,
        ("succeeded", None): 1,
    }


def test_a_curable_failure_with_attempts_left_is_no_failure_yet(database: Database, recorder: Recorder) -> None:
    (row,) = submitted(database, "a.jpg")
    with database.writing() as tx:
        rows.set_columns(tx, row.id, attempts=1, max_attempts=2)
        results.ended(tx, row, Reason.TIMEOUT, "slow", results.RemoteTimes(), "")

    assert recorder.counted() == {("submitted", None): 1, ("billed", None): 1}


def test_doubt_and_what_a_person_decides_are_counted(database: Database, recorder: Recorder) -> None:
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed("a.jpg"), rows.listed("b.jpg")])
        batch = rows.open_batch(tx)
        for _ in range(2):
            rows.claim_next(tx, batch)
        tx.connection.execute(tx.tables.images.update().values(in_doubt_after=rows.LONG_AGO))
    for _ in range(2):
        with database.writing() as tx:
            submissions.doubt_overdue(tx)
    with database.writing() as tx:
        failed, adopted = resolve.doubtful_rows(tx, rows.EVERYTHING)
        resolve.fail(tx, failed, "me")
        resolve.fail(tx, failed, "me")
        resolve.adopt(tx, [adopted], "1", "me")

    assert recorder.counted() == {
        ("in_doubt", None): 2,
        ("failed", "lost"): 1,
        ("billed", None): 1,
        ("submitted", None): 1,
    }


def test_a_twin_counts_as_shared_and_succeeded_but_is_not_billed(database: Database, recorder: Recorder) -> None:
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed("a.jpg"), rows.listed("b.jpg")])
        batch = rows.open_batch(tx)
        row = rows.submit_next(tx, batch, body="the same")
        rows.claim_next(tx, batch, body="the same")
    for _ in range(2):
        with database.writing() as tx:
            rows.described(tx, row, rows.four_prompts(), "raw", results.RemoteTimes())
            duplicates.resolve_shared(tx)

    assert recorder.counted() == {
        ("submitted", None): 1,
        ("billed", None): 1,
        ("succeeded", None): 2,
        ("shared", None): 1,
    }


def test_what_is_rejected_is_counted_where_it_is_found_out(database: Database, recorder: Recorder) -> None:
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed("a.jpg"), rows.listed("b.jpg", "old")])
        batch = rows.open_batch(tx)
        (reserved,) = leases.reserve(tx, batch, "holder", 1)
        for _ in range(2):
            leases.reject(tx, reserved.id, "holder", Reason.CORRUPT, "no image", rows.READER)
    for _ in range(2):
        with database.writing() as tx:
            rows.list_images(tx, [rows.listed("b.jpg", "new")])
            insert_missing(tx, rows.BUCKET, ["c.jpg", "d.jpg"], Asker("batch", BotType.MID_JOURNEY, rows.READER))

    assert recorder.counted() == {
        ("rejected", "corrupt"): 1,
        ("rejected", "replaced"): 1,
        ("rejected", "missing"): 2,
    }


@pytest.mark.parametrize("deferrable", [False, True], ids=["on its worker", "deferred"])
def test_a_run_reaches_statsd_with_numbers_that_add_up(
    deferrable: bool,
    statsd: StatsdServer,
    deferrals: list[dict[str, Any]],
    bucket: str,
    s3: S3Client,
    simulate: Callable[..., RunningSimulator],
    sqlite_place: MetadataPlace,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
) -> None:
    simulator = simulate(latency=2.0)
    # Few at once, so that there is something to wait for however slow the machine is.
    connect(simulator, sqlite_place, price="0.25", currency="USD", max_in_flight=2)
    simulator.set_scenarios(["banned_image:first=1"])
    put_photos("in/", 5)
    s3.copy_object(Bucket=bucket, Key="in/twin.jpg", CopySource=f"{bucket}/in/004.jpg")
    s3.put_object(Bucket=bucket, Key="in/torn.jpg", Body=b"no image")
    tolerant = {"max_failure_rate": 1.0, "deferrable": deferrable}

    with hurried_once(simulator, lambda: deferrals) if deferrable else nullcontext():
        run = run_dag(submit_and_wait({"bucket": bucket, "prefix": "in/", "deferrable": deferrable}, tolerant))

    assert run.state == "success"
    counts = run.xcom("wait", "counts")[0]
    statsd.read(f"airflow.{metrics.PREFIX}.")
    for name in ("succeeded", "failed", "rejected", "shared", "billed"):
        assert statsd.counters[name] == counts[name], name
    assert counts["succeeded"] == 5
    assert (statsd.counters["failed.banned"], statsd.counters["rejected.unsupported_format"]) == (1, 1)
    assert statsd.counters["submitted"] == simulator.counters()["billed"] == 5
    assert statsd.counters["billed_cost"] == pytest.approx(float(counts["cost"])) == pytest.approx(1.25)
    assert len(statsd.timings["wait"]) == 5
    assert statsd.gauges["in_flight.midjourney_default"][-1] == 0
    assert max(statsd.gauges["in_flight"]) >= 1
    assert bool(deferrals) is deferrable


def test_every_name_is_in_the_runbook_and_sent_by_the_observer(statsd: StatsdServer) -> None:
    observer = metrics.StatsObserver()
    for kind in EventKind:
        observer.happened(Event(kind, cost=rows.ACCOUNT.price, waited=1.0))
    observer.in_flight("my service/é", 3)
    statsd.read("airflow.")

    assert statsd.gauges["midjourney.describe.in_flight.my_service__"] == [3]
    sent = {*statsd.counters, *statsd.gauges, *statsd.timings}
    assert sent >= set(NAMES) - {metrics.BILLED_COST}


@pytest.mark.parametrize("name", NAMES)
def test_the_runbook_explains_every_metric(name: str) -> None:
    assert f"`{name}`" in RUNBOOK.read_text()


def test_nothing_is_sent_and_nothing_breaks_where_stats_are_off(
    bucket: str,
    simulator: RunningSimulator,
    sqlite_place: MetadataPlace,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
) -> None:
    connect(simulator, sqlite_place)
    put_photos("in/", 1)
    with make_dag() as dag:
        from airflow_midjourney.operators.describe import DescribeImagesOperator

        DescribeImagesOperator(task_id="submit", bucket=bucket, prefix="in/")

    assert run_dag(dag).state == "success"
