"""What one worker knows of the rows that earlier runs of its task left pending."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_midjourney.describe.engine.refusals.denials import Denials

if TYPE_CHECKING:
    from collections.abc import Callable


def no_run_is_over(dag_id: str, run_id: str) -> bool:
    """Answer where Airflow cannot be asked."""
    return False


@dataclass(slots=True)
class LeftOver:
    """The rows that earlier runs of a worker's task left pending, and who says whether those runs are over.

    :param run_is_over: says of a DAG and a run whether it has ended; it may block.
    :param batch_ids: the batches of the runs that have; None before they were looked for.
    :param known_until: when they are looked for again, by ``time.monotonic``.
    :param denials: what S3 has denied of them.
    :param given_up: whether this worker takes no more of them.
    """

    run_is_over: Callable[[str, str], bool] = no_run_is_over
    batch_ids: list[str] | None = None
    known_until: float = 0.0
    denials: Denials = field(default_factory=Denials)
    given_up: bool = False
