"""Let Airflow find this provider as if its wheel were installed: while tests run, it stands in a plugins folder."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest

from tests.support.airflow_home import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["installed_provider"]

GROUP = "apache_airflow_provider"


@pytest.fixture
def installed_provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What pip writes beside a package, and an Airflow that looks for its providers anew."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    written = tmp_path / "airflow_provider_midjourney-0.dist-info"
    written.mkdir()
    (written / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {project['name']}\nVersion: 0\n")
    points = "".join(f"{name} = {value}\n" for name, value in project["entry-points"][GROUP].items())
    (written / "entry_points.txt").write_text(f"[{GROUP}]\n{points}")
    monkeypatch.syspath_prepend(str(tmp_path))
    _forget_providers()
    yield
    monkeypatch.undo()
    _forget_providers()


def _forget_providers() -> None:
    from airflow._shared import module_loading
    from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService
    from airflow.providers_manager import ProvidersManager

    module_loading._get_grouped_entry_points.cache_clear()
    ProvidersManager()._cleanup()
    HookMetaService.hook_meta_data.cache_clear()
