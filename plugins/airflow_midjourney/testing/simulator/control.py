"""The control plane: what a test or an onlooker may ask and change, under ``/_simulator``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from starlette.routing import Route

from airflow_midjourney.testing.simulator.catalogue import CATALOGUE
from airflow_midjourney.testing.simulator.effects import StandingFault
from airflow_midjourney.testing.simulator.exchange import JSON, json_bytes
from airflow_midjourney.testing.simulator.scenarios import ScenarioError
from airflow_midjourney.testing.simulator.settings import SettingError, changed

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_midjourney.testing.simulator.service import SimulatedService


def control_routes(service: SimulatedService) -> list[Route]:
    """The routes of the control plane; none of them asks for a key."""
    control = ControlPlane(service)
    return [
        Route("/_simulator/counters", control.counters),
        Route("/_simulator/tasks", control.tasks),
        Route("/_simulator/scenarios", control.scenarios),
        Route("/_simulator/scenario", control.set_scenarios, methods=["POST"]),
        Route("/_simulator/settings", control.change_settings, methods=["POST"]),
        Route("/_simulator/restart", control.restart, methods=["POST"]),
        Route("/_simulator/age", control.age, methods=["POST"]),
        Route("/_simulator/hurry", control.hurry, methods=["POST"]),
        Route("/_simulator/reset", control.reset, methods=["POST"]),
        Route("/_simulator/ephemeral-attachments/{channel}/{task_id}/{name}", control.attachment),
    ]


class ControlPlane:
    """Answers of the control plane, all JSON but the attachments."""

    def __init__(self, service: SimulatedService) -> None:
        self._service = service

    async def counters(self, request: Request) -> Response:
        """All counts; ``?images=0`` leaves out those of single images and states."""
        service = self._service
        service.note_room()
        account = service.account
        body: dict[str, Any] = {
            **service.counters.as_dict(service.settings.price),
            "running": account.running,
            "waiting": account.waiting,
            "in_flight": account.running + account.waiting,
            "high_water": account.high_water,
            "restarts": service.restarts,
            "scenarios": [active.as_dict() for active in service.scenarios.active],
        }
        if request.query_params.get("images") != "0":
            body.update(service.counters.bills_as_dict())
        return _json(body)

    async def tasks(self, request: Request) -> Response:
        """All tasks as they really are, newest last."""
        return _json(
            [
                {
                    "id": task.id,
                    "status": task.status,
                    "state": task.fields.state,
                    "sha256": task.image.sha256,
                    "submit_time": task.submit_time,
                    "finish_time": task.finish_time,
                    "fail_reason": task.fail_reason,
                    "reruns": task.reruns,
                }
                for task in self._service.tasks.values()
            ]
        )

    async def scenarios(self, request: Request) -> Response:
        """All scenarios that there are, and the scenarios that are set."""
        known = {scenario.name: scenario.explanation for scenario in CATALOGUE.values()}
        return _json({"known": known, "active": [active.as_dict() for active in self._service.scenarios.active]})

    async def set_scenarios(self, request: Request) -> Response:
        """``{"scenarios": ["name", "name:first=2"]}`` replaces the scenarios that are set."""
        try:
            given = (await _fields(request)).get("scenarios", [])
            texts = [given] if isinstance(given, str) else [str(text) for text in given]
            self._service.scenarios.set(texts)
        except (ScenarioError, TypeError, ValueError) as error:
            return _json({"error": str(error)}, 400)
        return await self.scenarios(request)

    async def change_settings(self, request: Request) -> Response:
        """Changes the settings that are named."""
        service = self._service
        try:
            service.apply(changed(service.settings, await _fields(request)))
        except ValueError as error:
            return _json({"error": str(error)}, 400)
        return _json({"ok": True})

    async def restart(self, request: Request) -> Response:
        """Restarts the simulated service."""
        self._service.restart()
        return _json({"restarts": self._service.restarts})

    async def age(self, request: Request) -> Response:
        """``{"seconds": 60}`` makes all tasks so much older."""
        try:
            self._service.age(float((await _fields(request))["seconds"]))
        except (KeyError, TypeError, ValueError) as error:
            return _json({"error": str(error)}, 400)
        return _json({"ok": True})

    async def hurry(self, request: Request) -> Response:
        """Lets tasks and answers that are under way come to their end at once."""
        self._service.rests.end()
        return _json({"ok": True})

    async def reset(self, request: Request) -> Response:
        """Forgets tasks, counts and scenarios."""
        self._service.reset()
        return _json({"ok": True})

    async def attachment(self, request: Request) -> Response:
        """The picture of a task."""
        kept = self._service.attachments.get(request.path_params["task_id"])
        if kept is None or self._service.has_standing(StandingFault.ATTACHMENTS_EXPIRED):
            return Response("This content is no longer available.", 404, media_type="text/plain")
        content, media_type = kept
        return Response(content, media_type=media_type)


def _json(body: Any, status: int = 200) -> Response:
    return Response(json_bytes(body), status, media_type=JSON)


async def _fields(request: Request) -> dict[str, Any]:
    fields = json.loads(await request.body() or b"{}")
    if not isinstance(fields, dict):
        raise SettingError("A JSON object is needed.")
    return fields
