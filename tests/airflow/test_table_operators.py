"""``ReparsePromptsOperator``, ``PurgePromptsOperator`` and ``ImportReviewsOperator`` as DAGs run them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update

from airflow_midjourney.describe.service.prompts import PARSER_VERSION
from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.describe.table.migrations import ensure_tables
from airflow_midjourney.operators.import_reviews import ImportReviewsOperator
from airflow_midjourney.operators.purge import PurgePromptsOperator
from airflow_midjourney.operators.reparse import ReparsePromptsOperator
from tests.support.airflow_runs import Troubles, make_dag, run_dag
from tests.support.annotated import annotated, annotation, chosen, exported
from tests.support.described import described, fill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace

RAW = "1️⃣ a boat --ar 3:2\n\n2️⃣ a lake --ar 3:2"


@pytest.fixture
def table(sqlite_place: MetadataPlace, connect: Callable[..., None], simulator: RunningSimulator) -> Iterator[Database]:
    """A table, and connections to it."""
    connect(simulator, sqlite_place)
    database = open_database(sqlite_place.url, sqlite_place.names)
    ensure_tables(database)
    yield database
    database.close()


def column(database: Database, name: str) -> list[Any]:
    images = database.tables.images.c
    with database.reading() as tx:
        return list(tx.connection.execute(select(images[name]).order_by(images.id)).scalars())


def test_reparsing_says_what_changed_and_pays_for_nothing(
    table: Database, simulator: RunningSimulator, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(table, [described("in/a.jpg", ["old"], prompt_raw=RAW, parser_version=0), described("in/b.jpg")])
    with make_dag() as dag:
        ReparsePromptsOperator(task_id="reparse", bucket="photos", prefix="in/")

    run = run_dag(dag)

    assert run.xcom("reparse") == {
        "rows": 1,
        "changed": 1,
        "unchanged": 0,
        "recovered": 0,
        "unreadable": 0,
        "corrected": 0,
        "moved_on": 0,
        "parser_version": PARSER_VERSION,
    }
    assert column(table, "prompt_1")[0] == "a boat"
    assert "'s3://photos/in/a.jpg': 'old' is now 'a boat'" in capsys.readouterr().out
    assert simulator.counters()["billed"] == 0


def test_purging_erases_both_bots_and_a_retry_takes_what_was_on_its_way(table: Database) -> None:
    sent = {"status": "submitted", "account": "a", "task_id": "1", "submit_token": "t"}
    fill(table, [described("in/jane.jpg"), described("in/jane.jpg", bot_type="NIJI_JOURNEY"), described("keep/x.jpg")])
    fill(table, [described("in/sent.jpg", **sent)])

    def answer(_task: str) -> None:
        with table.writing() as tx:
            images = tx.tables.images
            tx.connection.execute(update(images).where(images.c.status == "submitted").values(status="failed"))

    troubles = Troubles(before_retry=answer)
    with make_dag(troubles, retries=1) as dag:
        PurgePromptsOperator(task_id="purge", bucket="photos", prefix="in/")

    run = run_dag(dag)

    assert run.state == "success"
    assert "2 rows were erased, but 1 images are on their way" in str(troubles.retried[0])
    assert run.xcom("purge") == {"erased": 1, "twins": 0, "on_their_way": 0}
    assert column(table, "reason") == ["erased", "erased", None, "erased"]
    assert "jane" not in json.dumps([column(table, name) for name in ("image_uri", "key", "detail", "prompt_raw")])


def imported(source: str, troubles: Troubles | None = None) -> Any:
    with make_dag(troubles) as dag:
        ImportReviewsOperator(task_id="import", bucket="photos", prefix="in/", source=source)
    return run_dag(dag)


def test_importing_says_what_was_not_taken(table: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(table, [described("in/a.jpg"), described("out/b.jpg")])
    tasks = exported(tmp_path / "tasks", table)
    entries = [annotated(tasks[name], annotation(chosen("rejected"))) for name in ("a.jpg", "b.jpg")]
    (tmp_path / "export.json").write_text(json.dumps([*entries, {"hello": "world"}]))

    run = imported(f"{tmp_path}/export.json")

    counts = run.xcom("import")
    assert {name: number for name, number in counts.items() if number} == {
        "entries": 3,
        "added": 1,
        "out_of_scope": 1,
        "not_understood": 1,
    }
    log = capsys.readouterr().out
    assert "1 out_of_scope, for instance s3://photos/out/b.jpg" in log
    assert "it is not from an export of this table" in log
    assert "world" not in log


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("export.json", "names no file"),
        ("s3://bucket", "names no file"),
        ("s3://", "names no file"),
        ("", "names no file"),
        ("/nothing/export.json", "cannot be read: No such file or directory"),
        ("/nothing/folder/", "There is no file below"),
        ("s3://no-such-bucket-of-ours/export.json", "no-such-bucket-of-ours"),
    ],
)
def test_a_source_that_cannot_be_read_ends_the_task_and_says_why(table: Database, source: str, message: str) -> None:
    troubles = Troubles()

    imported(source, troubles)

    assert message in str(troubles.failed[0])


def test_a_source_outside_allowed_targets_is_not_read(
    sqlite_place: MetadataPlace, connect: Callable[..., None], simulator: RunningSimulator, tmp_path: Path
) -> None:
    connect(simulator, sqlite_place, allowed_targets=["/data/*"])
    (tmp_path / "export.json").write_text("[]")
    troubles = Troubles()

    imported(f"{tmp_path}/export.json", troubles)

    assert "outside allowed_targets of connection 'midjourney_default'" in str(troubles.failed[0])
