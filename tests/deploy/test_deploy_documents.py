"""docs/deploy.md and docs/platforms, the Helm values and .gitignore agree with the rest of the repository."""

from __future__ import annotations

import re
from typing import Any

import yaml

from airflow_midjourney import __version__
from tests.support.airflow_home import REPOSITORY
from tests.support.compose.reading import services

DOCUMENT = "".join(
    path.read_text(encoding="utf-8")
    for path in [REPOSITORY / "docs" / "deploy.md", *sorted((REPOSITORY / "docs" / "platforms").glob("*.md"))]
)
LOCK = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8")


def values() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(
        (REPOSITORY / "deploy" / "helm" / "values.yaml").read_text(encoding="utf-8")
    )
    return loaded


def airflow_version() -> str:
    (version,) = re.findall(r"^apache-airflow==([\d.]+)", LOCK, flags=re.MULTILINE)
    return str(version)


def test_versions_are_those_of_the_repository() -> None:
    assert values()["airflowVersion"] == airflow_version()
    assert values()["images"]["airflow"]["tag"] == __version__
    assert set(re.findall(r"constraints-([\d.]+)/", DOCUMENT)) == {airflow_version()}
    assert set(re.findall(r"airflow-midjourney:([\d.]+)|airflow_provider_midjourney-([\d.]+)-", DOCUMENT)) == {
        (__version__, ""),
        ("", __version__),
    }


def test_the_chart_gets_every_secret_that_the_document_makes() -> None:
    made = set(re.findall(r"create secret generic (\S+)", DOCUMENT))
    chart = values()
    named = {name for key, name in chart.items() if key.endswith("SecretName")} | {chart["data"]["metadataSecretName"]}
    from_environment = {source["secretRef"]["name"] for source in yaml.safe_load(chart["extraEnvFrom"])}

    assert made == named | from_environment


def test_workers_on_kubernetes_have_time_to_stop() -> None:
    assert values()["workers"]["celery"]["terminationGracePeriodSeconds"] >= 120
    assert values()["executor"] == "CeleryExecutor"


def test_every_service_is_told_of(env_values: dict[str, str]) -> None:
    for name in services(env_values):
        assert f"`{name}`" in DOCUMENT or f"`{name.removeprefix('airflow')}`" in DOCUMENT


def test_git_never_takes_the_secrets() -> None:
    assert ".env" in (REPOSITORY / ".gitignore").read_text(encoding="utf-8").splitlines()
