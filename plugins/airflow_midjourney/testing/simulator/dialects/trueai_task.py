"""How trueai 11.10 writes a task."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from airflow_midjourney.testing.simulator.dialects.gateway_words import WORDS_OF_2025, GatewayWords
from airflow_midjourney.testing.simulator.dialects.novicezk_task import describe_buttons
from airflow_midjourney.testing.simulator.model import CHANNEL, FinalPrompt, TaskStatus

if TYPE_CHECKING:
    from airflow_midjourney.testing.simulator.model import Failure, SimulatedTask


class TrueAiVoice:
    """The words and the task JSON of trueai."""

    uploads_within_submit = True
    reruns_after_restart = True
    fail_reason_of_success: str | None = ""
    gateway_words: GatewayWords = WORDS_OF_2025

    def failure_text(self, failure: Failure) -> str:
        """The ``failReason`` of a failure, at most 4,000 characters."""
        return failure.trueai[:4000]

    def callback_body(self, task: SimulatedTask) -> bytes:
        """The body of a callback: the whole task, everything beyond ASCII escaped."""
        return json.dumps(task_body(task), separators=(",", ":")).encode()


def task_body(task: SimulatedTask) -> dict[str, Any]:
    """The task as fetch, list and callbacks show it, with every key of trueai's ``TaskInfo``."""
    return {
        **_origin(task),
        **_answer(task),
        **_account(task),
        **_picture(task),
        "displays": _displays(task),
        "id": task.id,
        "properties": _properties(task),
    }


def _origin(task: SimulatedTask) -> dict[str, Any]:
    messages = [task.message_id] if task.message_id else []
    return {
        "parentId": None,
        "botType": task.fields.bot_type,
        "realBotType": None,
        "userId": "1",
        "isWhite": False,
        "nonce": task.nonce,
        "interactionMetadataId": task.message_id,
        "messageId": task.message_id,
        "remixModalMessageId": None,
        "remixAutoSubmit": False,
        "remixModaling": False,
        "instanceId": CHANNEL,
        "subInstanceId": None,
        "messageIds": messages,
        "clientIp": task.fields.client_address,
        "mode": task.fields.mode or ("FAST" if task.status is TaskStatus.SUCCESS else None),
        "requestMode": task.fields.mode,
        "accountFilter": None,
        "language": task.fields.language,
        "storageOption": None,
    }


def _answer(task: SimulatedTask) -> dict[str, Any]:
    return {
        "action": "DESCRIBE",
        "status": str(task.status),
        "isCompleted": task.ended,
        "prompt": task.translation,
        "promptEn": task.text,
        "promptFull": task.translation,
        "description": "/describe",
        "state": _state(task),
        "submitTime": task.submit_time,
        "startTime": task.start_time,
        "finishTime": task.finish_time,
        "useTime": _use_time(task),
        "progress": task.progress,
        "failReason": task.fail_reason,
        "buttons": _buttons(task),
    }


def _account(task: SimulatedTask) -> dict[str, Any]:
    partner = task.plan.partner
    return {
        "hasAIReviewRetried": False,
        "isPartner": partner,
        "isPartnerRelax": partner and task.fields.mode == "RELAX",
        "partnerTaskId": task.nonce if partner else None,
        "partnerTaskInfo": None,
        "isOfficial": False,
        "officialTaskId": None,
        "officialTaskInfo": None,
        "isDiscord": not partner,
        "seed": None,
        "seedError": None,
        "seedMessageId": None,
        "jobId": None,
        "isReplicate": False,
        "replicateSource": None,
        "replicateTarget": None,
        "version": None,
    }


def _picture(task: SimulatedTask) -> dict[str, Any]:
    reading = task.reading if task.status is TaskStatus.SUCCESS else None
    width, height = (reading.width, reading.height) if reading else (None, None)
    return {
        "imageUrl": task.image_url,
        "baseImageUrl": None,
        "imageUrls": None,
        "thumbnailUrl": None,
        "url": task.image_url if reading else None,
        "proxyUrl": task.image_url if reading else None,
        "height": height,
        "width": width,
        "size": None,
        "contentType": None,
        "imageHeight": height,
        "imageWidth": width,
        "videoGenOriginImageUrl": None,
        "videoDuration": None,
        "frameCount": None,
        "videoUrl": None,
        "videoUrls": None,
        "videoType": None,
        "isHdVideo": False,
    }


def _displays(task: SimulatedTask) -> dict[str, Any]:
    return {
        "status": str(task.status),
        "submitTime": _local_time(task.submit_time),
        "startTime": _local_time(task.start_time),
        "finishTime": _local_time(task.finish_time),
        "action": "DESCRIBE",
        "discordInstanceId": CHANNEL,
    }


def _properties(task: SimulatedTask) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "notifyHook": task.fields.notify_hook,
        "nonce": task.nonce,
        "discordInstanceId": CHANNEL,
        "botType": task.fields.bot_type,
    }
    if task.text is not None and task.plan.final_prompt is not FinalPrompt.MISSING:
        empty = task.plan.final_prompt is FinalPrompt.EMPTY
        properties["finalPrompt"] = "" if empty else task.translation or task.text
    if task.message_id is not None:
        properties |= {"messageId": task.message_id, "progressMessageId": task.message_id}
    return properties


def _state(task: SimulatedTask) -> str | None:
    if task.plan.foreign_state:
        return f"not-{task.fields.state}"
    return task.fields.state or ("" if task.ended else None)


def _buttons(task: SimulatedTask) -> list[dict[str, Any]]:
    return describe_buttons() if task.status is TaskStatus.SUCCESS else []


def _use_time(task: SimulatedTask) -> str:
    if task.start_time is None or task.finish_time is None:
        return "-"
    return f"{max(0, task.finish_time - task.start_time) / 1000:.2f} s"


def _local_time(milliseconds: int | None) -> str | None:
    if milliseconds is None:
        return None
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(milliseconds / 1000))
