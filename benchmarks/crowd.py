"""``python -m benchmarks.crowd ORDER SEEN``: hundreds of triggers in one event loop, and what they do to it.

The loop is that of Airflow's triggerer: its runner makes the triggers from what the database would hold, fifty at a
time as the triggerer takes them, runs them, and watches its own loop. Only its talk with its supervisor is left out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

import psutil

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.jobs.triggerer_job_runner import TriggerRunner
    from airflow.triggers.base import BaseTrigger

#: Triggers that a triggerer takes at once, and seconds until it takes more.
_TAKEN_AT_ONCE: Final = 50
_TAKEN_EVERY: Final = 1.0

_TICK: Final = 0.01


def prefix_of(number: int) -> str:
    """Give where a batch's image is."""
    return f"in/{number:04}/"


def key_of(number: int) -> str:
    """Give the key of a batch's image."""
    return f"{prefix_of(number)}000.jpg"


@dataclass(frozen=True)
class Order:
    """What to measure.

    :param kind: ``ours``, ``http_sensors`` or ``sleepers``.
    :param batch_ids: of our triggers, one each; the other kinds take their number from it.
    :param alone: seconds for the first one to look for the first time; it is measured with the others.
    :param arriving: the same for all others.
    :param steady: seconds that are measured then.
    """

    kind: str
    batch_ids: list[str]
    alone: float
    arriving: float
    steady: float


@dataclass
class Stay:
    """What the triggers of one loop did to it.

    :param worst_arriving: the longest time for which the loop was held up while the triggers came, in seconds.
    :param worst_steady: the same afterwards.
    :param warnings: how often Airflow warned of it.
    :param memory: bytes that the process has more than with a single one of them.
    :param processor: seconds of processor time a second, in the steady time.
    :param steady_from: when the steady time began, by the clock of all processes of the machine.
    """

    worst_arriving: float = 0.0
    worst_steady: float = 0.0
    warnings: int = 0
    memory: int = 0
    processor: float = 0.0
    steady_from: float = 0.0
    steady_until: float = 0.0
    lateness: list[float] = field(default_factory=list)


def triggers_of(order: Order) -> list[BaseTrigger]:
    """Make the triggers, as tasks do that defer."""
    if order.kind == "ours":
        from airflow_midjourney.triggers.describe import BatchTrigger

        return [
            BatchTrigger(batch_ids=[batch_id], db_conn_id="image_prompts_db", until="ended")
            for batch_id in order.batch_ids
        ]
    if order.kind == "http_sensors":
        from airflow.providers.http.triggers.http import HttpSensorTrigger

        return [
            HttpSensorTrigger(endpoint=f"mj/task/{number}/fetch", http_conn_id="describe_service")
            for number in range(len(order.batch_ids))
        ]
    from datetime import timedelta

    from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger

    return [TimeDeltaTrigger(timedelta(days=1)) for _ in order.batch_ids]


async def stay(order: Order) -> Stay:
    """Run all of them for a while."""
    from airflow.jobs.triggerer_job_runner import TriggerRunner

    seen = Stay()
    runner = TriggerRunner()  # type: ignore[no-untyped-call]
    with patch("airflow.jobs.triggerer_job_runner.stats.incr") as warned:
        watchdog = runner.block_watchdog()  # type: ignore[no-untyped-call]
        helpers = [asyncio.create_task(watchdog), asyncio.create_task(_tick(seen.lateness))]
        triggers = triggers_of(order)
        await _take(runner, triggers[:1], first=0)
        await asyncio.sleep(order.alone)
        process = psutil.Process()
        alone = process.memory_info().rss
        began = time.monotonic()
        await _take(runner, triggers[1:], first=1)
        await asyncio.sleep(max(0.0, order.arriving - (time.monotonic() - began)))
        seen.worst_arriving = max(seen.lateness)
        seen.lateness.clear()
        before = process.cpu_times()
        seen.steady_from = time.time()
        await asyncio.sleep(order.steady)
        seen.steady_until = time.time()
        after = process.cpu_times()
        seen.processor = (after.user + after.system - before.user - before.system) / order.steady
        seen.worst_steady = max(seen.lateness)
        seen.memory = process.memory_info().rss - alone
        seen.warnings = sum(call.args[0] == "triggers.blocked_main_thread" for call in warned.call_args_list)
    _check(runner, len(triggers))
    await _end(runner, helpers)
    seen.lateness.clear()
    return seen


async def _take(runner: TriggerRunner, triggers: Sequence[BaseTrigger], *, first: int) -> None:
    """Hand them to the runner as the supervisor does."""
    from airflow.executors.workloads.trigger import RunTrigger
    from airflow.models.trigger import Trigger

    for start in range(0, len(triggers), _TAKEN_AT_ONCE):
        for number, trigger in enumerate(triggers[start : start + _TAKEN_AT_ONCE], first + start):
            classpath, arguments = trigger.serialize()
            kept = Trigger.encrypt_kwargs(arguments)
            runner.to_create.append(RunTrigger(id=number, classpath=classpath, encrypted_kwargs=kept))
        await runner.create_triggers()  # type: ignore[no-untyped-call]
        await asyncio.sleep(_TAKEN_EVERY)


def _check(runner: TriggerRunner, number: int) -> None:
    ended = [details["name"] for details in runner.triggers.values() if details["task"].done()]
    if ended or runner.failed_triggers or len(runner.triggers) != number:
        raise SystemExit(f"of {number} triggers, {len(runner.failed_triggers)} did not start and {len(ended)} ended")


async def _end(runner: TriggerRunner, helpers: Sequence[asyncio.Task[Any]]) -> None:
    tasks = [*(details["task"] for details in runner.triggers.values()), *helpers]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _tick(lateness: list[float]) -> None:
    while True:
        began = time.monotonic()
        await asyncio.sleep(_TICK)
        lateness.append(time.monotonic() - began - _TICK)


def main() -> None:
    """Do what the order in a file says, and leave what was seen in another one."""
    parser = argparse.ArgumentParser(prog="benchmarks.crowd", description=__doc__)
    parser.add_argument("order", type=Path)
    parser.add_argument("seen", type=Path)
    given = parser.parse_args()
    order = Order(**json.loads(given.order.read_text(encoding="utf-8")))
    given.seen.write_text(json.dumps(asdict(asyncio.run(stay(order)))), encoding="utf-8")


if __name__ == "__main__":
    main()
