"""Answers, decisions, orders and erasures in any order: what counts is what a reviewer said last of what they saw."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import select, text

from airflow_midjourney.describe.admin.erase import erase
from airflow_midjourney.describe.admin.redescribe import ask_again, offer
from airflow_midjourney.describe.admin.review import decide, lend
from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.model.review import ReviewDecision
from airflow_midjourney.describe.queries.filters import Filters
from airflow_midjourney.describe.queries.reviews import look_at_reviews
from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.describe.table.migrations import ensure_tables
from airflow_midjourney.describe.table.results import RemoteTimes
from airflow_midjourney.describe.table.reviews.decisions import Review, SeenAnswer, Written
from tests.support import rows

DAGS = frozenset({"dag"})
WINDOWS = st.sampled_from(["anna", "ben"])
KEYS = ("a.jpg", "b.jpg")
PLACES = st.integers(0, len(KEYS) - 1)


@dataclass
class Image:
    """What the test knows of one image.

    :param answers: how often it was described.
    :param waits: whether a new answer is on order.
    :param decision: the newest one, and the answer that it was about.
    """

    id: int
    answers: int = 1
    waits: bool = False
    decision: ReviewDecision | None = None
    about: int = 0
    erased: bool = False


class Machine(RuleBasedStateMachine):
    """Two reviewers, each with a page that may be old by the time that they press a key."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.database = open_database(f"sqlite:///{self.folder}/table.sqlite")
        ensure_tables(self.database)
        self.images: list[Image] = []
        self.pages: dict[tuple[str, int], tuple[SeenAnswer, tuple[int, int]]] = {}
        self.tasks = 0
        self.written = 0

    def teardown(self) -> None:
        self.database.close()
        shutil.rmtree(self.folder)

    def describe(self) -> int:
        self.tasks += 1
        with self.database.writing() as tx:
            row = rows.submit_next(tx, rows.open_batch(tx), str(self.tasks))
            assert rows.described(tx, row, rows.four_prompts(), "raw", RemoteTimes())
        return row.id

    @initialize()
    def begin(self) -> None:
        with self.database.writing() as tx:
            rows.list_images(tx, [rows.listed(key) for key in KEYS], batch=rows.open_batch(tx))
        self.images = [Image(self.describe()) for _ in KEYS]

    @rule(window=WINDOWS, place=PLACES)
    def look(self, window: str, place: int) -> None:
        image = self.images[place]
        with self.database.reading() as tx:
            found = look_at_reviews(tx, [image.id])
        assert bool(found) is not (image.waits or image.erased)
        for one in found:
            self.pages[window, place] = (one.seen, (image.answers, self.number_of(one.seen)))

    def number_of(self, seen: SeenAnswer) -> int:
        return seen.newest or 0

    @rule(window=WINDOWS, place=PLACES, decision=st.sampled_from(ReviewDecision), prompt=st.integers(1, 4))
    def press(self, window: str, place: int, decision: ReviewDecision, prompt: int) -> None:
        if (window, place) not in self.pages:
            return
        seen, (answers, newest) = self.pages[window, place]
        image = self.images[place]
        review = Review(seen, decision, prompt=prompt if decision is ReviewDecision.APPROVED else None)
        with self.database.writing() as tx:
            before = self.newest_id(tx, image.id)
            (outcome,) = decide(tx, [review], window, DAGS, window)
        same_answer = not (image.waits or image.erased) and answers == image.answers
        if outcome.written is Written.ADDED:
            assert same_answer
            assert newest == before, "It was written over a decision that was not seen."
            image.decision, image.about = decision, image.answers
            self.written += 1
        else:
            nothing_to_take_back = decision is ReviewDecision.WITHDRAWN and image.decision in (
                None,
                ReviewDecision.WITHDRAWN,
            )
            assert not same_answer or newest != before or nothing_to_take_back or outcome.written is Written.REPEATED

    def newest_id(self, tx: Any, image_id: int) -> int:
        reviews = tx.tables.reviews.c
        ids = tx.connection.execute(select(reviews.id).where(reviews.image_id == image_id)).scalars()
        return max(ids, default=0)

    @rule(place=PLACES)
    def order_a_new_answer(self, place: int) -> None:
        image = self.images[place]
        if image.waits or image.erased:
            return
        with self.database.writing() as tx:
            seen = offer(tx, [image.id], DAGS).seen
            ask_again(tx, f"request {image.id} {image.answers}", "anna", seen, DAGS, None)
        image.waits = True
        image.answers += 1

    @rule()
    def the_answers_come(self) -> None:
        for _ in [image for image in self.images if image.waits]:
            described = self.describe()
            (image,) = (one for one in self.images if one.id == described)
            image.waits = False

    @rule(place=PLACES)
    def erase(self, place: int) -> None:
        erase(self.database, [Scope(rows.BUCKET, (KEYS[place],))], "a run")
        image = self.images[place]
        image.erased, image.waits, image.decision = True, False, None

    @rule()
    def lend(self) -> None:
        with self.database.writing() as tx:
            lent = {holder: lend(tx, Filters(), DAGS, holder, limit=len(KEYS)) for holder in ("anna", "ben")}
        numbers = [one.seen.image_id for some in lent.values() for one in some]
        assert len(numbers) == len(set(numbers))
        assert sorted(numbers) == [image.id for image in self.images if self.is_open(image)]

    def is_open(self, image: Image) -> bool:
        decided = image.decision not in (None, ReviewDecision.WITHDRAWN) and image.about == image.answers
        return not (image.erased or image.waits or decided)

    @invariant()
    def the_view_says_what_counts(self) -> None:
        with self.database.reading() as tx:
            view = text(f"SELECT id, decision, caption FROM {tx.tables.images.fullname}_current")
            found = {row.id: row for row in tx.connection.execute(view)}
        for image in self.images:
            assert (image.id in found) is not image.erased
            if image.erased:
                continue
            row = found[image.id]
            assert row.decision == self.expected(image)
            assert (row.caption is not None) is (row.decision == ReviewDecision.APPROVED)

    def expected(self, image: Image) -> str | None:
        if image.decision in (None, ReviewDecision.WITHDRAWN):
            return None
        return image.decision.value if image.about == image.answers else "outdated"


TestReviewsInAnyOrder = Machine.TestCase
TestReviewsInAnyOrder.settings = settings(max_examples=25, stateful_step_count=30, deadline=None, derandomize=True)
