"""Airflow's output is read whatever it is, and only our own lines of it are shown."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from demo.airflow_log import read_line
from demo.photos import PICTURES
from demo.progress import Progress
from demo.screen import Screen

if TYPE_CHECKING:
    from pathlib import Path

OPERATOR = "airflow.task.operators.airflow_midjourney.operators.describe.DescribeImagesOperator"


def json_line(event: str, logger: str = OPERATOR, level: str = "info", **more: object) -> str:
    return json.dumps({"timestamp": "2026-11-22T12:47:27Z", "level": level, "event": event, "logger": logger, **more})


def shown(tmp_path: Path, *lines: str) -> str:
    output = io.StringIO()
    progress = Progress(Screen(Console(file=output, width=100)), tmp_path / "none.sqlite", PICTURES)
    for line in lines:
        progress.hear(read_line(line))
    return output.getvalue()


def test_our_lines_are_shown_with_their_task_and_airflow_s_are_not(tmp_path: Path) -> None:
    output = shown(
        tmp_path,
        json_line("12 images among 12 keys"),
        json_line("described 8 of 12 images", OPERATOR.replace("ImagesOperator", "ImagesSensor")),
        json_line("Filling up the DagBag", "airflow.dag_processing.dagbag.BundleDagBag"),
        json_line("Batch describe_images/submit/manual: s3://photos/"),
        "DagRun failed",
    )

    assert [line.split("s  ")[1] for line in output.splitlines()] == [
        "submit: 12 images among 12 keys",
        "wait: described 8 of 12 images",
    ]


def test_an_exception_is_a_failure_with_its_message() -> None:
    frames = [{"filename": "crews.py", "lineno": 86, "name": "airflow_errors"}]
    exceptions = [{"exc_type": "AirflowException", "exc_value": "S3 could not be reached", "frames": frames}]

    line = read_line(json_line("Task failed with exception", "task", "error", exception=exceptions))

    assert line.is_failure
    assert line.errors == ("AirflowException: S3 could not be reached",)
    assert line.as_text().splitlines()[1:] == [
        "    AirflowException: S3 could not be reached",
        "    at crews.py:86 in airflow_errors",
    ]


@pytest.mark.parametrize("line", ["", "DagRun failed", "{", "[1]", "null", '{"level": "info"}'])
def test_what_is_no_log_line_is_kept_as_it_is(line: str) -> None:
    assert read_line(line).as_text() == line
    assert not read_line(line).is_failure


@given(
    st.dictionaries(
        st.sampled_from(["event", "level", "logger", "timestamp", "exception", "more"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["exc_type", "frames", "x"]), inner),
            max_leaves=6,
        ),
    )
)
def test_any_json_is_read(fields: dict[str, object]) -> None:
    line = read_line(json.dumps(fields))

    assert line.text in line.as_text()
