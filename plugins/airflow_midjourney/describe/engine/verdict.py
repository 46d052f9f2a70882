"""The end of a batch: what is said of it, and whether that is good enough."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.model.errors import SettingsError
from airflow_midjourney.describe.model.status import NOT_THE_IMAGES_CONTENT
from airflow_midjourney.describe.storage.prefix_hints import prefix_hint

if TYPE_CHECKING:
    from airflow_midjourney.describe.model.batch import Batch, OnEmpty
    from airflow_midjourney.describe.table.counts import Counts


class Ending(StrEnum):
    """How a batch ends; ``EMPTY`` where nothing was found in its scope, and that is no failure."""

    GOOD = "good"
    BAD = "bad"
    INCOMPLETE = "incomplete"
    EMPTY = "empty"


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


#: How a batch ends in whose scope nothing was found.
_ENDING_OF_NOTHING: Final[dict[OnEmpty, Ending]] = {
    "skip": Ending.EMPTY,
    "finish": Ending.GOOD,
    "fail": Ending.BAD,
}


def is_empty(batch: Batch, counts: Counts) -> bool:
    """Tell whether nothing was found in the scope of a batch whose listing has ended."""
    return not counts.total and not batch.listed.images


def judge(batch: Batch, counts: Counts, tolerance: Tolerance, table: str, on_empty: OnEmpty | None = None) -> Verdict:
    """Judge a batch whose rows have all ended, or that has reached its cap.

    :param table: the name of the metadata table, for the person who looks there.
    :param on_empty: how a batch ends in whose scope nothing was found; None for what the batch itself says.
    """
    line = summary(batch, counts)
    if is_empty(batch, counts):
        return Verdict(_ENDING_OF_NOTHING[on_empty or batch.options.on_empty], line)
    where = f" Each has its row in {table}, with reason and detail."
    problem = _problem(_without_old_news(batch, counts), tolerance)
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
    if repeated := sum(counts.repeated.values()):
        line += f", {repeated} of them rejected for the same before"
    line += f"; {counts.billed} billed"
    if counts.cost is not None:
        line += f", {counts.cost.normalize():f} {counts.currency or ''}".rstrip()
    known = batch.listed.done
    return f"{line}; {known} had their prompts before." if known else f"{line}."


def _nothing_to_do(batch: Batch) -> str:
    listed = batch.listed
    if not listed.images:
        line = f"There are no images in {batch.scope.describe()}: {listed.keys:,} keys, 0 with an image suffix."
        hints = [prefix_hint(prefix, batch.scope.bucket) for prefix in batch.scope.prefixes]
        return " ".join([line, *filter(None, hints)])
    line = f"Nothing to pay for: {listed.done} of {listed.images} images have their prompts"
    for name in ("failed", "rejected", "in_doubt", "erased"):
        if number := getattr(listed, name):
            line += f", {number} {name.replace('_', ' ')} before"
    return f"{line}."


def _problem(counts: Counts, tolerance: Tolerance) -> str | None:
    bad = counts.failed + counts.in_doubt
    judged = bad + counts.succeeded
    if not counts.succeeded and (judged or _around_the_images(counts)):
        return "Not one image got its prompts."
    if judged and bad / judged > tolerance.max_failure_rate:
        return f"{bad / judged:.1%} failed, more than max_failure_rate={tolerance.max_failure_rate:g} allows."
    if counts.ended and counts.rejected / counts.ended > tolerance.max_rejected_rate:
        share = counts.rejected / counts.ended
        return f"{share:.1%} were rejected, more than max_rejected_rate={tolerance.max_rejected_rate:g} allows."
    return None


def _without_old_news(batch: Batch, counts: Counts) -> Counts:
    """Leave out what an earlier run has said of the same objects, where other images of the scope have their prompts.

    Without this, one object that stays denied would fail each day on which nothing new comes. Where not one image of
    the scope was ever described, old news is all there is, and says that bucket or credentials are wrong.
    """
    if not batch.listed.done:
        return counts
    reasons = Counter(counts.reasons) - Counter(counts.repeated)
    return replace(counts, rejected=counts.rejected - sum(counts.repeated.values()), reasons=dict(reasons))


def _around_the_images(counts: Counts) -> int:
    """Count the images that ended for a reason that is not in them: they are gone, replaced, archived or denied."""
    return sum(number for reason, number in counts.reasons.items() if reason in NOT_THE_IMAGES_CONTENT)
