"""Every snippet of the README and the guides does what they say, when it is scheduled and when it is run by hand."""

from __future__ import annotations

import copy
import json
import os
import re
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.providers.amazon.aws.triggers.sqs import SqsSensorTrigger
from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_midjourney.operators.describe import DescribeImagesOperator
from airflow_midjourney.operators.export import ExportPromptsOperator
from airflow_midjourney.operators.import_reviews import ImportReviewsOperator
from airflow_midjourney.operators.purge import PurgePromptsOperator
from airflow_midjourney.operators.reparse import ReparsePromptsOperator
from airflow_midjourney.sensors.describe import DescribeImagesSensor
from tests.support.airflow_home import REPOSITORY
from tests.support.airflow_runs import FinishedRun, run_dag, submit_and_wait
from tests.support.annotated import annotated, annotation, chosen
from tests.support.asset_events import forget_events, hand_over
from tests.support.documents import Snippet, TriggerCommand, pages, snippets, templates, trigger_commands
from tests.support.example_dags import load_example
from tests.support.mail import smtp_server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace

#: What the snippets do not import, since the text around them says where it comes from.
NAMES = {
    one.__name__: one
    for one in (
        DAG,
        Asset,
        AssetWatcher,
        SqsSensorTrigger,
        DescribeImagesOperator,
        DescribeImagesSensor,
        ExportPromptsOperator,
        ImportReviewsOperator,
        ReparsePromptsOperator,
        PurgePromptsOperator,
    )
} | {"task": task}

#: By what a snippet is told to be for one of the tests below.
KINDS = {
    "describes": "DescribeImagesOperator(",
    "describes as a group": "= describe_images_group(",
    "describes each prefix": "DescribeImagesOperator.partial(",
    "describes one image": ".describe_image(",
    "exports": "ExportPromptsOperator(",
    "imports": "ImportReviewsOperator(",
    "works on the table": "ReparsePromptsOperator(",
    "reads": "read_prompts(",
    "watches": "AssetWatcher(",
    "tells of files": "def store(",
    "is told of prompts": "def export(triggering_asset_events)",
}

#: Midnight, when ``@daily`` makes a run; and some time of the same day.
MOMENTS = {
    "scheduled": {"logical_date": datetime(2026, 3, 5, tzinfo=UTC)},
    "by hand": {"logical_date": None, "run_after": datetime(2026, 3, 5, 12, tzinfo=UTC)},
}
#: The day that is over then.
DAY = "incoming/2026-03-04/"


def kind_of(snippet: Snippet) -> str:
    """Say which test a snippet is for."""
    if snippet.is_a_program:
        assert snippet.place.startswith("docs/export/"), "tests/exports/test_guides.py runs those of docs/export alone"
        return "is a program"
    (kind,) = [kind for kind, mark in KINDS.items() if mark in snippet.text]
    return kind


def of_kind(*kinds: str) -> pytest.MarkDecorator:
    wanted = [snippet for snippet in snippets() if kind_of(snippet) in kinds]
    assert wanted
    return pytest.mark.parametrize("snippet", wanted, ids=[one.place for one in wanted])


either_way = pytest.mark.parametrize("moment", list(MOMENTS.values()), ids=list(MOMENTS))


def written(snippet: Snippet, bucket: str, folder: Path | None = None) -> str:
    """Give a snippet as a user writes it who has another bucket, and another disk."""
    text = snippet.text.replace('"photos"', f'"{bucket}"').replace("s3://photos/", f"s3://{bucket}/")
    return text if folder is None else text.replace("/data/", f"{folder}/")


def dag_of(text: str, **more: Any) -> DAG:
    """Give the DAG of a snippet, or one with the tasks of a snippet."""
    names: dict[str, Any] = NAMES | more
    if "with DAG(" in text:
        exec(text, names)
        made = names.get("dag") or names["submit"].dag
        assert isinstance(made, DAG)
        return made
    with DAG(f"snippet_{uuid.uuid4().hex[:8]}", schedule=None) as dag:
        exec(text, names)
        for called in ("store", "export"):
            if called in names:
                names[called]()
    return dag


