"""The ways in: the wheel, the plugins folder, and both at once, each in an environment of its own.

An environment is a new virtual environment that borrows Airflow and everything else from the one that runs the tests:
pip and uv could make a complete one only from a full cache or from the network, and what matters here is where *our*
package comes from. None of the borrowed packages is ours, which each test checks.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from email import message_from_bytes
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, text

from tests.support import airflow_connections as connections
from tests.support.airflow_home import REPOSITORY, airflow_variables
from tests.support.images import jpeg
from tests.support.wheels import clean_environment, copy_of, python_with

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace

WHERE_IT_COMES_FROM = """
import sys, json, http, importlib.metadata as metadata
from airflow import plugins_manager
from airflow.providers_manager import ProvidersManager
plugins, errors = plugins_manager._get_plugins()
before = dict(sys.modules)
import airflow_midjourney
ours = airflow_midjourney.__path__[0]
print(json.dumps({
    "installed": [d.version for d in metadata.distributions() if d.name == "airflow-provider-midjourney"],
    "package": ours,
    "plugins": [plugin.name for plugin in plugins if plugin.name == "airflow_midjourney"],
    "errors": list(errors.values()),
    "hook": getattr(ProvidersManager().hooks.get("midjourney"), "hook_class_name", None),
    "form": sorted(name for name in ProvidersManager().connection_form_widgets if "midjourney" in name),
    "http": http.__file__,
    "bare": sorted(n for n, m in before.items() if "/airflow_midjourney/" in (getattr(m, "__file__", "") or "")
                   and not n.startswith("airflow_midjourney")),
}))
"""


EXAMPLES = """
import importlib, json, os, pkgutil, sys
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import DagBag
import airflow_midjourney
(folder,) = [os.path.join(path, "example_dags") for path in airflow_midjourney.__path__]
names = sorted(module.name for module in pkgutil.iter_modules([folder]))
modules = [importlib.import_module(f"airflow_midjourney.example_dags.{name}") for name in names]
bag = DagBag(dag_folder=os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
bundles = {bundle.name: str(bundle.path) for bundle in DagBundlesManager().get_all_dag_bundles()}
print(json.dumps({
    "files": [module.__file__ for module in modules],
    "folder": folder,
    "copied": {dag.dag_id: dag.fileloc for dag in bag.dags.values()},
    "errors": bag.import_errors,
    "bundles": bundles,
}))
"""


@dataclass
class Deployment:
    """One Airflow: an interpreter, folders and connections."""

    python: Path | str
    environment: dict[str, str]
    folder: Path

    def airflow(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one command of Airflow."""
        return self.run("-m", "airflow", *arguments)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the interpreter, far from the repository."""
        return subprocess.run(
            [str(self.python), *arguments],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )

    def looked_at(self) -> dict[str, object]:
        """Say what is loaded from where."""
        done = self.run("-W", "ignore", "-c", WHERE_IT_COMES_FROM)
        assert done.returncode == 0, done.stderr
        seen: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
        return seen


@pytest.fixture(scope="session")
def empty_airflow_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Airflow's own database, made once and copied."""
    home = tmp_path_factory.mktemp("airflow")
    environment = clean_environment() | airflow_variables(home, home / "dags", home / "plugins")
    code = "from airflow.utils.db import initdb; initdb()"
    subprocess.run([sys.executable, "-c", code], env=environment, cwd=home, check=True, capture_output=True)
    return home / "airflow.db"


@pytest.fixture
def photos(s3: S3Client, bucket: str) -> str:
    """A bucket with three photos under ``in/``."""
    for index in range(3):
        s3.put_object(Bucket=bucket, Key=f"in/{index}.jpg", Body=jpeg(index))
    return bucket


@pytest.fixture
def environment(
    tmp_path: Path,
    empty_airflow_database: Path,
    s3_url: str,
    sqlite_place: MetadataPlace,
    service: RunningSimulator,
) -> dict[str, str]:
    """An environment that has the three connections, and folders that are still empty."""
    home = tmp_path / "home"
    for folder in (home, tmp_path / "dags", tmp_path / "plugins"):
        folder.mkdir()
    shutil.copy(empty_airflow_database, home / "airflow.db")
    return {
        **clean_environment(),
        **airflow_variables(home, tmp_path / "dags", tmp_path / "plugins"),
        "AIRFLOW_CONN_MIDJOURNEY_DEFAULT": connections.midjourney(service.url),
        "AIRFLOW_CONN_AWS_DEFAULT": connections.aws(s3_url),
        "AIRFLOW_CONN_IMAGE_PROMPTS_DB": connections.metadata(sqlite_place),
    }


@pytest.fixture
def service() -> Iterator[RunningSimulator]:
    from airflow_midjourney.testing.simulator.serving import running_simulator

    with running_simulator(latency=0.2) as simulator:
        yield simulator


def describe(deployment: Deployment, bucket: str, place: MetadataPlace) -> str:
    """Run the example DAG, check that it worked, and give its log."""
    shutil.copy(REPOSITORY / "dags" / "describe_images.py", deployment.folder / "dags")
    conf = json.dumps({"bucket": bucket, "prefix": "in/"})
    done = deployment.airflow("dags", "test", "describe_images", "--conf", conf)
    log = done.stdout + done.stderr
    assert done.returncode == 0, log
    assert "described 3 of 3 images; 3 billed." in log
    with create_engine(place.url).connect() as connection:
        assert connection.execute(text("SELECT count(prompt_4) FROM image_prompts")).scalar_one() == 3
    return log


def test_the_wheel_has_the_package_alone_and_says_what_it_is(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        information = next(name for name in names if name.endswith(".dist-info/METADATA"))
        metadata = message_from_bytes(archive.read(information))
        entry_points = archive.read(information.replace("METADATA", "entry_points.txt")).decode()

    source = REPOSITORY / "plugins"
    modules = {str(path.relative_to(source)) for path in (source / "airflow_midjourney").rglob("*.py")}
    packed = {name for name in names if ".dist-info/" not in name}
    web = source / "airflow_midjourney" / "web"
    served = {str(path.relative_to(source)) for name in ("templates", "static") for path in (web / name).iterdir()}
    examples = {f"airflow_midjourney/example_dags/{path.name}" for path in (REPOSITORY / "dags").glob("*.py")}
    alone = {"airflow_midjourney/py.typed", "airflow_provider_midjourney.py"}
    assert packed == modules | served | examples | alone
    assert "airflow_midjourney/example_dags/describe_images.py" in examples
    assert {"airflow_midjourney/web/templates/base.html", "airflow_midjourney/web/static/style.css"} <= packed
    assert any(name.endswith("LICENSE") for name in names)
    assert metadata["Name"] == "airflow-provider-midjourney"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    required = " ".join(metadata.get_all("Requires-Dist", []))
    assert all(name in required for name in ("apache-airflow<4,>=3.2", "amazon", "common-sql", "sqlite", "httpx"))
    assert "provider_info = airflow_midjourney.provider:get_provider_info" in entry_points
    assert "airflow_midjourney = airflow_midjourney.plugin:MidjourneyPlugin" in entry_points


def test_an_environment_with_the_wheel_and_the_dag(
    wheel: Path, tmp_path: Path, environment: dict[str, str], photos: str, sqlite_place: MetadataPlace
) -> None:
    deployment = Deployment(python_with(wheel, tmp_path / "venv"), environment, tmp_path)

    describe(deployment, photos, sqlite_place)
    seen = deployment.looked_at()
    listed = deployment.airflow("providers", "list")

    assert seen["installed"] == [wheel.name.split("-")[1]]
    assert str(seen["package"]).startswith(str(tmp_path / "venv"))
    assert (seen["plugins"], seen["errors"]) == (["airflow_midjourney"], [])
    assert seen["hook"] == "airflow_midjourney.hooks.midjourney.MidjourneyHook"
    assert "extra__midjourney__max_in_flight" in str(seen["form"])
    assert "airflow-provider-midjourney" in listed.stdout


def test_the_wheel_has_the_example_dags_to_copy_and_airflow_loads_a_copy_once(
    wheel: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    environment["AIRFLOW__CORE__LOAD_EXAMPLES"] = "True"
    deployment = Deployment(python_with(wheel, tmp_path / "venv"), environment, tmp_path)
    shutil.copy(REPOSITORY / "dags" / "describe_images.py", tmp_path / "dags")

    done = deployment.run("-W", "ignore", "-c", EXAMPLES)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])

    assert [os.path.basename(path) for path in found["files"]] == sorted(
        p.name for p in (REPOSITORY / "dags").glob("*.py")
    )
    assert all(path.startswith(f"{tmp_path}/venv/") for path in found["files"])
    assert found["errors"] == {}
    assert found["copied"] == {"describe_images": f"{tmp_path}/dags/describe_images.py"}
    # Airflow looked for examples of providers, missed no module of ours, and made no second bundle of them.
    assert {"dags-folder", "example_dags"} <= set(found["bundles"])
    assert found["folder"] not in found["bundles"].values()
    assert "airflow_provider_midjourney" not in done.stdout + done.stderr


def test_a_plugins_folder_without_any_installation(
    tmp_path: Path, environment: dict[str, str], photos: str, sqlite_place: MetadataPlace
) -> None:
    (tmp_path / "plugins").rmdir()
    copy_of("plugins", tmp_path)
    deployment = Deployment(sys.executable, environment, tmp_path)

    describe(deployment, photos, sqlite_place)
    seen = deployment.looked_at()
    listed = deployment.airflow("plugins", "--output", "json")

    assert (seen["installed"], seen["hook"]) == ([], None)
    assert seen["package"] == str(tmp_path / "plugins" / "airflow_midjourney")
    assert (seen["plugins"], seen["errors"]) == (["airflow_midjourney"], [])
    assert seen["http"] == os.path.join(sysconfig.get_path("stdlib"), "http", "__init__.py")
    assert seen["bare"] == ["plugin"]
    assert listed.stdout.count("$PLUGINS_FOLDER/airflow_midjourney/plugin.py") == 1


def test_both_at_once_is_reported_and_works(
    wheel: Path, tmp_path: Path, environment: dict[str, str], photos: str, sqlite_place: MetadataPlace
) -> None:
    (tmp_path / "plugins").rmdir()
    copy_of("plugins", tmp_path)
    deployment = Deployment(python_with(wheel, tmp_path / "venv"), environment, tmp_path)

    log = describe(deployment, photos, sqlite_place)
    seen = deployment.looked_at()

    # The log of every process that loads plugins says so, and the list of import errors on Airflow's plugins page.
    twice = f"is there twice: in the plugins folder ({tmp_path}/plugins/airflow_midjourney) and installed"
    assert twice in log
    assert [twice in str(error) for error in seen["errors"]] == [True]  # type: ignore[attr-defined]
    assert seen["plugins"] == ["airflow_midjourney"]
    assert str(seen["package"]).startswith(str(tmp_path / "venv"))
