"""``docs/training-set.md`` from its first command to its last: from a bucket to a reviewed training set."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import webdataset

from tests.support.airflow_runs import FinishedRun, run_dag
from tests.support.annotated import annotated, annotation, chosen, written
from tests.support.documents import trigger_commands
from tests.support.example_dags import load_example
from tests.support.labelstudio import Project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.documents import TriggerCommand
    from tests.support.places import MetadataPlace


def commands() -> list[TriggerCommand]:
    return [one for one in trigger_commands() if one.place.startswith("docs/training-set.md")]


def follow(command: TriggerCommand, bucket: str) -> FinishedRun:
    """Run a command of the guide as a user does who has set the places in the DAG's code."""
    dag = load_example(command.dag_id)
    dag.get_task("export").target = f"s3://{bucket}/{command.dag_id}"  # type: ignore[attr-defined]
    if command.dag_id == "import_reviews":
        dag.get_task("import").source = f"s3://{bucket}/annotations/{{{{ params.file }}}}"  # type: ignore[attr-defined]
    run = run_dag(dag, {**command.conf, "bucket": bucket})
    assert run.state == "success"
    return run


def read(s3: S3Client, uri: str) -> bytes:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return s3.get_object(Bucket=bucket, Key=key)["Body"].read()


def annotate(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Take the second prompt of the first picture, write another text for the second, and reject the third."""
    first, second, third = tasks
    return [
        annotated(first, annotation(chosen("approved"), first["predictions"][1]["result"][0])),
        annotated(second, annotation(chosen("approved"), written("words of a person"))),
        annotated(third, annotation(chosen("rejected"))),
    ]


def test_every_command_of_the_guide(
    postgres_place: MetadataPlace,
    s3: S3Client,
    bucket: str,
    simulator: RunningSimulator,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
    tmp_path: Path,
) -> None:
    connect(simulator, postgres_place)
    put_photos("incoming/", 3)
    describing, importing = commands()

    tasks_folder = follow(describing, bucket).xcom("export")
    project = Project(read(s3, f"{tasks_folder}/label_config.xml").decode())
    tasks = json.loads(read(s3, f"{tasks_folder}/tasks-000000.json"))
    decided = annotate(tasks)
    for task in (*tasks, *decided):
        project.check(task)
    s3.put_object(Bucket=bucket, Key="annotations/export.json", Body=json.dumps(decided).encode())
    run = follow(importing, bucket)
    again = follow(importing, bucket)

    assert {name: number for name, number in run.xcom("import").items() if number} == {"entries": 3, "added": 3}
    assert {name: number for name, number in again.xcom("import").items() if number} == {"entries": 3, "unchanged": 3}
    shard = tmp_path / "shard.tar"
    shard.write_bytes(read(s3, f"{again.xcom('export')}/train-000000.tar"))
    samples = list(webdataset.WebDataset([str(shard)], shardshuffle=False).decode("pil"))
    approved = tasks[0]["predictions"][1]["result"][0]["value"]["text"][0]
    assert [(sample["__key__"], sample["txt"]) for sample in samples] == [
        ("000", approved),
        ("001", "words of a person"),
    ]
    assert simulator.counters()["billed"] == 3
