"""Which steps a batch is brought further by, in which order, and what lets each of them out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

import pytest

from airflow_midjourney.describe.engine import advance as advance_module
from airflow_midjourney.describe.engine.advance import advance
from airflow_midjourney.describe.engine.listing import LOOK_AHEAD, is_worth_listing
from airflow_midjourney.describe.model.batch import Batch, BatchOptions, Origin, Position, Scope
from airflow_midjourney.describe.table.counts import OpenRows
from tests.support.rows import LONG_AGO

if TYPE_CHECKING:
    from airflow_midjourney.describe.engine.context import Worker

BATCH: Final = Batch("batch", Scope("photos", ("in/",)), BatchOptions(), Origin(), LONG_AGO, LONG_AGO)

BEFORE: Final = ["list_further", "settle", "stop_if_hopeless"]
SUBMIT: Final = ["resubmit_doubtful", "submit_some"]
AFTER: Final = ["look", "say_waits"]


@dataclass
class Steps:
    """Takes no step, and notes which were to be taken.

    :param batch: as the table has it.
    :param handled: images that a round of submitting reads.
    """

    batch: Batch = BATCH
    handled: int = 0
    stopping: bool = False
    taken: list[str] = field(default_factory=list)

    @property
    def worker(self) -> Worker:
        async def read(_query: Any, batch_id: str) -> Batch:
            assert batch_id == self.batch.batch_id
            return self.batch

        return cast("Worker", SimpleNamespace(database=SimpleNamespace(read=read), stopping=self.stopping))

    def step(self, name: str) -> Any:
        async def note(*_given: object) -> int:
            self.taken.append(name)
            return self.handled

        return note

    def advance(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        for name in (*BEFORE, *SUBMIT, "submit_left_over", *AFTER):
            monkeypatch.setattr(advance_module, name, self.step(name))
        asyncio.run(advance(self.worker, self.batch.batch_id))
        return self.taken


def test_a_batch_with_images_of_its_own_submits_these(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Steps(handled=3).advance(monkeypatch) == [*BEFORE, *SUBMIT, *AFTER]


def test_room_that_it_has_no_use_for_goes_to_what_is_left_over(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Steps().advance(monkeypatch) == [*BEFORE, *SUBMIT, "submit_left_over", *AFTER]


@pytest.mark.parametrize("plan_only", [True, False])
def test_for_a_plan_and_by_a_worker_that_stops_nothing_is_submitted(
    monkeypatch: pytest.MonkeyPatch, plan_only: bool
) -> None:
    batch = replace(BATCH, options=BatchOptions(plan_only=plan_only))

    assert Steps(batch, stopping=not plan_only).advance(monkeypatch) == [*BEFORE, *AFTER]


ENOUGH: Final = OpenRows(pending=LOOK_AHEAD)
LITTLE: Final = OpenRows(pending=LOOK_AHEAD - 1)


@pytest.mark.parametrize(
    ("batch", "pending", "may_submit", "worth"),
    [
        (BATCH, LITTLE, None, True),
        (BATCH, ENOUGH, None, False),
        (BATCH, ENOUGH, 1, False),
        (BATCH, LITTLE, 1, True),
        (BATCH, ENOUGH, 0, True),
        (replace(BATCH, options=BatchOptions(plan_only=True)), ENOUGH, None, True),
        (replace(BATCH, position=Position.walked(0)), ENOUGH, None, True),
    ],
    ids=["little", "enough", "a cap", "little, a cap", "at the cap", "a plan", "a walk"],
)
def test_listing_goes_on_while_little_is_pending_and_to_its_end_where_all_has_to_be_known(
    batch: Batch, pending: OpenRows, may_submit: int | None, worth: bool
) -> None:
    assert is_worth_listing(batch, pending, may_submit) is worth


def test_two_hundred_pending_rows_are_enough() -> None:
    assert LOOK_AHEAD == 200
