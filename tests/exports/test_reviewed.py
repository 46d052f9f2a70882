"""What people decided in exports, notebooks and Arrow: approved texts are taken, rejected images left out."""

from __future__ import annotations

import csv
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

import pytest
from pyarrow import parquet
from sqlalchemy import select

import airflow_midjourney
from airflow_midjourney.describe.exports.selection import Choose, read_choose
from airflow_midjourney.describe.model.errors import SettingsError
from airflow_midjourney.describe.model.review import ReviewDecision
from airflow_midjourney.describe.queries.reviews import look_at_reviews
from airflow_midjourney.describe.table.reviews.decisions import Review, Written, write_reviews
from tests.support.described import PROMPTS, described, export_to, fill, plan

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_midjourney.describe.table.database import Database
    from tests.support.places import MetadataPlace

KEYS: Final = ("approved", "edited", "outdated", "rejected", "undecided", "withdrawn")


def decide(database: Database, key: str, decision: ReviewDecision, **what: Any) -> None:
    with database.writing() as tx:
        images = tx.tables.images.c
        image_id = tx.connection.execute(select(images.id).where(images.key == key)).scalar_one()
        (image,) = look_at_reviews(tx, [image_id])
        (outcome,) = write_reviews(tx, [Review(image.seen, decision, **what)], "=anna")
    assert outcome.written is Written.ADDED


@pytest.fixture
def reviewed(database: Database) -> Database:
    """An image for each thing that a decision can be."""
    fill(database, [described(key, task_id=f"task {key}") for key in KEYS])
    decide(database, "approved", ReviewDecision.APPROVED, prompt=3)
    decide(database, "edited", ReviewDecision.APPROVED, text="ok\nthen")
    decide(database, "outdated", ReviewDecision.APPROVED, prompt=2)
    decide(database, "rejected", ReviewDecision.REJECTED)
    decide(database, "withdrawn", ReviewDecision.APPROVED, prompt=2)
    decide(database, "withdrawn", ReviewDecision.WITHDRAWN)
    with database.writing() as tx:
        images = tx.tables.images
        tx.connection.execute(images.update().where(images.c.key == "outdated").values(task_id="another"))
    return database


DECISIONS: Final = {"approved": "approved", "edited": "approved", "outdated": "outdated", "rejected": "rejected"}


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return parquet.read_table(folder / "prompts.parquet").to_pylist()


def captions(folder: Path) -> dict[str, tuple[str, str]]:
    return {row["object_key"]: (row["caption"], row["caption_source"]) for row in rows_of(folder)}


def test_by_default_decisions_are_beside_the_prompts_and_change_nothing(reviewed: Database, tmp_path: Path) -> None:
    folder, report = export_to(tmp_path, reviewed, plan("parquet"))

    assert report.exported == len(KEYS)
    assert captions(folder) == dict.fromkeys(KEYS, (PROMPTS[0], "prompt_1"))
    rows = {row["object_key"]: row for row in rows_of(folder)}
    assert {key: row["decision"] for key, row in rows.items() if row["decision"]} == DECISIONS
    assert {key for key, row in rows.items() if row["reviewer"] == "=anna"} == set(DECISIONS)
    assert {key for key, row in rows.items() if row["reviewed_at"] is not None} == set(DECISIONS)


def test_approved_texts_are_taken_rejected_images_left_out_and_others_fall_back(
    reviewed: Database, tmp_path: Path
) -> None:
    folder, report = export_to(tmp_path, reviewed, plan("parquet", choose=Choose.REVIEWED, prompt="longest"))

    fallback = (PROMPTS[2], "prompt_3")
    assert captions(folder) == {
        "approved": (PROMPTS[2], "prompt_3"),
        "edited": ("ok then", "edited"),
        "outdated": fallback,
        "undecided": fallback,
        "withdrawn": fallback,
    }
    assert report.to_json()["left_out"] == {"rejected": 1}


def test_only_approved_texts(reviewed: Database, tmp_path: Path) -> None:
    wanted = plan("parquet", choose=Choose.REVIEWED, reviewed_only=True, min_letters=50)
    folder, report = export_to(tmp_path, reviewed, wanted)

    assert captions(folder) == {"approved": (PROMPTS[2], "prompt_3"), "edited": ("ok then", "edited")}
    assert report.to_json()["left_out"] == {"outdated": 1, "rejected": 1, "undecided": 2}


def test_a_spreadsheet_has_them_too_and_takes_no_name_for_a_formula(reviewed: Database, tmp_path: Path) -> None:
    folder, _ = export_to(tmp_path, reviewed, plan("csv", choose=Choose.REVIEWED, reviewed_only=True))

    with (folder / "prompts.csv").open(encoding="utf-8-sig", newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["caption"], first["caption_source"], first["decision"]) == (PROMPTS[2], "prompt_3", "approved")
    assert (second["caption"], second["caption_source"]) == ("ok then", "edited")
    assert first["reviewer"] == "'=anna"
    assert first["reviewed_at"].endswith("+00:00")


def test_a_notebook_reads_them(reviewed: Database, place: MetadataPlace) -> None:
    where = {"schema": place.names.schema, "bucket": "photos"}

    everything = {row.key: row for row in airflow_midjourney.read_prompts(place.url, **where)}
    without = [row.key for row in airflow_midjourney.read_prompts(place.url, choose="reviewed", **where)]
    only = list(airflow_midjourney.read_prompts(place.url, choose="reviewed", reviewed_only=True, **where))

    assert {key: row.decision for key, row in everything.items() if row.decision} == DECISIONS
    assert (everything["approved"].caption, everything["approved"].reviewer) == (PROMPTS[2], "=anna")
    assert everything["approved"].reviewed_at is not None
    assert everything["approved"].reviewed_at.tzinfo is UTC
    assert everything["outdated"].caption is None
    assert without == sorted(set(KEYS) - {"rejected"})
    assert [(row.key, row.caption, row.caption_source) for row in only] == [
        ("approved", PROMPTS[2], "prompt_3"),
        ("edited", "ok\nthen", "edited"),
    ]


def test_arrow_has_the_approved_text_as_the_caption(reviewed: Database, place: MetadataPlace) -> None:
    where = {"schema": place.names.schema, "bucket": "photos"}

    table = airflow_midjourney.read_prompts_as_arrow(place.url, choose="reviewed", **where)
    found = {row["object_key"]: (row["caption"], row["caption_source"]) for row in table.to_pylist()}

    assert found["approved"] == (PROMPTS[2], "prompt_3")
    assert found["undecided"] == (PROMPTS[0], "prompt_1")


def test_the_same_bytes_are_taken_under_the_key_that_was_approved(database: Database, tmp_path: Path) -> None:
    fill(database, [described("a", body="same"), described("b", body="same")])
    decide(database, "b", ReviewDecision.APPROVED, prompt=4)

    folder, _ = export_to(tmp_path, database, plan("parquet", choose=Choose.REVIEWED, reviewed_only=True))

    assert captions(folder) == {"b": (PROMPTS[3], "prompt_4")}


def test_arguments_that_make_no_sense_are_refused() -> None:
    with pytest.raises(SettingsError, match="choose must be one of described, reviewed, not 'best'"):
        read_choose("best")
    with pytest.raises(SettingsError, match="reviewed_only=True needs choose='reviewed'"):
        plan("csv", reviewed_only=True)
