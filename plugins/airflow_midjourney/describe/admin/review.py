"""A person decides about prompts: images are lent to one reviewer at a time, and decisions are only added.

Both go by the DAGs that the person may edit; all other images are not there for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from airflow_midjourney.describe.model.review import ReviewDecision
from airflow_midjourney.describe.queries.owners import DagIds, belongs_to
from airflow_midjourney.describe.queries.reviews import open_images
from airflow_midjourney.describe.table.reviews.decisions import ReviewOutcome, Written, write_reviews
from airflow_midjourney.describe.table.reviews.leases import end_leases, take_leases

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_midjourney.describe.queries.filters import Filters
    from airflow_midjourney.describe.queries.reviews import ReviewedImage
    from airflow_midjourney.describe.table.database import Transaction
    from airflow_midjourney.describe.table.reviews.decisions import Review

#: How often another reviewer may be quicker before a page is told that there is nothing.
_TRIES: Final = 5


def lend(
    tx: Transaction, filters: Filters, dag_ids: DagIds, holder: str, after: int = 0, limit: int = 2
) -> list[ReviewedImage]:
    """Give the next images that wait for a decision, each to one reviewer at a time.

    :param dag_ids: the DAGs that the reviewer may edit.
    :param holder: the reviewer's window. It is given again what it holds, for instance after a reload.
    :param after: number of the last image before them; 0 for the first ones.
    """
    for _ in range(_TRIES):
        wanted = open_images(tx, filters, dag_ids, holder, after, limit)
        lent = take_leases(tx, [one.seen.image_id for one in wanted], holder)
        if lent or not wanted:
            return [one for one in wanted if one.seen.image_id in lent]
    return []


def decide(
    tx: Transaction, reviews: Sequence[Review], reviewer: str, dag_ids: DagIds, holder: str
) -> list[ReviewOutcome]:
    """Add decisions of one reviewer, and give back the images that they have decided about.

    :param reviews: of one image each.
    :param reviewer: Airflow's name of the user.
    :param dag_ids: the DAGs that the reviewer may edit; a decision about an image of another DAG is not written.
    :param holder: the reviewer's window.
    :return: what became of each, in the same order.
    """
    images = tx.tables.images.c
    asked = [one.seen.image_id for one in reviews]
    theirs = set(
        tx.connection.execute(select(images.id).where(images.id.in_(asked), belongs_to(tx.tables, dag_ids))).scalars()
    )
    written = write_reviews(tx, [one for one in reviews if one.seen.image_id in theirs], reviewer)
    end_leases(tx, [one.image_id for one in written], holder)
    # An image whose decision is taken back stays before its reviewer.
    take_leases(tx, [one.seen.image_id for one in reviews if _takes_back(one, theirs)], holder)
    outcomes = {one.image_id: one for one in written}
    return [outcomes.get(image_id, ReviewOutcome(image_id, Written.IMPOSSIBLE, None)) for image_id in asked]


def _takes_back(review: Review, theirs: set[int]) -> bool:
    return review.decision is ReviewDecision.WITHDRAWN and review.seen.image_id in theirs
