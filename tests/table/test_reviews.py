"""Decisions about prompts: added only to what their reviewer saw, outdated by a new answer, erased with the image."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import TYPE_CHECKING, Any, Final

import pytest
from sqlalchemy import select, text

from airflow_midjourney.describe.admin.erase import erase
from airflow_midjourney.describe.admin.redescribe import ask_again, offer
from airflow_midjourney.describe.admin.review import decide, lend
from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.model.review import ReviewDecision
from airflow_midjourney.describe.queries.filters import Filters
from airflow_midjourney.describe.queries.reviews import ReviewedImage, look_at_reviews
from airflow_midjourney.describe.table.results import RemoteTimes
from airflow_midjourney.describe.table.reviews.decisions import Review, SeenAnswer, Written, write_reviews
from tests.support import rows

if TYPE_CHECKING:
    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.database import Database, Transaction

DAGS: Final = frozenset({"dag"})
ALL: Final = Filters()


def describe(tx: Transaction, batch: Batch, task_id: str) -> int:
    row = rows.submit_next(tx, batch, task_id)
    assert rows.described(tx, row, rows.four_prompts(), "raw", RemoteTimes())
    return row.id


@pytest.fixture
def images(database: Database) -> list[int]:
    """Three described images of one DAG."""
    with database.writing() as tx:
        batch = rows.open_batch(tx)
        rows.list_images(tx, [rows.listed(f"{number}.jpg") for number in range(3)], batch=batch)
        return [describe(tx, batch, str(number)) for number in range(1, 4)]


def look(database: Database, image_id: int) -> ReviewedImage:
    with database.reading() as tx:
        (found,) = look_at_reviews(tx, [image_id])
    return found


def write(
    database: Database, seen: SeenAnswer, decision: ReviewDecision, reviewer: str = "anna", **what: Any
) -> Written:
    with database.writing() as tx:
        (outcome,) = write_reviews(tx, [Review(seen, decision, **what)], reviewer)
    return outcome.written


def approve(database: Database, seen: SeenAnswer, prompt: int = 2, reviewer: str = "anna") -> Written:
    return write(database, seen, ReviewDecision.APPROVED, reviewer, prompt=prompt)


def current(database: Database, image_id: int) -> dict[str, Any]:
    """Give what the view says of the newest decision."""
    with database.reading() as tx:
        view = f"{tx.tables.images.fullname}_current"
        columns = "caption, caption_source, decision, reviewer"
        query = text(f"SELECT {columns} FROM {view} WHERE id = :id")
        return dict(tx.connection.execute(query, {"id": image_id}).mappings().one())


NOTHING: Final = {"caption": None, "caption_source": None, "decision": None, "reviewer": None}


def describe_again(database: Database, image_id: int, task_id: str) -> None:
    """Order a new answer."""
    with database.writing() as tx:
        seen = offer(tx, [image_id], DAGS).seen
        assert ask_again(tx, f"request {task_id}", "anna", seen, DAGS, None).image_ids == (image_id,)


def test_an_approved_prompt_is_the_caption_with_who_and_when(database: Database, images: list[int]) -> None:
    before = look(database, images[0])

    assert before.is_open
    assert approve(database, before.seen) is Written.ADDED

    after = look(database, images[0])
    assert (after.is_open, after.outdated) == (False, False)
    assert after.newest is not None
    assert (after.newest.caption, after.newest.caption_source, after.newest.reviewer) == ("two", "prompt_2", "anna")
    with database.reading() as tx:
        assert timedelta(0) <= tx.now - after.newest.reviewed_at < timedelta(hours=1)
    assert current(database, images[0]) == {
        "caption": "two",
        "caption_source": "prompt_2",
        "decision": "approved",
        "reviewer": "anna",
    }
    assert current(database, images[1]) == NOTHING


def test_a_text_of_the_reviewers_own_is_kept_as_it_is(database: Database, images: list[int]) -> None:
    seen = look(database, images[0]).seen

    assert write(database, seen, ReviewDecision.APPROVED, text=" a boat\x00 🚤 ") is Written.ADDED

    found = current(database, images[0])
    assert (found["caption"], found["caption_source"]) == ("a boat 🚤", "edited")


def test_a_rejected_image_has_no_caption(database: Database, images: list[int]) -> None:
    assert write(database, look(database, images[0]).seen, ReviewDecision.REJECTED) is Written.ADDED

    assert current(database, images[0]) == {**NOTHING, "decision": "rejected", "reviewer": "anna"}


def test_the_second_of_two_who_saw_the_same_is_told_what_the_first_decided(
    database: Database, images: list[int]
) -> None:
    seen = look(database, images[0]).seen
    assert approve(database, seen, prompt=1) is Written.ADDED

    with database.writing() as tx:
        (outcome,) = write_reviews(tx, [Review(seen, ReviewDecision.REJECTED)], "ben")

    assert outcome.written is Written.DECIDED_MEANWHILE
    assert outcome.newest is not None
    assert (outcome.newest.reviewer, outcome.newest.caption) == ("anna", "one")
    assert write(database, look(database, images[0]).seen, ReviewDecision.REJECTED, "ben") is Written.ADDED
    assert current(database, images[0])["decision"] == "rejected"


def test_of_two_at_once_one_is_written(database: Database, images: list[int]) -> None:
    seen, start = look(database, images[0]).seen, Barrier(2)

    def press(reviewer: str) -> Written:
        start.wait(60)
        decision = Review(seen, ReviewDecision.APPROVED, prompt=1 if reviewer == "anna" else 2)
        (outcome,) = database.write_here(write_reviews, [decision], reviewer)
        return outcome.written

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(press, ["anna", "ben"])) == [Written.ADDED, Written.DECIDED_MEANWHILE]
    with database.reading() as tx:
        assert len(tx.connection.execute(tx.tables.reviews.select()).all()) == 1


def test_a_decision_that_comes_twice_is_written_once(database: Database, images: list[int]) -> None:
    seen = look(database, images[0]).seen

    assert [approve(database, seen), approve(database, seen)] == [Written.ADDED, Written.REPEATED]

    with database.reading() as tx:
        assert len(tx.connection.execute(tx.tables.reviews.select()).all()) == 1


def test_a_withdrawn_decision_leaves_the_image_open_and_both_in_the_table(
    database: Database, images: list[int]
) -> None:
    assert approve(database, look(database, images[0]).seen) is Written.ADDED
    assert write(database, look(database, images[0]).seen, ReviewDecision.WITHDRAWN) is Written.ADDED

    assert look(database, images[0]).is_open
    assert current(database, images[0]) == NOTHING
    assert write(database, look(database, images[0]).seen, ReviewDecision.WITHDRAWN, "ben") is Written.IMPOSSIBLE
    with database.reading() as tx:
        found = tx.connection.execute(select(tx.tables.reviews.c.decision).order_by(tx.tables.reviews.c.id))
        assert found.scalars().all() == ["approved", "withdrawn"]


def test_a_new_answer_makes_the_decision_outdated_and_visibly_so(database: Database, images: list[int]) -> None:
    assert approve(database, look(database, images[0]).seen) is Written.ADDED
    old = look(database, images[0]).seen
    describe_again(database, images[0], "9")

    assert current(database, images[0])["decision"] == "outdated"
    assert approve(database, old, prompt=1) is Written.ANSWER_CHANGED
    with database.writing() as tx:
        describe(tx, rows.open_batch(tx), "9")

    after = look(database, images[0])
    assert (after.is_open, after.outdated) == (True, True)
    assert current(database, images[0]) == {**NOTHING, "decision": "outdated", "reviewer": "anna"}
    assert approve(database, after.seen, prompt=4) is Written.ADDED
    assert current(database, images[0])["caption"] == "four"


def test_prompts_that_were_corrected_meanwhile_are_not_the_ones_that_were_seen(
    database: Database, images: list[int]
) -> None:
    seen = look(database, images[0]).seen
    with database.writing() as tx:
        rows.set_columns(tx, images[0], prompt_2="a red boat on a lake at dawn")

    assert approve(database, seen) is Written.ANSWER_CHANGED
    assert approve(database, look(database, images[0]).seen) is Written.ADDED
    assert current(database, images[0])["caption"] == "a red boat on a lake at dawn"


@pytest.mark.parametrize("what", [{}, {"prompt": 1, "text": "both"}, {"text": "  "}])
def test_an_approval_says_what_it_approves(what: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="An approval has"):
        Review(SeenAnswer(1, "answer"), ReviewDecision.APPROVED, **what)
    with pytest.raises(ValueError, match="no other decision"):
        Review(SeenAnswer(1, "answer"), ReviewDecision.REJECTED, prompt=1)


def test_what_cannot_be_decided_is_said(database: Database, images: list[int]) -> None:
    seen = look(database, images[0]).seen

    assert write(database, SeenAnswer(4711, "answer"), ReviewDecision.REJECTED) is Written.IMPOSSIBLE
    assert approve(database, seen, prompt=5) is Written.IMPOSSIBLE
    with database.writing() as tx, pytest.raises(ValueError, match="Two reviews of one image"):
        write_reviews(tx, [Review(seen, ReviewDecision.REJECTED)] * 2, "anna")


def test_an_erased_image_takes_its_decisions_along_and_no_other(database: Database, images: list[int]) -> None:
    for image_id in images[:2]:
        assert write(database, look(database, image_id).seen, ReviewDecision.APPROVED, text="Jane") is Written.ADDED
    with database.writing() as tx:
        assert len(lend(tx, ALL, DAGS, "a window", limit=3)) == 1

    erase(database, [Scope(rows.BUCKET, ("0.jpg", "2.jpg"))], "a run")

    with database.reading() as tx:
        reviews, leases = tx.tables.reviews, tx.tables.review_leases
        assert tx.connection.execute(select(reviews.c.image_id)).scalars().all() == [images[1]]
        assert tx.connection.execute(leases.select()).all() == []


def test_only_who_may_edit_the_dag_decides(database: Database, images: list[int]) -> None:
    review = Review(look(database, images[0]).seen, ReviewDecision.REJECTED)
    for dag_ids, written in ((frozenset({"other"}), Written.IMPOSSIBLE), (DAGS, Written.ADDED)):
        with database.writing() as tx:
            (outcome,) = decide(tx, [review], "anna", dag_ids, "a window")
            assert outcome.written is written
    with database.writing() as tx:
        assert lend(tx, ALL, frozenset({"other"}), "a window") == []


def lent(database: Database, holder: str, limit: int = 1, after: int = 0) -> list[int]:
    return [one.seen.image_id for one in database.write_here(lend, ALL, DAGS, holder, after, limit)]


def test_two_reviewers_never_have_the_same_image_before_them(database: Database, images: list[int]) -> None:
    assert lent(database, "anna", 2) == images[:2]
    assert lent(database, "ben", 2) == images[2:]
    assert lent(database, "anna", 2) == images[:2], "after a reload, the same ones"
    assert lent(database, "carl") == []


def test_of_many_who_ask_at_once_each_has_images_of_their_own(database: Database, images: list[int]) -> None:
    start = Barrier(3)

    def ask(holder: str) -> list[int]:
        start.wait(60)
        return lent(database, holder)

    with ThreadPoolExecutor(3) as pool:
        found = [image_id for some in pool.map(ask, ["anna", "ben", "carl"]) for image_id in some]
    assert sorted(found) == images


def test_the_images_of_a_reviewer_who_is_gone_come_back_when_the_lease_has_run_out(
    database: Database, images: list[int]
) -> None:
    assert lent(database, "anna", 3) == images
    assert lent(database, "ben") == []

    with database.writing() as tx:
        leases = tx.tables.review_leases
        tx.connection.execute(leases.update().values(held_until=tx.now - timedelta(seconds=1)))

    assert lent(database, "ben") == images[:1]


def test_a_decided_image_is_given_back_and_not_lent_again(database: Database, images: list[int]) -> None:
    (image_id,) = lent(database, "anna")
    review = Review(look(database, image_id).seen, ReviewDecision.APPROVED, prompt=1)
    with database.writing() as tx:
        decide(tx, [review], "anna", DAGS, "anna")
        assert tx.connection.execute(tx.tables.review_leases.select()).all() == []

    assert lent(database, "anna", 3) == images[1:]
    assert lent(database, "ben", 3) == []
