"""A newer parser over the answers that are kept: free, conditional, and only where it is newer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from airflow_midjourney.describe.admin import reparse as table
from airflow_midjourney.describe.admin.reparse import reparse
from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.service.prompts import PARSER_VERSION
from tests.support.described import BUCKET, described, failed, fill

if TYPE_CHECKING:
    from airflow_midjourney.describe.table.database import Database

RAW = "1️⃣ a boat --ar 3:2\n\n2️⃣ a lake --ar 3:2"
OLD = PARSER_VERSION - 1
SCOPE = Scope(BUCKET, ("in/",))


def columns(database: Database, key: str, *names: str) -> list[Any]:
    images = database.tables.images.c
    with database.reading() as tx:
        return list(tx.connection.execute(select(*(images[name] for name in names)).where(images.key == key)).one())


def test_older_rows_get_what_the_parser_of_today_makes_of_their_answers(database: Database) -> None:
    fill(
        database,
        [
            described("in/changed.jpg", ["1 a boat --ar 3:2"], prompt_raw=RAW, parser_version=OLD, aspect_ratio=None),
            described("in/same.jpg", ["a boat", "a lake"], prompt_raw=RAW, parser_version=OLD, aspect_ratio="3:2"),
            described("in/today.jpg", ["kept as it is"], prompt_raw=RAW, parser_version=PARSER_VERSION),
            described("in/newer.jpg", ["kept as it is"], prompt_raw=RAW, parser_version=PARSER_VERSION + 1),
            described("in/unreadable.jpg", ["kept as it is"], prompt_raw="no list", parser_version=OLD),
            failed("in/recovered.jpg", "unparseable", prompt_raw=RAW),
            failed("in/banned.jpg", "banned", prompt_raw=RAW),
            described("other/x.jpg", ["kept as it is"], prompt_raw=RAW, parser_version=OLD),
        ],
    )

    report = reparse(database, SCOPE)

    assert report.to_json() == {
        "rows": 4,
        "changed": 1,
        "unchanged": 1,
        "recovered": 1,
        "unreadable": 1,
        "corrected": 0,
        "moved_on": 0,
        "parser_version": PARSER_VERSION,
    }
    assert [(one.image_uri, one.before, one.after) for one in report.examples] == [
        ("s3://photos/in/changed.jpg", "1 a boat --ar 3:2", "a boat")
    ]
    for key in ("in/changed.jpg", "in/same.jpg", "in/recovered.jpg"):
        names = (
            "status",
            "reason",
            "prompt_1",
            "prompt_2",
            "prompt_3",
            "prompt_count",
            "aspect_ratio",
            "parser_version",
        )
        assert columns(database, key, *names) == ["succeeded", None, "a boat", "a lake", None, 2, "3:2", PARSER_VERSION]
    for key in ("in/today.jpg", "in/newer.jpg", "in/unreadable.jpg", "other/x.jpg"):
        assert columns(database, key, "prompt_1") == ["kept as it is"]
    assert columns(database, "in/banned.jpg", "status", "prompt_1") == ["failed", None]
    assert reparse(database, SCOPE).to_json()["changed"] == 0


def test_if_asked_rows_of_this_parser_are_read_again_but_never_those_of_a_newer_one(database: Database) -> None:
    fill(
        database,
        [
            described("in/today.jpg", ["x"], prompt_raw=RAW, parser_version=PARSER_VERSION),
            described("in/newer.jpg", ["kept"], prompt_raw=RAW, parser_version=PARSER_VERSION + 1),
        ],
    )
    assert reparse(database, SCOPE, again=True).changed == 1
    assert columns(database, "in/newer.jpg", "prompt_1") == ["kept"]


def test_it_goes_page_by_page_and_goes_on_where_it_was_stopped(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "REPARSED_AT_ONCE", 10)
    fill(database, [described(f"in/{n:03}.jpg", ["x"], prompt_raw=RAW, parser_version=OLD) for n in range(35)])
    write, calls = table.write_reread, []

    def stopping(*arguments: Any) -> set[int]:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return write(*arguments)

    monkeypatch.setattr("airflow_midjourney.describe.admin.reparse.write_reread", stopping)
    with pytest.raises(KeyboardInterrupt):
        reparse(database, SCOPE)

    assert reparse(database, SCOPE).changed == 15
    assert columns(database, "in/000.jpg", "prompt_1") == columns(database, "in/034.jpg", "prompt_1") == ["a boat"]


@pytest.mark.parametrize(
    ("column", "value"),
    [("prompt_1", "a red boat"), ("prompt_2", None), ("prompt_3", "a third"), ("aspect_ratio", "1:1")],
)
@pytest.mark.parametrize("parser_version", [OLD, PARSER_VERSION])
def test_what_a_person_has_corrected_stays(
    database: Database, column: str, value: str | None, parser_version: int
) -> None:
    fill(database, [described("in/a.jpg", ["x"], prompt_raw=RAW, parser_version=OLD)])
    assert reparse(database, SCOPE).changed == 1
    correct(database, {column: value, "parser_version": parser_version})

    report = reparse(database, SCOPE, again=True)

    assert (report.rows, report.corrected, report.changed) == (1, 1, 0)
    assert columns(database, "in/a.jpg", column) == [value]
    # Until the person lets go of it.
    correct(database, {"prompts_sha256": None})
    assert (reparse(database, SCOPE, again=True).changed, reparse(database, SCOPE, again=True).unchanged) == (1, 1)


def correct(database: Database, values: dict[str, Any]) -> None:
    """Write into the table as a person does, with SQL."""
    with database.writing() as tx:
        tx.connection.execute(tx.tables.images.update().values(**values))


def test_a_correction_that_comes_while_the_answer_is_read_stays_too(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database, [described("in/a.jpg", ["x"], prompt_raw=RAW, parser_version=OLD)])
    write = table.write_reread

    def after_a_correction(tx: Any, rows: Any) -> set[int]:
        tx.connection.execute(tx.tables.images.update().values(prompt_1="a red boat"))
        return write(tx, rows)

    monkeypatch.setattr("airflow_midjourney.describe.admin.reparse.write_reread", after_a_correction)

    assert reparse(database, SCOPE).moved_on == 1
    assert columns(database, "in/a.jpg", "prompt_1") == ["a red boat"]


def test_a_row_that_has_moved_on_is_left_alone(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(database, [described("in/a.jpg", ["x"], prompt_raw=RAW, parser_version=OLD)])
    write = table.write_reread

    def after_somebody_else(tx: Any, rows: Any) -> set[int]:
        tx.connection.execute(tx.tables.images.update().values(prompt_raw="a new answer", prompt_1="a new answer"))
        return write(tx, rows)

    monkeypatch.setattr("airflow_midjourney.describe.admin.reparse.write_reread", after_somebody_else)

    assert reparse(database, SCOPE).moved_on == 1
    assert columns(database, "in/a.jpg", "prompt_1") == ["a new answer"]
