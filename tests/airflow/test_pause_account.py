"""A DAG pauses and resumes the account of a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.describe.table.accounts import AccountState, read_account
from airflow_midjourney.hooks.midjourney import MidjourneyHook
from airflow_midjourney.operators.pause import PauseAccountOperator
from tests.support.airflow_runs import make_dag, run_dag
from tests.support.example_dags import load_example
from tests.support.metadata_tables import table_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace


@pytest.fixture
def table(
    place: MetadataPlace,
    connect: Callable[..., None],
    simulator: RunningSimulator,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Database]:
    """A table on either database, over whose account nothing was ever sent."""
    connect(simulator, place)
    with table_on(place, monkeypatch) as database:
        yield database


def order(action: str) -> tuple[str | None, Any]:
    with make_dag() as dag:
        PauseAccountOperator(task_id="pause", action=action)
    run = run_dag(dag)
    return run.state_of("pause"), run.xcom("pause")


def state(table: Database) -> AccountState:
    with table.reading() as tx:
        return read_account(tx, MidjourneyHook().account().identity)


def test_it_pauses_and_resumes_and_writes_which_run_did(table: Database) -> None:
    assert [order("pause"), order("pause")] == [("success", True), ("success", False)]
    paused = state(table)
    assert [order("resume"), order("resume")] == [("success", True), ("success", False)]
    resumed = state(table)

    assert (paused.paused, resumed.paused) == (True, False)
    for name in (paused.paused_by, resumed.resumed_by):
        assert name is not None
        assert len(name.split(" ")) == 2


def test_the_dag_pauses_and_with_a_word_resumes(table: Database) -> None:
    dag = load_example("midjourney_pause")

    assert run_dag(dag).state == "success"
    assert state(table).pause.startswith("by midjourney_pause manual__")
    assert run_dag(dag, {"action": "resume"}).state == "success"
    assert not state(table).paused


def test_another_word_is_refused(table: Database) -> None:
    assert order("stop")[0] == "failed"
