"""What people have decided about prompts, and which images still wait for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import ColumnElement, and_, case, exists, func, select, true

from airflow_midjourney.describe.model.review import ReviewDecision
from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.describe.queries.filters import wanted
from airflow_midjourney.describe.table.reviews.decisions import SeenAnswer, name_answer, newest_reviews
from airflow_midjourney.describe.table.reviews.leases import held_by_another
from airflow_midjourney.describe.table.schema import PROMPT_COLUMNS, has_status
from airflow_midjourney.describe.table.schema.reviews import is_about_this_answer, is_newest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_midjourney.describe.queries.filters import Filters
    from airflow_midjourney.describe.queries.owners import DagIds
    from airflow_midjourney.describe.table.database import Transaction
    from airflow_midjourney.describe.table.reviews.decisions import KnownReview
    from airflow_midjourney.describe.table.schema import Tables

#: Images that a page counts at most.
MOST_REVIEWS_COUNTED: Final = 10_000

#: Images that are looked up at once.
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class ReviewedImage:
    """An image as a reviewer sees it.

    :param seen: what a decision about it has to name.
    :param newest: the newest decision, a withdrawn or outdated one, too.
    :param outdated: whether that one was about another answer.
    """

    seen: SeenAnswer
    image_uri: str
    prompts: tuple[str, ...]
    newest: KnownReview | None
    outdated: bool

    @property
    def is_open(self) -> bool:
        """Whether it waits for a decision."""
        return self.newest is None or self.outdated or self.newest.decision is ReviewDecision.WITHDRAWN


def look_at_reviews(tx: Transaction, image_ids: Sequence[int]) -> list[ReviewedImage]:
    """Give described images with their newest decisions, in the order of their numbers; others are left out."""
    images = tx.tables.images
    found: list[ReviewedImage] = []
    for start in range(0, len(image_ids), _AT_ONCE):
        some = sorted(image_ids)[start : start + _AT_ONCE]
        newest = newest_reviews(tx, some)
        rows = tx.connection.execute(
            select(images.c.id, images.c.image_uri, images.c.task_id, *(images.c[name] for name in PROMPT_COLUMNS))
            .where(images.c.id.in_(some), has_status(images, Status.SUCCEEDED))
            .order_by(images.c.id)
        )
        for image_id, uri, task_id, *prompts in rows:
            review = newest.get(image_id)
            seen = SeenAnswer(image_id, name_answer(task_id, prompts), None if review is None else review.id)
            outdated = review is not None and review.task_id != task_id
            found.append(ReviewedImage(seen, uri, tuple(text for text in prompts if text), review, outdated))
    return found


@dataclass(frozen=True, slots=True)
class Counted:
    """How far people have come.

    :param images: described ones, counted up to :data:`MOST_REVIEWS_COUNTED` and one.
    :param decided: how many of the counted ones have a decision about the prompts they have.
    """

    images: int
    decided: int


def count_reviewed(tx: Transaction, filters: Filters, dag_ids: DagIds) -> Counted:
    """Count images, and the decided ones among them; no further than a page can wait for."""
    some = select(case((is_decided(tx.tables), 1), else_=0).label("decided"))
    counted = some.where(_reviewable(tx, filters, dag_ids)).limit(MOST_REVIEWS_COUNTED + 1).subquery()
    images, decided = tx.connection.execute(
        select(func.count(), func.coalesce(func.sum(counted.c.decided), 0)).select_from(counted)
    ).one()
    return Counted(images, int(decided))


def _reviewable(tx: Transaction, filters: Filters, dag_ids: DagIds) -> ColumnElement[bool]:
    images = tx.tables.images
    described = and_(has_status(images, Status.SUCCEEDED), images.c.is_current == true())
    return and_(described, wanted(tx, filters, dag_ids))


def open_images(
    tx: Transaction, filters: Filters, dag_ids: DagIds, holder: str, after: int, limit: int
) -> list[ReviewedImage]:
    """Give the next images that wait for a decision, in the order of their numbers.

    :param dag_ids: the DAGs whose images the reviewer may decide about.
    :param holder: the reviewer's window: what others have before them is left out.
    :param after: number of the last image before them; 0 for the first ones.
    """
    images = tx.tables.images
    ids = tx.connection.execute(
        select(images.c.id)
        .where(
            _reviewable(tx, filters, dag_ids),
            images.c.id > after,
            ~is_decided(tx.tables),
            ~held_by_another(tx, holder),
        )
        .order_by(images.c.id)
        .limit(limit)
    )
    return look_at_reviews(tx, list(ids.scalars()))


def is_decided(tables: Tables) -> ColumnElement[bool]:
    """Give the condition that the newest decision about an image is about the prompts it has, and not withdrawn."""
    images, reviews = tables.images, tables.reviews
    counts = and_(
        is_newest(images, reviews),
        reviews.c.decision != ReviewDecision.WITHDRAWN.value,
        is_about_this_answer(images, reviews),
    )
    return exists().where(counts).correlate(images)
