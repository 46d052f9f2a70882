"""A plain client for the tests of the simulator: it hides nothing of what the simulator says."""

from __future__ import annotations

import base64
import io
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from PIL import Image

if TYPE_CHECKING:
    import httpx

    from airflow_midjourney.testing.simulator.serving import RunningSimulator

ENDED = ("SUCCESS", "FAILURE")

#: Seconds after which what tests wait for counts as something that never comes.
PATIENCE: Final = 60.0


def picture(number: int = 0, *, kind: str = "JPEG", size: tuple[int, int] = (96, 64)) -> bytes:
    """A small picture; another number gives another one."""
    image = Image.new("RGB", size, (number * 37 % 256, 120, 200 - number % 100))
    image.paste((number * 91 % 256, 60, 30), (0, size[1] // 2, size[0], size[1]))
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


def data_uri(content: bytes, media_type: str = "image/jpeg") -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


@dataclass
class SimulatorClient:
    sim: RunningSimulator
    http: httpx.Client

    def submit(self, content: bytes | None = None, **fields: Any) -> httpx.Response:
        body = {"base64": data_uri(picture() if content is None else content), **fields}
        return self.http.post("/submit/describe", json=body)

    def submitted(self, content: bytes | None = None, **fields: Any) -> str:
        """Submit and give the task id."""
        answer = self.submit(content, **fields)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["result"])

    def fetch(self, task_id: str) -> httpx.Response:
        return self.http.get(f"/task/{task_id}/fetch")

    def listed(self, *task_ids: str) -> list[Any]:
        answer = self.http.post("/task/list-by-condition", json={"ids": list(task_ids)})
        assert answer.status_code == 200, answer.text
        items = answer.json()
        assert isinstance(items, list)
        return items

    def until(self, task_id: str, *statuses: str) -> dict[str, Any]:
        """Ask until the task has one of the statuses."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            answer = self.fetch(task_id)
            if answer.status_code == 200 and answer.content and answer.json()["status"] in statuses:
                task: dict[str, Any] = answer.json()
                return task
            time.sleep(0.01)
        raise AssertionError(f"{task_id} never was {statuses}: {self.fetch(task_id).text}")

    def described(self, content: bytes | None = None, **fields: Any) -> dict[str, Any]:
        """Submit and wait for the end."""
        return self.until(self.submitted(content, **fields), *ENDED)

    def count(self, name: str) -> Any:
        return self.sim.counters()[name]

    def eventually(self, name: str, value: Any) -> None:
        """Wait for a count."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self.count(name) == value:
                return
            time.sleep(0.01)
        raise AssertionError(f"{name} is {self.count(name)!r}, not {value!r}")
