"""What OpenLineage is told: prefixes in, the table out, counts beside; through its own listener, no secrets in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import lineage, plugins_manager
from sqlalchemy import make_url

from airflow_midjourney.describe.model.batch import BatchOptions, Origin, Scope
from airflow_midjourney.describe.table.batches import open_batch
from airflow_midjourney.describe.table.counts import Counts
from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.hooks.midjourney import MidjourneyHook
from airflow_midjourney.observability.lineage import LineageFacts, lineage_facts, operator_lineage
from airflow_midjourney.operators.describe import DescribeImagesOperator
from airflow_midjourney.sensors.describe import DescribeImagesSensor
from tests.support import airflow_connections as connections
from tests.support import rows
from tests.support.airflow_home import REPOSITORY, airflow_variables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace

KEY = "sk-D1stinctive/Key+0f-lineage"

RUN = """
import runpy, sys
from airflow.utils.db import initdb
initdb()
sys.argv[0] = "airflow"
runpy.run_module("airflow", run_name="__main__")
"""

FACTS = LineageFacts((("s3://photos", "in/"),), ("sqlite:///a.db", "image_prompts"), ({"batch": "a/b/c"},))


def batch_of(database: Database, scope: Scope) -> Batch:
    with database.writing() as tx:
        rows.open_batch(tx)
        return open_batch(tx, scope, BatchOptions(), Origin("dag", "run", "task"))


def events_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_prefixes_and_manifests_are_datasets_and_keys_are_told_by_their_folders(database: Database) -> None:
    prefixes = batch_of(database, Scope(rows.BUCKET, ("in/", "")))
    keys = batch_of(database, Scope(rows.BUCKET, keys=("a/1.jpg", "a/2.jpg", "b/c/3.jpg", "top.jpg")))

    manifest = batch_of(database, Scope(rows.BUCKET, manifest="s3://lists/all/2019.txt"))

    facts = lineage_facts(database, [(prefixes, Counts()), (keys, Counts(succeeded=3)), (manifest, Counts())])

    folders = (("s3://photos", name) for name in ("in/", "/", "a/", "b/c/"))
    assert facts.inputs == (*folders, ("s3://lists", "all/2019.txt"))
    assert [batch["succeeded"] for batch in facts.batches] == [0, 3, 0]


def test_the_table_is_named_as_openlineage_names_tables() -> None:
    url = "postgresql+psycopg2://me:hush-hush@db.example.com:5433/annotation"
    database = open_database(url)

    facts = lineage_facts(database, [])

    assert facts.output == ("postgres://db.example.com:5433", "annotation.public.image_prompts")
    assert "hush" not in repr(facts)
    database.close()


@pytest.mark.parametrize("task", [DescribeImagesOperator, DescribeImagesSensor])
def test_openlineages_own_extractor_takes_what_a_task_knows(task: Any) -> None:
    base = pytest.importorskip("airflow.providers.openlineage.extractors.base", reason="needs the provider")
    operator = task(task_id="task", bucket="photos", prefix="in/")
    operator._lineage = FACTS

    for extract in ("extract_on_complete", "extract_on_failure"):
        told = getattr(base.DefaultExtractor(operator), extract)(None)
        assert [(one.namespace, one.name) for one in told.inputs] == [("s3://photos", "in/")]
        assert [(one.namespace, one.name) for one in told.outputs] == [("sqlite:///a.db", "image_prompts")]
        assert told.run_facets["midjourney_batches"].batches == [{"batch": "a/b/c"}]


@pytest.mark.parametrize("task", [DescribeImagesOperator, DescribeImagesSensor])
def test_a_task_that_has_not_come_far_tells_nothing(task: Any) -> None:
    operator = task(task_id="task", bucket="photos", prefix="in/")

    assert operator.get_openlineage_facets_on_complete(None) is None


def test_nothing_breaks_where_openlineage_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "airflow.providers.openlineage.extractors", None)

    assert operator_lineage(FACTS) is None


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[lineage.HookLineageCollector]:
    """Airflow's collector of hook lineage, as it is where a reader is plugged in."""
    monkeypatch.setattr(plugins_manager, "get_hook_lineage_readers_plugins", lambda: [lineage.HookLineageReader])
    lineage.get_hook_lineage_collector.cache_clear()
    yield lineage.get_hook_lineage_collector()
    lineage.get_hook_lineage_collector.cache_clear()


