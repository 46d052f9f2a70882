"""The own records of a new-api gateway: it polls its upstream and answers from what it saw."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_midjourney.testing.simulator.dialects.novicezk_task import task_body
from airflow_midjourney.testing.simulator.identifiers import now_milliseconds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_midjourney.testing.simulator.model import SimulatedTask
    from airflow_midjourney.testing.simulator.service import SimulatedService


@dataclass(slots=True)
class GatewayRecord:
    """What the gateway knows of one task.

    :param description: of the upstream's answer to the submit; never updated.
    :param state_sent: the state of the request, for the counters; ``state`` is what the upstream said.
    """

    id: str
    description: str
    image_sha256: str
    state_sent: str | None
    submit_time: int
    prompt_en: str = ""
    state: str = ""
    start_time: int = 0
    finish_time: int = 0
    image_url: str = ""
    status: str = ""
    progress: str = "0%"
    fail_reason: str = ""
    buttons: list[dict[str, Any]] | None = None
    properties: dict[str, str] | None = None


class GatewayRecords:
    """All records, without an expiry.

    A task that the upstream no longer knows stays as it was last seen, for ever.

    :param further_fields: what tasks have beside the fields of 2025.
    """

    def __init__(self, service: SimulatedService, further_fields: Mapping[str, Any]) -> None:
        self._service = service
        self._further_fields = further_fields
        self._records: dict[str, GatewayRecord] = {}
        self._unfinished: set[str] = set()
        service.on_reset.append(self._forget)

    def add(self, task: SimulatedTask, description: str) -> None:
        """Remember a task that the upstream has accepted."""
        self._records[task.id] = GatewayRecord(
            id=task.id,
            description=description,
            image_sha256=task.image.sha256,
            state_sent=task.fields.state,
            submit_time=now_milliseconds(),
        )
        self._unfinished.add(task.id)

    def find(self, task_id: str) -> GatewayRecord | None:
        """One record."""
        record = self._records.get(task_id)
        if record is None:
            return None
        task = self._service.tasks.get(task_id)
        hidden = 0.0 if task is None else task.plan.hidden_for
        return record if (now_milliseconds() - record.submit_time) / 1000 >= hidden else None

    def look_upstream(self) -> None:
        """Copy what the upstream says about every unfinished task, and refund what has failed."""
        for task_id in list(self._unfinished):
            task = self._service.find(task_id)
            if task is not None:
                self._copy(self._records[task_id], task_body(task))

    def as_body(self, record: GatewayRecord) -> dict[str, Any]:
        """The record as fetch and list show it."""
        return {
            "id": record.id,
            "action": "DESCRIBE",
            "customId": "",
            "botType": "",
            "prompt": "",
            "promptEn": record.prompt_en,
            "description": record.description,
            "state": record.state,
            "submitTime": record.submit_time,
            "startTime": record.start_time,
            "finishTime": record.finish_time,
            "imageUrl": self._image_url(record),
            "status": record.status,
            "progress": record.progress,
            "failReason": record.fail_reason,
            "buttons": record.buttons,
            "maskBase64": "",
            "properties": record.properties,
            **self._further_fields,
        }

    def _copy(self, record: GatewayRecord, seen: dict[str, Any]) -> None:
        record.prompt_en = seen["promptEn"] or ""
        record.state = seen["state"] or ""
        record.submit_time = seen["submitTime"]
        record.start_time = seen["startTime"] or 0
        record.finish_time = seen["finishTime"] or 0
        record.image_url = seen["imageUrl"] or ""
        record.status = seen["status"]
        record.progress = seen["progress"] or ""
        record.fail_reason = seen["failReason"] or ""
        record.buttons = seen.get("buttons")
        record.properties = {name: seen["properties"].get(name, "") for name in ("finalPrompt", "finalZhPrompt")}
        if record.status == "FAILURE":
            record.progress = "100%"
            self._service.counters.refund(record.image_sha256, record.state_sent)
        if record.status in {"SUCCESS", "FAILURE"}:
            self._unfinished.discard(record.id)

    def _image_url(self, record: GatewayRecord) -> str:
        if not record.image_url:
            return ""
        address = f"{self._service.lifecycle.public_url}/mj/image/{record.id}"
        return address if record.status == "SUCCESS" else f"{address}?rand={time.time_ns()}"

    def _forget(self) -> None:
        self._records.clear()
        self._unfinished.clear()
