"""What the script of the review page asks for: the next images, and to write one decision."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field

from airflow_midjourney.describe.admin.review import decide, lend
from airflow_midjourney.describe.model.review import ReviewDecision
from airflow_midjourney.describe.queries.owners import owners
from airflow_midjourney.describe.queries.reviews import ReviewedImage, count_reviewed, open_images
from airflow_midjourney.describe.table.reviews.decisions import KnownReview, Review, SeenAnswer
from airflow_midjourney.web.dependencies import AskedRow, EditableDags, Metadata
from airflow_midjourney.web.filters import WantedForReview
from airflow_midjourney.web.rendering import shown
from airflow_midjourney.web.security.access import CurrentViewer, Viewer

router = APIRouter(prefix="/api/review")

#: Images that are lent together: one to look at, and the next ones, whose pictures are loaded ahead.
_LENT_AT_ONCE: Final = 3

#: A longer text is no caption.
_LONGEST_TEXT: Final = 4000

_Window = Annotated[str, Field(pattern=r"^[0-9a-z]{8,64}$")]


class NextImages(BaseModel):
    """A window asks for images.

    :param window: a random name that the window keeps as long as it is open, also when it is loaded anew.
    :param after: number of the last image that it has; None if it has none.
    """

    window: _Window
    after: AskedRow | None = None


class OneDecision(BaseModel):
    """One decision, with what its reviewer saw.

    :param answer: names the prompts that were shown.
    :param newest: number of the newest decision that was shown.
    """

    window: _Window
    image_id: AskedRow
    answer: str = Field(max_length=64)
    newest: AskedRow | None = None
    decision: ReviewDecision
    prompt: int | None = Field(default=None, ge=1, le=4)
    text: str | None = Field(default=None, max_length=_LONGEST_TEXT)


@router.post("/next")
async def next_images(
    wanted: NextImages, filters: WantedForReview, viewer: CurrentViewer, dag_ids: EditableDags, database: Metadata
) -> dict[str, Any]:
    """Lend the next images to a window, and say how many there are."""
    holder = _holder(viewer, wanted.window)
    # Decided images are passed over here, while only reading: on SQLite no worker writes while an image is lent.
    first = await database.read_now(open_images, filters, dag_ids, holder, wanted.after or 0, 1)
    after = [one.seen.image_id - 1 for one in first]
    found = await database.write_now(lend, filters, dag_ids, holder, after[0], _LENT_AT_ONCE) if after else []
    counted = await database.read_now(count_reviewed, filters, dag_ids)
    return {"images": [_image(one) for one in found], "decided": counted.decided, "all": counted.images}


@router.post("")
async def write_decision(order: OneDecision, viewer: CurrentViewer, database: Metadata) -> dict[str, Any]:
    """Write one decision, if the image is still as its reviewer saw it. The same request twice is one decision."""
    owner = (await database.read_now(owners, [order.image_id])).get(order.image_id)
    await viewer.require_edit(owner)
    seen = SeenAnswer(order.image_id, order.answer, order.newest)
    try:
        review = Review(seen, order.decision, order.prompt, order.text)
    except ValueError as error:
        raise HTTPException(422, str(error)) from None
    theirs, holder = frozenset({str(owner)}), _holder(viewer, order.window)
    (outcome,) = await database.write_now(decide, [review], viewer.name, theirs, holder)
    return {"written": outcome.written, "newest": _review(outcome.newest)}


def _holder(viewer: Viewer, window: str) -> str:
    """Name the window of a user: no other user's window can have this name."""
    return f"{viewer.user.get_id()}/{window}"


def _image(image: ReviewedImage) -> dict[str, Any]:
    return {
        "id": image.seen.image_id,
        "answer": image.seen.answer,
        "key": shown(image.image_uri),
        "prompts": [shown(text) for text in image.prompts],
        "texts": list(image.prompts),
        "newest": _review(image.newest),
        "outdated": image.outdated,
    }


def _review(review: KnownReview | None) -> dict[str, Any] | None:
    if review is None:
        return None
    return {
        "id": review.id,
        "decision": review.decision,
        "caption": None if review.caption is None else shown(review.caption),
        "reviewer": shown(review.reviewer),
    }
