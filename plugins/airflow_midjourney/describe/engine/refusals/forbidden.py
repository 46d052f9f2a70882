"""Images whose POST is answered with 401 or 403: put last and tried again; only where none passes does the run stop."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.model.errors import ServiceError
from airflow_midjourney.describe.model.status import Reason
from airflow_midjourney.describe.service import dialects
from airflow_midjourney.describe.service.dialects.dialect import Says
from airflow_midjourney.describe.service.submit_response import Accepted, Denied, Refused, SubmitOutcome
from airflow_midjourney.describe.table import submissions

if TYPE_CHECKING:
    from airflow_midjourney.describe.engine.context import Worker
    from airflow_midjourney.describe.model.batch import Batch

#: So many different images that are answered so in a row, and none accepted between, stop the run.
FORBIDDEN_IN_A_ROW: Final = 10

#: POSTs of one image by one worker before its row says that it is refused.
POSTS: Final = 3


@dataclass(slots=True)
class Forbidden:
    """The answers 401 and 403 that one worker got to its POSTs.

    :param in_a_row: ids of the rows that got one since an image was last accepted.
    :param passed_over: ids of the rows after whose answer another image was accepted.
    :param times: how often each row got one.
    :param key_is_refused: whether a free read was refused, too, after a POST had been.
    """

    in_a_row: set[int] = field(default_factory=set)
    passed_over: set[int] = field(default_factory=set)
    times: Counter[int] = field(default_factory=Counter)
    key_is_refused: bool = False

    def note_accepted(self) -> None:
        """Note that the service took an image."""
        self.passed_over |= self.in_a_row
        self.in_a_row.clear()

    def note(self, image_id: int) -> None:
        """Note that the POST of a row was answered so."""
        self.times[image_id] += 1
        if image_id not in self.passed_over:
            self.in_a_row.add(image_id)

    def stops(self, image_id: int) -> bool:
        """Say whether the answer to a row is no longer taken for its own."""
        return self.key_is_refused or self.times[image_id] >= POSTS or len(self.in_a_row) >= FORBIDDEN_IN_A_ROW


async def judge(worker: Worker, batch: Batch, image_id: int, outcome: SubmitOutcome) -> SubmitOutcome:
    """Decide whether a 401 or 403 is the image's: a firewall may read into one, and let all others pass.

    :return: what the POST came to; ``Refused`` in place of ``Denied`` where other images passed.
    """
    forbidden = worker.forbidden
    if isinstance(outcome, Accepted):
        forbidden.note_accepted()
    if not isinstance(outcome, Denied) or not _may_be_the_images(outcome):
        return outcome
    forbidden.note(image_id)
    if outcome.kind == "unauthorised" and not await _may_read(worker):
        forbidden.key_is_refused = True
        return outcome
    if forbidden.times[image_id] < POSTS or not await worker.database.read(
        submissions.has_accepted_since, worker.account.identity, batch.tried_at
    ):
        return outcome
    said = outcome.description or "no explanation"
    detail = f"HTTP {outcome.http_status} to each of {POSTS} POSTs, while other images pass: {said}"
    return Refused(Reason.REFUSED, outcome.http_status, outcome.code, detail)


def stops_the_run(worker: Worker, image_id: int, denied: Denied) -> bool:
    """Say whether what was answered to the POST of one image holds for all of them."""
    return not _may_be_the_images(denied) or worker.forbidden.stops(image_id)


def _may_be_the_images(denied: Denied) -> bool:
    holds_for_all = any(dialects.says(meaning, denied.description) for meaning in (Says.UPLOADS_OFF, Says.MODEL_LIMIT))
    return denied.kind in ("forbidden", "unauthorised") and not holds_for_all


async def _may_read(worker: Worker) -> bool:
    """Ask with a free read whether it is the key that the service does not know any more."""
    try:
        await worker.client.check_access()
    except ServiceError:
        return False
    return True
