"""One run of a DAG over images of its own, in a whole deployment, and what it cost."""

from __future__ import annotations

import itertools
import json
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import psutil
from sqlalchemy import create_engine, text

from tests.support.deployment.airflow_api import RunError
from tests.support.deployment.deployment import BUCKET, KEY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tests.support.deployment.deployment import Deployment

_TICK: Final = 0.2

#: Seconds for a run to get its first task, and for a stopped one to leave no process behind.
_START_LIMIT: Final = 120.0

_TASKS: Final = text("""
    SELECT count(*) FILTER (WHERE state = 'running') AS running, min(start_date) AS first_start, count(*) AS instances,
        coalesce(sum(greatest(try_number, 1)), 0) AS tries
    FROM task_instance WHERE dag_id = :dag_id AND run_id = :run_id
""")

_RUN_END: Final = text("SELECT end_date FROM dag_run WHERE dag_id = :dag_id AND run_id = :run_id")

_RUNNING_TASK: Final = text("""
    SELECT pid FROM task_instance WHERE dag_id = :dag_id AND run_id = :run_id AND state = 'running' AND pid IS NOT NULL
""")

#: Where each DAG leaves its answers: what is counted must be there, with prompts.
_ANSWERS: Final = {
    "ours": "SELECT count(*) FROM image_prompts WHERE status = 'succeeded' AND prompt_count = 4 AND key LIKE :keys",
    "stock_parts": "SELECT count(*) FROM prompts_by_stock_parts WHERE prompts LIKE '%4️⃣%' AND image_key LIKE :keys",
    "afternoon": "SELECT count(*) FROM prompts_of_an_afternoon WHERE prompts LIKE '%4️⃣%' AND image_key LIKE :keys",
}

_photos: Final = itertools.count(1)
_runs: Final = itertools.count(1)


@dataclass(frozen=True)
class Load:
    """What there is to do.

    :param images: how many.
    :param at_once: that the service works on; none may wait there.
    :param seconds: that each takes.
    """

    images: int
    at_once: int
    seconds: float

    @property
    def ideal(self) -> float:
        """The seconds that the service needs if it never has to wait for anybody."""
        return -(-self.images // self.at_once) * self.seconds


@dataclass(frozen=True)
class Run:
    """What one run cost.

    :param wall: seconds from the start of the first task to the end of the run.
    :param worker: seconds in which its tasks were running on a worker, summed over all of them.
    :param instances: its task instances, mapped ones each.
    :param tries: how often these were tried.
    :param requests: to the service, by kind.
    :param billed: images that the service was paid for, twice where it was paid twice.
    :param accepted: images that it had taken at the end.
    :param has_ended: False where it was stopped at the limit.
    """

    wall: float
    worker: float
    instances: int
    tries: int
    requests: dict[str, int]
    billed: int
    accepted: int
    has_ended: bool


@dataclass
class _Seen:
    """What the sampler saw of a run, several times a second."""

    worker: float = 0.0
    instances: int = 0
    tries: int = 0
    first_start: datetime | None = None
    started: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)


def run_dag(deployment: Deployment, dag_id: str, load: Load, *, limit: float, kill_at: int | None = None) -> Run:
    """Run a DAG over images that are new to it.

    :param limit: seconds from its first task's start, after which it is stopped.
    :param kill_at: accepted images at which the process of its task is killed, as the kernel does when memory is short;
        Airflow runs the task again.
    :raises SystemExit: if it fails, or answers are missing.
    """
    number = next(_runs)
    prefix, run_id = f"run-{number}/", f"{dag_id}-{number}"
    _prepare(deployment, prefix, run_id, load)
    deployment.api.wait_for_dag(dag_id)
    deployment.api.trigger(dag_id, run_id, {"prefix": prefix})
    seen = _Seen()
    sampler = threading.Thread(target=_sample, args=(deployment, dag_id, run_id, seen))
    sampler.start()
    try:
        if not seen.started.wait(_START_LIMIT):
            raise SystemExit(f"{run_id} has not started")
        deadline = time.monotonic() + limit
        if kill_at is not None:
            _kill_task(deployment, dag_id, run_id, kill_at)
        has_ended = _finish(deployment, dag_id, run_id, deadline)
    finally:
        seen.ended.set()
        sampler.join()
    run = _reckon(deployment, dag_id, run_id, seen, has_ended=has_ended)
    if has_ended and (answers := _answers(deployment, dag_id, prefix)) != load.images:
        raise SystemExit(f"{run_id} has {answers} answers for {load.images} images")
    return run


