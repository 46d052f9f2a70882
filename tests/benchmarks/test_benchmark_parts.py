"""The parts at tiny size; of *dag*, all but Airflow itself: its DAGs against a real service, and its arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks import claiming as claims
from benchmarks import dag, relist, submit, triggers
from benchmarks.airflow_runs import Load, Run

if TYPE_CHECKING:
    from benchmarks.figures import Figure


def run_of(wall: float, worker: float, *, requests: int = 60, billed: int = 50, has_ended: bool = True) -> Run:
    return Run(wall, worker, 2, 2, {"submit": requests}, billed, 50, has_ended)


def contest(images: int, ours: Run, stock: Run) -> dag.Contest:
    runs = {"ours": ours, "stock_parts": stock, "afternoon": run_of(40, 40)}
    return dag.Contest(Load(images, 12, 5.0), runs)


def verdicts(figures: list[Figure]) -> dict[str, str]:
    return {figure.mark.name: figure.verdict for figure in figures if figure.mark}


@pytest.mark.parametrize(("images", "ideal"), [(12, 5.0), (13, 10.0), (50, 25.0), (200, 85.0)])
def test_the_ideal_is_whole_rounds(images: int, ideal: float) -> None:
    assert Load(images, 12, 5.0).ideal == ideal


def test_all_marks_of_dag_are_held_against_its_figures() -> None:
    good = dag.figures_of(contest(50, run_of(48, 8), run_of(384, 400)))
    bad = dag.figures_of(contest(50, run_of(50.1, 8.1, requests=61), run_of(384, 400)))

    names = ["dag-wall", "dag-faster", "dag-worker", "dag-afternoon", "dag-requests"]
    assert verdicts(good) == dict.fromkeys(names, "reached")
    assert verdicts(bad) == dict.fromkeys(names, "MISSED")


def test_a_larger_run_may_take_its_share_of_the_ideal() -> None:
    mark = dag.figures_of(contest(200, run_of(122.7, 8), run_of(384, 400)))[0].mark

    assert mark is not None
    assert (mark.saying, mark.value) == ("at most 1.15 × the ideal + 25 s", pytest.approx(122.75))


def test_stopped_stock_parts_give_a_lower_bound() -> None:
    figures = dag.figures_of(contest(50, run_of(48, 8), run_of(400, 400, has_ended=False)))

    assert [figure.is_bound for figure in figures[1:3]] == [True, True]
    assert "stopped there, when the service had taken 50 of 50" in figures[1].from_what
    assert any(bar.name == "stock parts, stopped" for figure in figures for bar in figure.bars)


def test_what_is_paid_twice_after_a_kill_is_said() -> None:
    killed = contest(50, run_of(48, 8), run_of(384, 400))
    killed.killed = {"ours": run_of(60, 60), "afternoon": run_of(60, 60, billed=62)}

    ours, theirs = dag.figures_of(killed)[-2:]
    assert (ours.value, ours.verdict, theirs.value) == (0, "reached", 12)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_rival_dags_can_be_loaded() -> None:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(dag.DAGS))

    assert bag.import_errors == {}
    assert {"ours", "stock_parts", "afternoon"} <= set(bag.dags)
    assert [task.task_id for task in bag.dags["stock_parts"].topological_sort()] == [
        "list_images",
        "describe.submit",
        "describe.wait",
        "save",
    ]


def test_waiting_triggers_are_measured() -> None:
    figures = triggers.measure(size=triggers.Size(3, alone=1, arriving=12, steady=2), kinds=("ours", "http_sensors"))

    assert [figure.unit for figure in figures] == ["s", "×", "×", "×"]
    assert figures[0].mark is triggers.BLOCKED
    requests = figures[2]
    assert requests.value > 0
    assert {bar.name for bar in requests.bars} == {"ours", "HttpSensorTrigger"}


def test_submitting_is_compared_with_bare_loops() -> None:
    figures = submit.measure(images=24, kinds=["postgres"])

    assert [figure.mark for figure in figures if figure.mark] == [submit.FAST]
    shares = [figure.value for figure in figures if figure.what.startswith("processor time of an image, postgres")]
    assert len(shares) == len(submit.PARTS)
    assert sum(shares) == pytest.approx(1)
    assert all(figure.value > 0 for figure in figures if figure.unit == "×")


def test_listing_again_is_compared_with_the_paginator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "CLAIMS", 32)

    figures = relist.measure(sizes=(1000, 2000), kinds=["postgres"])

    assert [figure.mark for figure in figures] == [
        relist.SLOWER,
        relist.SLOWER,
        relist.MORE_MEMORY,
        relist.AS_MANY,
    ]
    assert all(figure.value > 0 for figure in figures if figure.unit == "×")