@of_kind("describes")
@either_way
def test_a_dag_of_a_document_describes_images(
    snippet: Snippet,
    moment: dict[str, Any],
    sqlite_place: MetadataPlace,
    bucket: str,
    simulator: RunningSimulator,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
) -> None:
    connect(simulator, sqlite_place)
    put_photos(DAY, 2)

    run = run_dag(dag_of(written(snippet, bucket)), **moment)

    assert (run.state, run.state_of("wait")) == ("success", "success")
    assert run.xcom("wait", "counts")[0]["succeeded"] == simulator.counters()["billed"] == 2


@of_kind("describes as a group", "describes each prefix")
@either_way
def test_tasks_of_a_document_that_are_grouped_or_expanded_describe_images(
    snippet: Snippet,
    moment: dict[str, Any],
    sqlite_place: MetadataPlace,
    bucket: str,
    simulator: RunningSimulator,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
) -> None:
    connect(simulator, sqlite_place)
    put_photos(DAY, 2)

    run = run_dag(dag_of(written(snippet, bucket)), **moment)

    assert run.state == "success"
    assert simulator.counters()["billed"] == 2


@of_kind("describes one image")
@either_way
def test_a_function_of_a_document_describes_one_image(
    snippet: Snippet,
    moment: dict[str, Any],
    sqlite_place: MetadataPlace,
    bucket: str,
    simulator: RunningSimulator,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
) -> None:
    connect(simulator, sqlite_place)
    put_photos(DAY, 2)

    run = run_dag(dag_of(written(snippet, bucket)), **moment)

    assert run.state == "success"
    assert run.xcom("caption")
    assert simulator.counters()["billed"] == 1


