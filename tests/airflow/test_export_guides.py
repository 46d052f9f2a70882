"""The tasks of the guides are tasks that can be run."""

from __future__ import annotations

import re

import pytest

from airflow_midjourney.operators.export import ExportPromptsOperator
from tests.support.airflow_home import REPOSITORY

TASK = re.compile(r"^```python\n(ExportPromptsOperator\(.*?)^```$", re.MULTILINE | re.DOTALL)
TASKS = [
    (guide.stem, task)
    for guide in sorted((REPOSITORY / "docs" / "export").glob("*.md"))
    for task in TASK.findall(guide.read_text("utf-8"))
]


@pytest.mark.parametrize(("guide", "task"), TASKS, ids=[f"{guide}-{at}" for at, (guide, _) in enumerate(TASKS)])
def test_a_task_of_a_guide_makes_sense(guide: str, task: str) -> None:
    made = eval(task, {"ExportPromptsOperator": ExportPromptsOperator})

    plan = made._plan()

    assert made.format == {"huggingface": "imagefolder", "README": "imagefolder"}.get(guide, guide)
    assert plan.wanted.scope.bucket == "photos"
    assert made._place(plan)[1] in ("", f"prompts.{guide}")
