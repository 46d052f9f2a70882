"""What a run left over belongs to it until Airflow says that it is over."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from sqlalchemy import delete, update

from tests.support.airflow_runs import run_dag, submit_and_wait

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace


@pytest.mark.parametrize(
    ("earlier", "taken"), [("success", 2), ("failed", 2), ("running", 0), ("queued", 0), (None, 2)]
)
def test_a_run_takes_what_another_left_over_once_that_is_over_or_deleted(
    earlier: str | None,
    taken: int,
    bucket: str,
    simulator: RunningSimulator,
    sqlite_place: MetadataPlace,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
) -> None:
    connect(simulator, sqlite_place)
    put_photos("first/", 3)
    dag = submit_and_wait(
        {"bucket": bucket, "prefix": "{{ dag_run.conf.prefix }}", "max_submissions": "{{ dag_run.conf.most }}"}
    )
    first = run_dag(dag, {"prefix": "first/", "most": 1}, logical_date=datetime(2026, 3, 1, tzinfo=UTC))
    with create_session() as session:
        this_one: Any = (DagRun.dag_id == dag.dag_id, DagRun.run_id == first.run_id)
        changed = delete(DagRun) if earlier is None else update(DagRun).values(state=earlier)
        session.execute(changed.where(*this_one).execution_options(synchronize_session=False))

    run_dag(dag, {"prefix": "second/", "most": 10}, logical_date=datetime(2026, 3, 2, tzinfo=UTC))

    assert simulator.counters()["billed"] == 1 + taken
