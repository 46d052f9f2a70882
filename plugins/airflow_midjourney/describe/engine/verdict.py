"""The end of a batch: what is said of it, and whether that is good enough."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from airflow_midjourney.describe.model.errors import SettingsError

if TYPE_CHECKING:
    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.counts import Counts


class Ending(StrEnum):
    """How a batch ends."""

    GOOD = "good"
    BAD = "bad"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How much may go wrong.

    :param max_failure_rate: (failed + in doubt) / (those + succeeded) above which the batch is bad, 0 to 1.
    :param max_rejected_rate: rejected / all that ended above which the batch is bad, 0 to 1.
    """

    max_failure_rate: float = 0.05
    max_rejected_rate: float = 1.0

    def __post_init__(self) -> None:
        for name in ("max_failure_rate", "max_rejected_rate"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise SettingsError(f"{name} must be between 0 and 1, not {getattr(self, name)}.")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a batch, in one line."""

    ending: Ending
    message: str


def judge(batch: Batch, counts: Counts, tolerance: Tolerance, table: str) -> Verdict:
    """Judge a batch whose rows have all ended, or that has reached its cap.

    :param table: the name of the metadata table, for the person who looks there.
    """
    line = summary(batch, counts)
    where = f" Each has its row in {table}, with reason and detail."
    problem = _problem(counts, tolerance)
    if problem is not None:
        return Verdict(Ending.BAD, f"{problem} {line}{where}")
    if counts.pending:
        left = f"{counts.pending} of {counts.total} images are still pending: a cap on submissions or cost was reached."
        return Verdict(Ending.INCOMPLETE, f"{left} {line}")
    ended_badly = counts.failed + counts.rejected + counts.in_doubt
    return Verdict(Ending.GOOD, line + (where if ended_badly else ""))


def summary(batch: Batch, counts: Counts) -> str:
    """Say in one line what a batch came to."""
    if not counts.total:
        return _nothing_to_do(batch)
    parts = [f"described {counts.succeeded - counts.shared} of {counts.total} images"]
    if counts.shared:
        parts.append(f"{counts.shared} shared")
    for name in ("rejected", "failed", "in_doubt", "pending"):
        if number := getattr(counts, name):
            parts.append(f"{number} {name.replace('_', ' ')}")
    line = ", ".join(parts)
    if counts.reasons:
        line += " (" + ", ".join(f"{reason}: {number}" for reason, number in counts.reasons.items()) + ")"
    line += f"; {counts.billed} billed"
    if counts.cost is not None:
        line += f", {counts.cost.normalize():f} {counts.currency or ''}".rstrip()
    known = batch.listed.done
    return f"{line}; {known} had their prompts before." if known else f"{line}."


def _nothing_to_do(batch: Batch) -> str:
    listed = batch.listed
    if not listed.images:
        return f"There are no images in {batch.scope.describe()}: {listed.keys} keys, 0 with an image suffix."
    line = f"Nothing to pay for: {listed.done} of {listed.images} images have their prompts"
    for name in ("failed", "rejected", "in_doubt", "erased"):
        if number := getattr(listed, name):
            line += f", {number} {name.replace('_', ' ')} before"
    return f"{line}."


def _problem(counts: Counts, tolerance: Tolerance) -> str | None:
    bad = counts.failed + counts.in_doubt
    judged = bad + counts.succeeded
    if judged and not counts.succeeded:
        return "Not one image got its prompts."
    if judged and bad / judged > tolerance.max_failure_rate:
        return f"{bad / judged:.1%} failed, more than max_failure_rate={tolerance.max_failure_rate:g} allows."
    if counts.ended and counts.rejected / counts.ended > tolerance.max_rejected_rate:
        share = counts.rejected / counts.ended
        return f"{share:.1%} were rejected, more than max_rejected_rate={tolerance.max_rejected_rate:g} allows."
    return None
