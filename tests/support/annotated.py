"""Tasks of an export, with annotations beside them as Label Studio writes them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.support.described import export_to, plan

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_midjourney.describe.table.database import Database

#: What Label Studio writes beside an annotation; after a project of version 1.21.
FACTS = {
    "created_at": "2026-03-02T09:00:00.000000Z",
    "updated_at": "2026-03-02T09:00:00.000000Z",
    "draft_created_at": None,
    "lead_time": 12.5,
    "prediction": {},
    "result_count": 1,
    "unique_id": "b7a8c3f2-52c4-4b2e-9d0f-0a4b1f6f2f11",
    "import_id": None,
    "last_action": None,
    "bulk_created": False,
    "parent_prediction": None,
    "parent_annotation": None,
    "last_created_by": None,
}


def exported(folder: Path, database: Database, **choice: Any) -> dict[str, dict[str, Any]]:
    """Export tasks, and give each by the address of its image."""
    made, _ = export_to(folder, database, plan("labelstudio", **{"prompt": "all", **choice}))
    tasks = [task for path in sorted(made.glob("tasks-*.json")) for task in json.loads(path.read_text("utf-8"))]
    return {task["data"]["image_uri"].rpartition("/")[2]: task for task in tasks}


def chosen(word: str) -> dict[str, Any]:
    """Give the region of a choice."""
    return {
        "id": "c1",
        "from_name": "decision",
        "to_name": "image",
        "type": "choices",
        "origin": "manual",
        "value": {"choices": [word]},
    }


def written(*texts: str) -> dict[str, Any]:
    """Give the region of a text."""
    return {
        "id": "caption",
        "from_name": "caption",
        "to_name": "image",
        "type": "textarea",
        "origin": "prediction",
        "value": {"text": list(texts)},
    }


def annotation(*regions: dict[str, Any], number: int = 7, by: Any = 3, **facts: Any) -> dict[str, Any]:
    """Give one annotation as it stands in a task."""
    return {
        "id": number,
        "completed_by": by,
        "result": list(regions),
        "was_cancelled": False,
        "ground_truth": False,
        **FACTS,
        **facts,
    }


def annotated(task: dict[str, Any], *annotations: dict[str, Any], number: int = 1) -> dict[str, Any]:
    """Give a task as *JSON* has it."""
    return {
        "id": number,
        "annotations": list(annotations),
        "drafts": [],
        "predictions": [],
        "data": task["data"],
        "meta": {},
        "created_at": FACTS["created_at"],
        "updated_at": FACTS["updated_at"],
        "total_annotations": len(annotations),
        "cancelled_annotations": sum(1 for one in annotations if one["was_cancelled"]),
        "comment_authors": [],
        "project": 1,
    }