def _prepare(deployment: Deployment, prefix: str, account: str, load: Load) -> None:
    simulator = deployment.simulator
    simulator.reset()
    simulator.change(latency=load.seconds, latency_spread=0, slots=load.at_once, queue=0)
    deployment.connect_service(account=account, max_in_flight=load.at_once)
    scheme, _, address = simulator.root.partition("://")
    host, _, port = address.partition(":")
    # HttpHook sends what is in the extra as headers.
    deployment.api.set_connection(
        "describe_service",
        conn_type="http",
        host=host,
        port=int(port),
        schema=scheme,
        extra=json.dumps({"mj-api-secret": KEY, "Content-Type": "application/json"}),
    )
    deployment.put_photos(prefix, itertools.islice(_photos, load.images), BUCKET)


def _finish(deployment: Deployment, dag_id: str, run_id: str, deadline: float) -> bool:
    """Wait for the end, and say whether it came in time."""
    try:
        state = deployment.api.wait_for_run(dag_id, run_id, deadline - time.monotonic())
    except RunError:
        deployment.api.mark_run(dag_id, run_id, "failed")
        return False
    if state != "success":
        raise SystemExit(f"{run_id} is {state}; its logs are in {deployment.settings.home / 'logs'}")
    return True


def _kill_task(deployment: Deployment, dag_id: str, run_id: str, accepted: int) -> None:
    while deployment.simulator.totals()["accepted"] < accepted:
        time.sleep(_TICK)
    engine = deployment.airflow_engine()
    try:
        for _ in _ticks(_START_LIMIT):
            with engine.connect() as connection:
                pid = connection.execute(_RUNNING_TASK, {"dag_id": dag_id, "run_id": run_id}).scalar()
            if pid is not None:
                psutil.Process(pid).kill()
                return
        raise SystemExit(f"no task of {run_id} is running, so none can be killed")
    finally:
        engine.dispose()


def _sample(deployment: Deployment, dag_id: str, run_id: str, seen: _Seen) -> None:
    engine = deployment.airflow_engine()
    last = time.monotonic()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while not seen.ended.wait(_TICK):
            found = connection.execute(_TASKS, {"dag_id": dag_id, "run_id": run_id}).one()
            now = time.monotonic()
            seen.worker += (now - last) * found.running
            seen.instances, seen.tries = found.instances, int(found.tries)
            last = now
            if seen.first_start is None and found.first_start is not None:
                seen.first_start = found.first_start
                seen.started.set()
    engine.dispose()


def _reckon(deployment: Deployment, dag_id: str, run_id: str, seen: _Seen, *, has_ended: bool) -> Run:
    engine = deployment.airflow_engine()
    with engine.connect() as connection:
        ended = connection.execute(_RUN_END, {"dag_id": dag_id, "run_id": run_id}).scalar_one()
    engine.dispose()
    service = deployment.simulator.totals()
    if not has_ended:
        _let_processes_end(deployment, dag_id, run_id)
    return Run(
        (ended - (seen.first_start or ended)).total_seconds(),
        seen.worker,
        seen.instances,
        seen.tries,
        dict(service["requests"]),
        service["billed"] - service["refunded"],
        service["accepted"],
        has_ended,
    )


def _let_processes_end(deployment: Deployment, dag_id: str, run_id: str) -> None:
    """Let nothing of a stopped run disturb the next measurement."""
    engine = deployment.airflow_engine()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for _ in _ticks(_START_LIMIT):
            if not connection.execute(_TASKS, {"dag_id": dag_id, "run_id": run_id}).one().running:
                break
    engine.dispose()


def _answers(deployment: Deployment, dag_id: str, prefix: str) -> int:
    engine = create_engine(deployment.postgres.url("prompts"))
    with engine.connect() as connection:
        found: int = connection.execute(text(_ANSWERS[dag_id]), {"keys": f"{prefix}%"}).scalar_one()
    engine.dispose()
    return found


def _ticks(limit: float) -> Iterator[None]:
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        yield
        time.sleep(_TICK)
