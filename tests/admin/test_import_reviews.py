"""Label Studio there and back: what people decide there is in the table once, and overwrites nothing unseen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update

from airflow_midjourney.describe.admin.import_reviews import IMPORTED_AT_ONCE, ImportReport, import_reviews
from airflow_midjourney.describe.exports.selection import Choose
from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.model.errors import SettingsError
from airflow_midjourney.describe.model.review import ReviewDecision
from airflow_midjourney.describe.queries.reviews import look_at_reviews
from airflow_midjourney.describe.queries.rows import Wanted, read_rows
from airflow_midjourney.describe.table.reviews.decisions import Review, Written, write_reviews
from tests.support.annotated import annotated, annotation, chosen, exported, written
from tests.support.described import BUCKET, PROMPTS, described, fill

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from airflow_midjourney.describe.table.database import Database

ALL = Scope(BUCKET, ("",))
LATER = "2026-03-05T10:00:00Z"


def taken(database: Database, entries: Iterable[object], scope: Scope = ALL) -> dict[str, int]:
    """Import entries, and give the counts that are not zero."""
    report = import_reviews(database, scope, entries)
    return {name: number for name, number in report.to_json().items() if number}


def captions(database: Database) -> dict[str, tuple[Any, ...]]:
    return {
        row.key: (row.decision, row.caption, row.caption_source, row.reviewer)
        for row in read_rows(database, Wanted(ALL))
        if row.decision
    }


def reviews_of(database: Database) -> int:
    with database.reading() as tx:
        return len(list(tx.connection.execute(select(tx.tables.reviews.c.id))))


def decide_on_the_page(database: Database, key: str, prompt: int) -> None:
    with database.writing() as tx:
        images = tx.tables.images.c
        image_id = tx.connection.execute(select(images.id).where(images.key == key)).scalar_one()
        (image,) = look_at_reviews(tx, [image_id])
        (outcome,) = write_reviews(tx, [Review(image.seen, ReviewDecision.APPROVED, prompt=prompt)], "bob")
    assert outcome.written is Written.ADDED


def take_back_on_the_page(database: Database, key: str) -> None:
    with database.writing() as tx:
        images = tx.tables.images.c
        image_id = tx.connection.execute(select(images.id).where(images.key == key)).scalar_one()
        (image,) = look_at_reviews(tx, [image_id])
        (outcome,) = write_reviews(tx, [Review(image.seen, ReviewDecision.WITHDRAWN)], "bob")
    assert outcome.written is Written.ADDED


def test_there_and_back_gives_the_same_decisions_and_a_second_time_adds_nothing(
    database: Database, tmp_path: Path
) -> None:
    fill(database, [described(key, task_id=f"task {key}") for key in ("a", "b", "c", "d", "e")])
    tasks = exported(tmp_path / "first", database)
    file = [
        annotated(tasks["a"], annotation(chosen("approved"), written(PROMPTS[1]), by=3)),
        annotated(
            tasks["b"], annotation(chosen("approved"), written("my own words"), by={"email": "anna@example.com"})
        ),
        annotated(tasks["c"], annotation(chosen("rejected"))),
        annotated(tasks["d"], annotation(was_cancelled=True)),
        annotated(tasks["e"]),
    ]

    assert taken(database, file) == {"entries": 5, "added": 3, "skipped": 1, "open": 1}
    decided = {
        "a": ("approved", PROMPTS[1], "prompt_2", "3 (Label Studio)"),
        "b": ("approved", "my own words", "edited", "anna@example.com (Label Studio)"),
        "c": ("rejected", None, None, "3 (Label Studio)"),
    }
    assert captions(database) == decided
    assert taken(database, file) == {"entries": 5, "unchanged": 3, "skipped": 1, "open": 1}
    assert reviews_of(database) == 3

    again = exported(tmp_path / "second", database, choose=Choose.REVIEWED)
    shown = {key: [one["result"][0]["value"]["text"] for one in task["predictions"]] for key, task in again.items()}
    assert shown["a"] == [[PROMPTS[1]]]
    assert shown["b"] == [["my own words"]]
    assert "c" not in shown
    confirmed = [annotated(again[key], annotation(chosen("approved"), *one)) for key, one in _regions(again).items()]
    assert taken(database, [one for one in confirmed if one["data"]["image_uri"].endswith("/a")]) == {
        "entries": 1,
        "unchanged": 1,
    }
    assert captions(database)["a"] == decided["a"]


def _regions(tasks: dict[str, dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    return {key: task["predictions"][0]["result"] for key, task in tasks.items()}


def test_an_annotator_may_change_their_mind_and_an_old_file_undoes_nothing(database: Database, tmp_path: Path) -> None:
    fill(database, [described("a")])
    task = exported(tmp_path, database)["a"]
    first = [annotated(task, annotation(written("first thought")))]
    second = [annotated(task, annotation(written("second thought"), updated_at=LATER))]

    assert taken(database, first) == {"entries": 1, "added": 1}
    assert taken(database, second) == {"entries": 1, "added": 1}
    assert taken(database, first) == {"entries": 1, "older": 1}
    assert captions(database)["a"][1] == "second thought"
    assert reviews_of(database) == 2


def test_another_persons_decision_stays_unless_the_annotator_was_shown_it(database: Database, tmp_path: Path) -> None:
    fill(database, [described("a")])
    before = exported(tmp_path / "before", database)["a"]
    decide_on_the_page(database, "a", prompt=4)

    assert taken(database, [annotated(before, annotation(chosen("rejected")))]) == {
        "entries": 1,
        "decided_meanwhile": 1,
    }
    assert captions(database)["a"][1] == PROMPTS[3]

    after = exported(tmp_path / "after", database)["a"]
    assert taken(database, [annotated(after, annotation(chosen("rejected")))]) == {"entries": 1, "added": 1}
    assert captions(database)["a"][0] == "rejected"


def test_the_same_file_once_more_does_not_undo_that_a_person_took_the_decision_back(
    database: Database, tmp_path: Path
) -> None:
    fill(database, [described("a"), described("b")])
    tasks = exported(tmp_path / "before", database)
    file = [annotated(tasks[key], annotation(chosen("rejected"))) for key in ("a", "b")]
    nameless = {**file[1], "annotations": [{**file[1]["annotations"][0], "updated_at": None, "created_at": None}]}
    assert taken(database, file) == {"entries": 2, "added": 2}
    for key in ("a", "b"):
        take_back_on_the_page(database, key)

    assert taken(database, file) == {"entries": 2, "decided_meanwhile": 2}
    assert taken(database, [nameless]) == {"entries": 1, "decided_meanwhile": 1}
    assert captions(database) == {}

    again = annotated(tasks["a"], annotation(chosen("rejected"), updated_at="2999-01-01T00:00:00Z"))
    assert taken(database, [again]) == {"entries": 1, "added": 1}


def test_a_new_answer_makes_an_annotation_outdated(database: Database, tmp_path: Path) -> None:
    fill(database, [described("a", task_id="1"), described("b", task_id="2"), described("c", task_id="3")])
    tasks = exported(tmp_path, database)
    with database.writing() as tx:
        images = tx.tables.images
        tx.connection.execute(update(images).where(images.c.key == "a").values(task_id="9"))
        tx.connection.execute(update(images).where(images.c.key == "b").values(prompt_2="another"))
        tx.connection.execute(update(images).where(images.c.key == "c").values(status="pending"))

    file = [annotated(task, annotation(written(PROMPTS[0]))) for task in tasks.values()]

    assert taken(database, file) == {"entries": 3, "outdated": 3}
    assert reviews_of(database) == 0


def test_only_images_of_the_scope_that_the_table_has_are_decided_about(database: Database, tmp_path: Path) -> None:
    fill(database, [described("in/a"), described("out/b"), described("in/c")])
    tasks = exported(tmp_path, database)
    tasks["c"]["data"]["image_version"] = "another"
    niji = annotated(tasks["a"], annotation(chosen("rejected")))
    niji = {**niji, "data": {**niji["data"], "bot_type": "NIJI_JOURNEY"}}
    file = [*(annotated(tasks[key], annotation(chosen("rejected"))) for key in "abc"), niji]

    assert taken(database, file, Scope(BUCKET, ("in/",))) == {
        "entries": 4,
        "added": 1,
        "unknown_image": 1,
        "out_of_scope": 1,
        "passed_over": 1,
    }
    assert set(captions(database)) == {"in/a"}


def test_more_than_a_group_and_annotations_of_one_image_side_by_side(database: Database, tmp_path: Path) -> None:
    fill(database, [described(f"{number:04}") for number in range(IMPORTED_AT_ONCE + 5)])
    tasks = exported(tmp_path, database)
    flat = [
        {
            **task["data"],
            "id": 1,
            "decision": word,
            "caption": "words" * (word == "approved"),
            "updated_at": when,
            "annotator": by,
        }
        for task in tasks.values()
        for word, when, by in (("rejected", "2026-03-02T08:00:00Z", 1), ("approved", "2026-03-02T09:00:00Z", 2))
    ]

    number = len(tasks)
    assert taken(database, flat) == {"entries": 2 * number, "added": number, "passed_over": number}
    assert {one[1] for one in captions(database).values()} == {"words"}
    assert taken(database, flat) == {"entries": 2 * number, "unchanged": number, "passed_over": number}


def test_what_is_not_understood_stops_nothing_and_is_quoted(database: Database, tmp_path: Path) -> None:
    fill(database, [described("a")])
    task = exported(tmp_path, database)["a"]

    report = import_reviews(database, ALL, [17, {"id": 5}, annotated(task, annotation(chosen("rejected")))])

    assert report.to_json()["added"] == 1
    assert [text for some in report.quoted.values() for text in some] == [
        "entry 1 (id None): an entry is no object",
        "entry 2 (id 5): a task whose data has no image_uri, image_version, bot_type, answer: it is not from an export"
        " of this table",
    ]


@pytest.mark.parametrize("odd", ["a\x00b", "a\ud800b", "a" * 5000, "🚤"])
def test_text_that_no_database_holds_stops_nothing(database: Database, tmp_path: Path, odd: str) -> None:
    fill(database, [described("a"), described("b"), described("c")])
    tasks = exported(tmp_path, database)
    strange = [
        annotated({"data": {**tasks["a"]["data"], name: f"s3://{BUCKET}/{odd}" if name == "image_uri" else odd}}, one)
        for one in [annotation(chosen("rejected"))]
        for name in ("image_uri", "image_version", "answer")
    ]
    named = annotated(tasks["b"], annotation(written(odd), by={"email": odd}))

    counts = taken(database, [*strange, named, annotated(tasks["c"], annotation(chosen("rejected")))])

    assert (counts["entries"], counts["added"]) == (5, 2)
    assert captions(database)["b"][0] == "approved"


def test_a_file_of_which_nothing_is_understood_is_an_error_that_says_how_it_has_to_look(database: Database) -> None:
    with pytest.raises(SettingsError, match=r"None of 2 entries could be understood: entry 1 .*as JSON or JSON-MIN"):
        import_reviews(database, ALL, [{"a": 1}, {"b": 2}])


def test_an_empty_file_is_no_error(database: Database) -> None:
    assert import_reviews(database, ALL, []) == ImportReport()
