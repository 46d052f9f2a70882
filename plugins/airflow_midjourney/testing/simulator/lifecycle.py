"""What happens to one task, from the queue to its end."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import httpx

from airflow_midjourney.testing.simulator.answer_text import answer_text, translated_text
from airflow_midjourney.testing.simulator.identifiers import IdentifierSource, now_milliseconds
from airflow_midjourney.testing.simulator.model import (
    CHANNEL,
    TIMED_OUT,
    UPLOAD_FAILED,
    Failure,
    ReceivedImage,
    SimulatedTask,
    TaskStatus,
)
from airflow_midjourney.testing.simulator.vision import ImageReading, UnreadableImageError, read_image

if TYPE_CHECKING:
    from airflow_midjourney.testing.simulator.attachments import Attachments
    from airflow_midjourney.testing.simulator.callbacks import Callbacks
    from airflow_midjourney.testing.simulator.counters import Counters
    from airflow_midjourney.testing.simulator.rests import Rest, Rests


class Words(Protocol):
    """What a dialect says in its own words while a task runs."""

    uploads_within_submit: bool
    fail_reason_of_success: str | None

    def failure_text(self, failure: Failure) -> str:
        """The ``failReason`` of a failure."""
        ...


class Lifecycle:
    """Carries tasks through upload, start, work and end.

    :param public_url: where this simulator can be reached, for the addresses of pictures.
    :param rests: where tasks get their waits from.
    """

    def __init__(
        self,
        words: Words,
        callbacks: Callbacks,
        attachments: Attachments,
        identifiers: IdentifierSource,
        counters: Counters,
        rests: Rests,
    ) -> None:
        self.public_url = ""
        self._words = words
        self._callbacks = callbacks
        self._attachments = attachments
        self._identifiers = identifiers
        self._counters = counters
        self._rests = rests

    async def run(self, task: SimulatedTask) -> None:
        """Run the task to its end; returns when its slot is free again."""
        plan, rest = task.plan, self._rests.begin()
        if not self._words.uploads_within_submit:
            await rest.wait(plan.upload)
        if plan.stuck_at is TaskStatus.NOT_START:
            return await self._get_stuck(task)
        if plan.failure is not None and plan.failure.before_start:
            return self._fail(task, plan.failure)
        try:
            content = await _content(task.image)
            task.reading = await asyncio.to_thread(read_image, content)
        except (UnreadableImageError, httpx.HTTPError):
            return self._fail(task, UPLOAD_FAILED)
        self._attachments.put(task.id, content, task.image.media_type or "image/png")
        if not plan.partner:
            self._begin(task)
        if plan.stuck_at is TaskStatus.SUBMITTED:
            return await self._get_stuck(task)
        await self._work(task, task.reading, rest)
        if plan.slot_held:
            await rest.wait(plan.slot_held)
        self._callbacks.ended(task)
        return None

    def _begin(self, task: SimulatedTask) -> None:
        task.status, task.progress = TaskStatus.SUBMITTED, "0%"
        task.start_time = now_milliseconds()
        task.message_id = self._identifiers.snowflake()
        self._callbacks.under_way(task)

    async def _work(self, task: SimulatedTask, reading: ImageReading, rest: Rest) -> None:
        plan = task.plan
        await rest.wait(plan.work / 2)
        if plan.shows_in_progress:
            task.status = TaskStatus.IN_PROGRESS
            self._callbacks.under_way(task)
        if plan.prompts_early:
            task.text = answer_text(reading, plan)
        await rest.wait(plan.work / 2)
        if plan.partner:
            task.start_time = now_milliseconds() - round(plan.work * 1000)
        failure = plan.failure
        if failure is not None and plan.errors_time_out_after is not None:
            await rest.wait(plan.errors_time_out_after)
            failure = TIMED_OUT
        if failure is None or plan.keeps_prompts_on_failure:
            self._answer(task, reading)
        self._end(task, failure)

    def _answer(self, task: SimulatedTask, reading: ImageReading) -> None:
        task.text = answer_text(reading, task.plan)
        if task.plan.translated:
            task.translation = translated_text(reading, task.plan)
        task.message_id = task.message_id or self._identifiers.snowflake()
        name = f"{task.id}.{(task.image.media_type or 'image/png').partition('/')[2]}"
        signature = f"ex={task.submit_time:x}&is={task.submit_time:x}&hm={self._identifiers.signature()}&"
        address = f"/_simulator/ephemeral-attachments/{CHANNEL}/{task.id}/{name}?{signature}"
        task.image_url = self.public_url + address

    def _fail(self, task: SimulatedTask, failure: Failure) -> None:
        self._end(task, failure)
        self._callbacks.ended(task)

    def _end(self, task: SimulatedTask, failure: Failure | None) -> None:
        task.image = replace(task.image, content=b"")
        task.finish_time = now_milliseconds()
        if failure is None:
            task.status, task.progress = TaskStatus.SUCCESS, "100%"
            task.fail_reason = self._words.fail_reason_of_success
        else:
            task.status, task.progress = TaskStatus.FAILURE, ""
            task.fail_reason = self._words.failure_text(failure)
        self._counters.ended[task.status] += 1

    async def _get_stuck(self, task: SimulatedTask) -> None:
        if task.plan.stuck_holds_slot:
            await asyncio.Event().wait()


async def _content(image: ReceivedImage) -> bytes:
    if image.link is None:
        return image.content
    async with httpx.AsyncClient(timeout=60, trust_env=False, follow_redirects=True) as client:
        return (await client.get(image.link)).raise_for_status().content
