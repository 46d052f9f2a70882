"""Deadlines begin once, however often a task frees its worker."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.support.airflow_runs import run_dag, submit_and_wait
from tests.support.hurrying import hurried_once

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace


def test_a_wait_has_only_what_is_left_of_the_execution_timeout(
    simulator: RunningSimulator,
    sqlite_place: MetadataPlace,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
    bucket: str,
    deferrals: list[dict[str, Any]],
) -> None:
    connect(simulator, sqlite_place, max_in_flight=1)
    put_photos("in/", 3)
    an_hour = timedelta(hours=1)
    submit = {"bucket": bucket, "prefix": "in/", "deferrable": True, "execution_timeout": an_hour}

    with hurried_once(simulator, lambda: deferrals):
        run = run_dag(submit_and_wait(submit))

    assert run.state == "success"

    # Here each stretch on the worker has a start of its own; a real worker keeps that of the first.
    left = [deferral["timeout"] for deferral in deferrals if deferral["trigger"].until == "submitted"]
    assert left
    assert all(timedelta(minutes=50) < one < an_hour for one in left)