def test_a_run_that_fails_sends_the_mail_of_a_document(
    sqlite_place: MetadataPlace,
    bucket: str,
    simulator: RunningSimulator,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (snippet,) = [one for one in snippets() if "SmtpNotifier(" in one.text]
    connect(simulator, sqlite_place)
    put_photos("incoming/", 2)
    simulator.set_scenarios(["banned_image:first=2"])
    with smtp_server() as (connection, mails):
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", connection)

        run = run_dag(dag_of(written(snippet, bucket)), **MOMENTS["by hand"])

    assert (run.state, run.state_of("wait")) == ("failed", "failed")
    (mail,) = mails
    assert mail["To"] == "on-call@example.com"
    assert mail["Subject"] == "describe_or_tell: images were not described"
    (text,) = [part.get_payload(decode=True).decode() for part in mail.walk() if part.get_content_type() == "text/html"]
    assert "banned: 2" in text
    assert "/midjourney/batch?id=describe_or_tell" in text


@pytest.fixture
def described(
    sqlite_place: MetadataPlace,
    bucket: str,
    simulator: RunningSimulator,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
) -> FinishedRun:
    """A run that has described two images, and told the asset of prompts."""
    forget_events()
    connect(simulator, sqlite_place)
    put_photos("incoming/", 2)
    run = run_dag(submit_and_wait({"bucket": bucket, "prefix": "incoming/"}, {"outlets": [Asset("image_prompts")]}))
    assert run.state == "success"
    return run


@of_kind("exports", "works on the table")
@pytest.mark.usefixtures("described")
def test_other_tasks_of_a_document_work_scheduled_and_by_hand(snippet: Snippet, bucket: str, tmp_path: Path) -> None:
    for moment in MOMENTS.values():
        dag = dag_of(written(snippet, bucket, tmp_path))

        run = run_dag(dag, **moment)

        assert run.state == "success"
        if kind_of(snippet) == "exports":
            assert run.xcom("export", "counts")["exported"] == 2


@of_kind("imports")
@pytest.mark.usefixtures("described")
def test_decisions_are_imported_as_a_document_says(snippet: Snippet, bucket: str, tmp_path: Path) -> None:
    with DAG("export_tasks", schedule=None) as exporting:
        folder = tmp_path / "tasks"
        ExportPromptsOperator(
            task_id="export", bucket=bucket, prefix="incoming/", target=str(folder), format="labelstudio"
        )
    assert run_dag(exporting).state == "success"
    tasks = json.loads((folder / "latest/tasks-000000.json").read_text("utf-8"))
    source = tmp_path / "annotations/export.json"
    source.parent.mkdir()
    source.write_text(json.dumps([annotated(one, annotation(chosen("approved"))) for one in tasks]))

    run = run_dag(dag_of(written(snippet, bucket, tmp_path)))

    assert run.state == "success"
    assert run.xcom("import")["added"] == 2


@of_kind("reads")
@pytest.mark.usefixtures("described")
def test_prompts_are_read_as_a_document_says(
    snippet: Snippet, sqlite_place: MetadataPlace, bucket: str, capsys: pytest.CaptureFixture[str]
) -> None:
    exec(written(snippet, bucket).replace("postgresql://…", sqlite_place.url), {})

    assert capsys.readouterr().out.count(f"s3://{bucket}/incoming/") == 2


@of_kind("tells of files")
@either_way
def test_a_dag_that_writes_files_has_them_described(
    snippet: Snippet,
    moment: dict[str, Any],
    sqlite_place: MetadataPlace,
    bucket: str,
    s3: S3Client,
    simulator: RunningSimulator,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect(simulator, sqlite_place)
    put_photos("incoming/", 2)
    for number, name in enumerate("ab"):
        s3.copy_object(Bucket=bucket, Key=f"incoming/{name}.jpg", CopySource=f"{bucket}/incoming/{number:03}.jpg")
    describing = load_example("describe_on_arrival")
    bag = DagBag(dag_folder=os.devnull)
    bag.bag_dag(describing)
    sync_bag_to_db(bag, "dags-folder", None)
    forget_events()

    assert run_dag(dag_of(written(snippet, bucket)), **moment).state == "success"
    hand_over(monkeypatch, "incoming_photos")
    run = run_dag(describing)

    assert run.state == "success"
    assert run.xcom("wait", "counts")[0]["succeeded"] == 2


@of_kind("is told of prompts")
@either_way
def test_a_dag_after_it_is_told_what_came_of_the_images(
    snippet: Snippet, moment: dict[str, Any], described: FinishedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed: list[Any] = []

    hand_over(monkeypatch, "image_prompts")
    run = run_dag(dag_of(snippet.text, print=lambda *values: printed.append(values)), **moment)

    assert run.state == "success"
    assert printed == [([described.xcom("submit")], 2, 0)]


@of_kind("watches")
def test_a_queue_is_watched_as_a_document_says(snippet: Snippet) -> None:
    names: dict[str, Any] = dict(NAMES)

    exec(snippet.text, names)

    (watcher,) = names["incoming"].watchers
    assert names["incoming"].name == "incoming_photos"
    assert isinstance(watcher.trigger, SqsSensorTrigger)


@pytest.mark.parametrize("command", trigger_commands(), ids=lambda command: f"{command.place}-{command.dag_id}")
def test_a_command_of_a_document_starts_its_dag(command: TriggerCommand) -> None:
    params = copy.deepcopy(load_example(command.dag_id).params)

    assert set(command.conf) <= set(params)
    for name, value in command.conf.items():
        params[name] = value
    params.validate()


def test_no_document_names_a_template_that_no_test_runs() -> None:
    assert templates() == []


def test_documents_agree_that_rows_are_never_deleted_by_hand() -> None:
    promising = re.compile(r"can be deleted|delete rows(?! by hand)|Never delete rows")

    told = {page.name: promising.findall(page.read_text("utf-8")) for page in pages()}

    assert {name: found for name, found in told.items() if found} == {
        "runbook.md": ["Never delete rows"],
        "scale.md": ["Never delete rows"],
    }


def test_the_promises_of_the_readme_say_where_they_end() -> None:
    (readme,) = [page for page in pages() if page.name == "README.md" and page.parent == REPOSITORY]

    promises = readme.read_text("utf-8").partition("```python")[0]

    assert "docs/guarantees.md" in promises