@pytest.mark.parametrize("place_of", ["sqlite_place", "postgres_place"])
def test_a_hook_that_describes_an_image_tells_its_folder_and_the_table(
    place_of: str,
    request: pytest.FixtureRequest,
    collector: lineage.HookLineageCollector,
    bucket: str,
    simulator: RunningSimulator,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
) -> None:
    place: MetadataPlace = request.getfixturevalue(place_of)
    connect(simulator, place)
    put_photos("in/März/", 2)
    hook = MidjourneyHook()
    for number in range(2):
        hook.describe_image(f"s3://{bucket}/in/März/{number:03}.jpg")

    told = collector.collected_assets

    assert [(one.asset.uri, one.count) for one in told.inputs] == [(f"s3://{bucket}/in/März", 2)]
    (table,) = told.outputs
    assert (table.context, table.count) == (hook, 2)
    url = make_url(place.url)
    if place.names.schema:
        where = f"{url.host or 'localhost'}:{url.port or 5432}/{url.database}/{place.names.schema}/image_prompts"
        assert table.asset.uri == f"postgres://{where}"
    else:
        assert table.asset.uri == f"file://{url.database}"
    assert url.password is None or url.password not in table.asset.uri


def test_a_run_is_told_through_openlineages_own_listener(
    tmp_path: Path,
    bucket: str,
    s3_url: str,
    sqlite_place: MetadataPlace,
    simulate: Callable[..., RunningSimulator],
    put_photos: Callable[..., None],
) -> None:
    pytest.importorskip("airflow.providers.openlineage", reason="needs the provider")
    simulator = simulate(latency=0.2, key=KEY)
    put_photos("in/", 2)
    told = tmp_path / "openlineage.jsonl"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    environment |= airflow_variables(tmp_path / "airflow", REPOSITORY / "dags", REPOSITORY / "plugins")
    environment |= {
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps({"type": "file", "log_file_path": str(told), "append": True}),
        "AIRFLOW__OPENLINEAGE__NAMESPACE": "tests",
        "AIRFLOW_CONN_MIDJOURNEY_DEFAULT": connections.midjourney(simulator.url, KEY, price="0.5", currency="USD"),
        "AIRFLOW_CONN_AWS_DEFAULT": connections.aws(s3_url),
        "AIRFLOW_CONN_IMAGE_PROMPTS_DB": connections.metadata(sqlite_place),
        "AIRFLOW__MIDJOURNEY__POLL_INTERVAL": "0.2",
        "PYTHONPATH": str(REPOSITORY / "plugins"),
    }
    conf = json.dumps({"bucket": bucket, "prefix": "in/"})

    done = subprocess.run(
        [sys.executable, "-c", RUN, "dags", "test", "describe_images", "--conf", conf],
        env=environment,
        capture_output=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout.decode()[-3000:] + done.stderr.decode()[-3000:]
    complete = {
        event["job"]["name"]: event
        for event in events_of(told)
        if event["eventType"] == "COMPLETE" and "." in event["job"]["name"]
    }
    for task in ("describe_images.submit", "describe_images.wait"):
        event = complete[task]
        assert [(one["namespace"], one["name"]) for one in event["inputs"]] == [(f"s3://{bucket}", "in/")]
        assert [one["name"] for one in event["outputs"]] == ["image_prompts"]
    (counts,) = complete["describe_images.wait"]["run"]["facets"]["midjourney_batches"]["batches"]
    assert (counts["succeeded"], counts["billed"], counts["cost"], counts["currency"]) == (2, 2, "1.000000", "USD")
    assert KEY not in told.read_text()
    assert "000.jpg" not in told.read_text()
