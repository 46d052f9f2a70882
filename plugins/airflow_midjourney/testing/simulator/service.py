"""The native service behind every dialect: its tasks, its one account, and all that is counted about them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from airflow_midjourney.testing.simulator.account import Account
from airflow_midjourney.testing.simulator.attachments import Attachments
from airflow_midjourney.testing.simulator.callbacks import Callbacks
from airflow_midjourney.testing.simulator.connections import Connections
from airflow_midjourney.testing.simulator.counters import Counters
from airflow_midjourney.testing.simulator.effects import IdentifierForm, StandingFault
from airflow_midjourney.testing.simulator.identifiers import IdentifierSource, now_milliseconds
from airflow_midjourney.testing.simulator.lifecycle import Lifecycle, Words
from airflow_midjourney.testing.simulator.model import ReceivedImage, SimulatedTask, SubmitFields, TaskStatus
from airflow_midjourney.testing.simulator.planning import plan_task
from airflow_midjourney.testing.simulator.rests import Rests
from airflow_midjourney.testing.simulator.scenarios import ScenarioBook

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_midjourney.testing.simulator.dialects.gateway_words import GatewayWords
    from airflow_midjourney.testing.simulator.model import TaskPlan
    from airflow_midjourney.testing.simulator.settings import SimulatorSettings


class Voice(Words, Protocol):
    """How a native service writes its tasks."""

    reruns_after_restart: bool
    gateway_words: GatewayWords

    def callback_body(self, task: SimulatedTask) -> bytes:
        """The body of a callback."""
        ...


@dataclass(frozen=True, slots=True)
class Admission:
    """A task that was accepted, and how many waited before it came."""

    task: SimulatedTask
    ahead: int


class SimulatedService:
    """All state of one simulator. Must be used from its event loop only.

    :param voice: the native service that it behaves like (for new-api, the one behind it).
    """

    def __init__(self, settings: SimulatorSettings, voice: Voice) -> None:
        self.settings = settings
        self.voice = voice
        self.scenarios = ScenarioBook(settings.dialect, settings.scenarios)
        self.counters = Counters()
        self.identifiers = IdentifierSource(settings.seed)
        self.attachments = Attachments()
        self.connections = Connections()
        self.account = Account(settings.slots, settings.queue)
        self.callbacks = Callbacks(voice.callback_body, self.counters, self.scenarios)
        self.callbacks.pause = settings.pause
        self.rests = Rests()
        self.lifecycle = Lifecycle(voice, self.callbacks, self.attachments, self.identifiers, self.counters, self.rests)
        self.tasks: dict[str, SimulatedTask] = {}
        self.stopping = asyncio.Event()
        self._disturbed = asyncio.Event()
        self.restarts = 0
        self._was_full = False
        self.on_reset: list[Callable[[], None]] = []

    def plan(self, image: ReceivedImage) -> TaskPlan:
        """What will happen to a task with this image."""
        return plan_task(self.settings, self.identifiers, self.scenarios, image.sha256)

    def accept(self, image: ReceivedImage, fields: SubmitFields, plan: TaskPlan) -> Admission | None:
        """Make a task and let it start or wait.

        :return: None if there is no room.
        """
        if self.account.full:
            self._was_full = True
            return None
        identifier = self._identifier(image.sha256)
        task = SimulatedTask(
            id=identifier,
            image=image,
            fields=fields,
            plan=plan,
            submit_time=now_milliseconds(),
            nonce=self.identifiers.snowflake(),
        )
        ahead = self.account.admit(task.id, lambda: self.lifecycle.run(task)) or 0
        self._was_full = False
        self.tasks[identifier] = task
        self.counters.accept(image.sha256, fields.state)
        return Admission(task, ahead)

    def find(self, task_id: str) -> SimulatedTask | None:
        """The task, unless it is unknown (or made so by a scenario)."""
        task = self.tasks.get(task_id)
        return task if task is not None and self._is_visible(task) else None

    def newest_first(self) -> list[SimulatedTask]:
        """All tasks that can be seen."""
        visible = [task for task in self.tasks.values() if self._is_visible(task)]
        return sorted(visible, key=lambda task: task.submit_time, reverse=True)

    def subject_of(self, task_id: str) -> str:
        """The SHA-256 of a task's image, or the id itself where there is no such task."""
        task = self.tasks.get(task_id)
        return task_id if task is None else task.image.sha256

    def has_standing(self, fault: StandingFault) -> bool:
        """Whether such a scenario is set."""
        return bool(self.scenarios.playing(StandingFault, "", lambda effect: effect is fault))

    def withdraw(self, task: SimulatedTask) -> None:
        """Take a task out of its slot or out of the queue."""
        self.account.withdraw(task.id)

    async def pause(self, seconds: float) -> None:
        """Wait, but no longer than this simulator lives."""
        if not self.stopping.is_set():
            await self.rests.begin().wait(seconds)

    async def slept_undisturbed(self, seconds: float) -> bool:
        """Wait; gives up and says False when a setting changes or the simulator ends."""
        self._disturbed.clear()
        try:
            await asyncio.wait_for(self._disturbed.wait(), seconds)
        except TimeoutError:
            return True
        return False

    def apply(self, settings: SimulatorSettings) -> None:
        """Behave by other settings from now on."""
        self.settings = settings
        self.account.resize(settings.slots, settings.queue)
        self.callbacks.pause = settings.pause
        self._disturbed.set()

    def note_room(self) -> None:
        """End the time in which the service says no, if that was for want of room and there is some now."""
        if self._was_full and not self.account.full:
            self._was_full = False
            self.counters.closed.end()

    def age(self, seconds: float) -> None:
        """Have all tasks of by now happen so much earlier."""
        for task in self.tasks.values():
            task.move_back(round(seconds * 1000))

    def restart(self) -> None:
        """Behave as the service does when it is started again."""
        self.restarts += 1
        self.account.drop_everything()
        if self.voice.reruns_after_restart:
            for task in [task for task in self.tasks.values() if not task.ended]:
                self._run_again(task)
        elif not self.has_standing(StandingFault.TASKS_SURVIVE_RESTART):
            self.tasks.clear()

    def reset(self) -> None:
        """Forget all tasks, counts and scenarios."""
        self.account.drop_everything()
        self.account.high_water = 0
        self.tasks.clear()
        self.scenarios.set(())
        self.counters.clear()
        for forget in self.on_reset:
            forget()

    async def close(self) -> None:
        """End everything that is under way."""
        self.stopping.set()
        self.rests.end()
        self._disturbed.set()
        self.account.drop_everything()
        await self.callbacks.close()

    def _run_again(self, task: SimulatedTask) -> None:
        task.status, task.progress, task.start_time = TaskStatus.NOT_START, None, None
        task.reruns += 1
        task.plan = replace(task.plan, stuck_at=None)
        self.account.admit(task.id, lambda: self.lifecycle.run(task))

    def _is_visible(self, task: SimulatedTask) -> bool:
        age = (now_milliseconds() - task.submit_time) / 1000
        gone_after = task.plan.vanishes_after
        return age >= task.plan.hidden_for and (gone_after is None or age < gone_after)

    def _identifier(self, subject: str) -> str:
        previous = self.identifiers.last
        fresh = self.identifiers.task_id()
        forms = self.scenarios.playing(
            IdentifierForm, subject, lambda form: form is not IdentifierForm.COLLISION or previous is not None
        )
        for form in forms:
            if form is IdentifierForm.COLLISION:
                self.identifiers.last = fresh = previous or fresh
            elif form is IdentifierForm.SEVENTEEN_DIGITS:
                fresh = f"9{fresh}"
            elif form is IdentifierForm.LEADING_ZERO:
                fresh = f"0{fresh[1:]}"
            else:
                fresh = f"task_{fresh}"
        return fresh
