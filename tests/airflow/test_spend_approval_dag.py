"""``spend_approval`` as a user runs it: nothing is submitted before a person has approved the price."""

from __future__ import annotations

from typing import TYPE_CHECKING

import airflow
import pytest

from tests.support.airflow_runs import run_dag
from tests.support.approvals import answering
from tests.support.example_dags import load_example

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace

needs_answers = pytest.mark.skipif(
    airflow.__version__ < "3.3",
    reason="dag.test() of Airflow 3.2 does not answer the trigger that waits for a person: only a triggerer does",
)


@needs_answers
@pytest.mark.parametrize(
    ("price", "asked"), [(0.05, ", for at most 0.15 USD."), (None, "At most 3 images are submitted.")]
)
def test_what_was_approved_is_described_and_no_more(
    price: float | None,
    asked: str,
    sqlite_place: MetadataPlace,
    bucket: str,
    simulator: RunningSimulator,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
) -> None:
    connect(simulator, sqlite_place, **({"price": price, "currency": "USD"} if price else {}))
    put_photos("in/", 3)

    with answering("spend_approval", "Approve") as question:
        run = run_dag(load_example("spend_approval"), {"bucket": bucket, "prefix": "in/"})

    assert run.state == "success"
    assert question.subject == f"Describe images of s3://{bucket}/in/?"
    assert question.body.startswith("At most 3 images are submitted")
    assert question.body.endswith(asked)
    assert run.rendered("submit")["max_submissions"] == "3"
    assert run.xcom("wait", "counts")[0]["succeeded"] == 3
    assert simulator.counters()["billed"] == 3


@needs_answers
def test_a_no_costs_nothing(
    sqlite_place: MetadataPlace,
    bucket: str,
    simulator: RunningSimulator,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
) -> None:
    connect(simulator, sqlite_place, price=0.05)
    put_photos("in/", 2)

    with answering("spend_approval", "Reject"):
        run = run_dag(load_example("spend_approval"), {"bucket": bucket, "prefix": "in/"})

    assert [run.state_of(task) for task in ("plan", "approve", "submit", "wait")] == [
        "success",
        "success",
        "skipped",
        "skipped",
    ]
    assert simulator.counters()["billed"] == 0


def test_nobody_is_asked_about_nothing(
    sqlite_place: MetadataPlace, bucket: str, simulator: RunningSimulator, connect: Callable[..., None]
) -> None:
    connect(simulator, sqlite_place, price=0.05)

    run = run_dag(load_example("spend_approval"), {"bucket": bucket, "prefix": "in/"})

    assert run.state == "success"
    assert [run.state_of(task) for task in ("approve", "submit", "wait")] == ["skipped"] * 3
