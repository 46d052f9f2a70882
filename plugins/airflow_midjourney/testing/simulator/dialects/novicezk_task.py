"""How novicezk 2.6.3 (and the plus family) writes a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_midjourney.testing.simulator.dialects.gateway_words import WORDS_OF_2025, GatewayWords
from airflow_midjourney.testing.simulator.exchange import json_bytes
from airflow_midjourney.testing.simulator.model import CHANNEL, FinalPrompt

if TYPE_CHECKING:
    from airflow_midjourney.testing.simulator.model import Failure, SimulatedTask

#: Media type -> ending of the file that goes to Discord; others become ``null``.
_ENDINGS: Final = {
    "image/gif": "gif",
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/tiff": "tif",
    "image/x-icon": "ico",
    "image/x-ms-bmp": "bmp",
    "image/svg+xml": "svg",
    "image/webp": "webp",
}


class NovicezkVoice:
    """The words and the task JSON of novicezk."""

    uploads_within_submit = False
    reruns_after_restart = False
    fail_reason_of_success: str | None = None
    gateway_words: GatewayWords = WORDS_OF_2025

    def failure_text(self, failure: Failure) -> str:
        """The ``failReason`` of a failure."""
        return failure.novicezk

    def callback_body(self, task: SimulatedTask) -> bytes:
        """The body of a callback: the same as fetch gives."""
        return json_bytes(task_body(task))


def task_body(task: SimulatedTask) -> dict[str, Any]:
    """The task as fetch, list and callbacks show it."""
    text = task.translation or task.text
    body: dict[str, Any] = {
        "id": task.id,
        "properties": _properties(task),
        "action": "DESCRIBE",
        "status": str(task.status),
        "prompt": text,
        "promptEn": task.text,
        "description": f"/describe {task.id}.{_ending(task)}",
        "state": _state(task),
        "submitTime": task.submit_time,
        "startTime": task.start_time,
        "finishTime": task.finish_time,
        "imageUrl": task.image_url,
        "progress": task.progress,
        "failReason": task.fail_reason,
    }
    if task.plan.plus_family:
        body["buttons"] = describe_buttons() if task.text is not None else []
    return body


def describe_buttons() -> list[dict[str, Any]]:
    """The buttons under a finished description."""
    single = [(f"MJ::Job::PicReader::{number}", f"{number}\ufe0f\u20e3", "") for number in range(1, 5)]
    others = [("MJ::Picread::Retry", "🔄", ""), ("MJ::Job::PicReader::all", "🎉", "Imagine all")]
    return [
        {"customId": custom_id, "emoji": emoji, "label": label, "type": 2, "style": 2}
        for custom_id, emoji, label in single + others
    ]


def _properties(task: SimulatedTask) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "notifyHook": task.fields.notify_hook,
        "nonce": task.nonce,
        "discordInstanceId": CHANNEL,
    }
    if task.plan.plus_family:
        properties["discordChannelId"] = CHANNEL
    if task.message_id is not None:
        properties["progressMessageId"] = task.message_id
    if task.text is None:
        return properties
    if task.plan.final_prompt is not FinalPrompt.MISSING:
        empty = task.plan.final_prompt is FinalPrompt.EMPTY
        properties["finalPrompt"] = "" if empty else task.translation or task.text
    if task.plan.plus_family:
        properties["finalZhPrompt"] = properties.get("finalPrompt", "")
    return {**properties, "messageId": task.message_id, "flags": 64, "messageHash": None}


def _ending(task: SimulatedTask) -> str:
    return _ENDINGS.get(task.image.media_type or "", "null")


def _state(task: SimulatedTask) -> str | None:
    return f"not-{task.fields.state}" if task.plan.foreign_state else task.fields.state
