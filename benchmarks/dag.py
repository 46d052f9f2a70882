"""Images through real Airflow (LocalExecutor, Postgres): our DAG, one of stock parts, an afternoon's, and the ideal."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.airflow_runs import Load, run_dag
from benchmarks.figures import Bar, Figure, Mark
from tests.support.deployment.deployment import running_deployment

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.airflow_runs import Run
    from tests.support.deployment.deployment import Deployment

DAGS: Final = Path(__file__).parent / "dags"

AT_ONCE: Final = 12
SECONDS: Final = 5.0
SIZES: Final = (50, 200)
QUICK_SIZES: Final = (6,)

FASTER: Final = Mark("dag-faster", "at least", 8)
WORKER: Final = Mark("dag-worker", "at least", 50)
AFTERNOON: Final = Mark("dag-afternoon", "at most", 1.2)
REQUESTS: Final = Mark("dag-requests", "at most", 1.2)
PAID_TWICE: Final = Mark("dag-paid-twice", "at most", 0)

#: Seconds beside the service's own that a run of ours may take, and its share of the ideal by the number of images.
_OVERHEAD: Final = 25.0
_SHARE: Final = {50: 1.0, 200: 1.15}

#: Where measuring the stock parts stops: longer than this times our run, and some seconds more, tells nothing more.
_STOP_AFTER: Final = 8.0
_MARGIN: Final = 20.0

#: The same where nothing is to be published: the whole has three minutes.
_STOP_QUICKLY_AFTER: Final = 1.5

#: Seconds that nothing else here takes; then something is broken.
_LIMIT: Final = 900.0

#: What all processes of Airflow have beside its defaults, which are put back where tests hurry.
VARIABLES: Final = {
    "AIRFLOW__MIDJOURNEY__POLL_INTERVAL": "3",
    "AIRFLOW__CORE__PARALLELISM": str(4 * (os.cpu_count() or 1)),
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "0",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "300",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "10",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "30",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "5",
    "AIRFLOW__SCHEDULER__JOB_HEARTBEAT_SEC": "5",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "600",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "5",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "30",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "5",
}

_NAMES: Final = {"ours": "ours", "stock_parts": "stock parts", "afternoon": "an afternoon's task"}


@dataclass
class Contest:
    """All runs over the same number of images.

    :param killed: runs whose task was killed half way.
    """

    load: Load
    runs: dict[str, Run] = field(default_factory=dict)
    killed: dict[str, Run] = field(default_factory=dict)


def measure(*, quick: bool = False) -> list[Figure]:
    """Run everything in one deployment, one DAG at a time."""
    loads = [Load(images, AT_ONCE, SECONDS) for images in (QUICK_SIZES if quick else SIZES)]
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        running_deployment(Path(folder), "LocalExecutor", dags=[DAGS], variables=VARIABLES) as deployment,
    ):
        if quick:
            contests = [_contest(deployment, load, _STOP_QUICKLY_AFTER) for load in loads]
        else:
            _warm_up(deployment)
            contests = [_contest(deployment, load, _STOP_AFTER) for load in loads]
            _kill(deployment, contests[0])
    return [figure for contest in contests for figure in figures_of(contest)]


def _warm_up(deployment: Deployment) -> None:
    """Let all that the DAGs import be compiled: the first run of a deployment does that."""
    for dag_id in _NAMES:
        run_dag(deployment, dag_id, Load(2, AT_ONCE, 0.5), limit=_LIMIT)


def _contest(deployment: Deployment, load: Load, stop_after: float) -> Contest:
    ours = run_dag(deployment, "ours", load, limit=_LIMIT)
    afternoon = run_dag(deployment, "afternoon", load, limit=_LIMIT)
    stock = run_dag(deployment, "stock_parts", load, limit=stop_after * ours.wall + _MARGIN)
    return Contest(load, {"ours": ours, "stock_parts": stock, "afternoon": afternoon})


def _kill(deployment: Deployment, contest: Contest) -> None:
    for dag_id in ("ours", "afternoon"):
        half = contest.load.images // 2
        contest.killed[dag_id] = run_dag(deployment, dag_id, contest.load, limit=_LIMIT, kill_at=half)


def figures_of(contest: Contest) -> list[Figure]:
    """Compare the runs."""
    load, ours, stock = contest.load, contest.runs["ours"], contest.runs["stock_parts"]
    size = f"{load.images} images"
    return [
        _wall(contest),
        Figure(
            f"wall of stock parts over {size}, of ours",
            stock.wall / ours.wall,
            "×",
            f"{_bound(stock)}{stock.wall:.0f} s beside {ours.wall:.0f} s{_left(stock, load)}",
            FASTER,
            is_bound=not stock.has_ended,
        ),
        Figure(
            f"worker seconds of stock parts over {size}, of ours",
            stock.worker / ours.worker,
            "×",
            f"{_bound(stock)}{stock.worker:.0f} s beside {ours.worker:.0f} s;"
            f" {contest.runs['afternoon'].worker:.0f} s in an afternoon's task",
            WORKER,
            is_bound=not stock.has_ended,
            bars=_bars(contest, "worker seconds", lambda run: run.worker),
        ),
        Figure(
            f"our wall over {size}, of an afternoon's task",
            ours.wall / contest.runs["afternoon"].wall,
            "×",
            f"{ours.wall:.1f} s beside {contest.runs['afternoon'].wall:.1f} s",
            AFTERNOON,
        ),
        Figure(
            f"our requests to the service for one of {size}",
            _total(ours) / load.images,
            "each",
            "; ".join(f"{name} {_total(run)} ({_kinds(run)})" for name, run in _named(contest.runs)),
            REQUESTS,
            bars=_bars(contest, "requests to the service", _total),
        ),
        Figure(
            f"task instances of stock parts over {size}, of ours",
            stock.instances / ours.instances,
            "×",
            "; ".join(f"{name} {run.instances}, tried {run.tries} times" for name, run in _named(contest.runs)),
        ),
        Figure(
            f"images billed by our run over {size}, for each answer",
            ours.billed / load.images,
            "×",
            "; ".join(f"{name} {run.billed}" for name, run in _named(contest.runs)),
        ),
        *_killed(contest),
    ]


def _wall(contest: Contest) -> Figure:
    load, ours = contest.load, contest.runs["ours"]
    share = _SHARE.get(load.images)
    mark = None
    if share is not None:
        text = f"at most {'' if share == 1 else f'{share} × '}the ideal + {_OVERHEAD:.0f} s"
        mark = Mark("dag-wall", "at most", share * load.ideal + _OVERHEAD, text)
    ideal = Bar(f"Run over {load.images} images: wall, s", "the ideal", load.ideal)
    return Figure(
        f"our wall over {load.images} images",
        ours.wall,
        "s",
        f"the ideal is {load.ideal:.0f} s: {load.at_once} at a time, {load.seconds:g} s each",
        mark,
        bars=(ideal, *_bars(contest, "wall, s", lambda run: run.wall)),
    )


def _killed(contest: Contest) -> list[Figure]:
    if not contest.killed:
        return []
    images = contest.load.images
    chart = f"Run over {images} images, its task killed half way: images billed"
    bars = tuple(Bar(chart, _NAMES[dag_id], run.billed, dag_id == "ours") for dag_id, run in contest.killed.items())
    said = "; ".join(f"{name} {run.billed} for {images}, in {run.wall:.0f} s" for name, run in _named(contest.killed))
    ours, theirs = contest.killed["ours"].billed - images, contest.killed["afternoon"].billed - images
    return [
        Figure(
            f"paid twice by us, the task killed half way through {images}", ours, "images", said, PAID_TWICE, bars=bars
        ),
        Figure("the same by an afternoon's task", theirs, "images", said),
    ]


def _bars(contest: Contest, what: str, value: Callable[[Run], float]) -> tuple[Bar, ...]:
    chart = f"Run over {contest.load.images} images: {what}"
    return tuple(
        Bar(chart, name if run.has_ended else f"{name}, stopped", value(run), is_ours=name == _NAMES["ours"])
        for name, run in _named(contest.runs)
    )


def _named(runs: dict[str, Run]) -> list[tuple[str, Run]]:
    return [(_NAMES[dag_id], run) for dag_id, run in runs.items()]


def _total(run: Run) -> int:
    return sum(run.requests.values())


def _kinds(run: Run) -> str:
    return ", ".join(f"{number} {kind}" for kind, number in sorted(run.requests.items(), key=lambda item: -item[1]))


def _bound(run: Run) -> str:
    return "" if run.has_ended else "at least "


def _left(run: Run, load: Load) -> str:
    if run.has_ended:
        return ""
    return f"; stopped there, when the service had taken {run.accepted} of {load.images}"
