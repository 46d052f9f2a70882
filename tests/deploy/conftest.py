"""What the tests of the deployment share."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.airflow_home import REPOSITORY
from tests.support.compose.dockerfile import copied_to_build
from tests.support.compose.reading import read_env

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def env_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ``.env`` as ``make env`` writes it."""
    path = tmp_path_factory.mktemp("env") / ".env"
    subprocess.run([sys.executable, REPOSITORY / "deploy" / "write_env.py", "--output", path], check=True)
    return path


@pytest.fixture(scope="session")
def env_values(env_file: Path) -> dict[str, str]:
    return read_env(env_file)


@pytest.fixture(scope="session")
def installed_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as the Dockerfile builds it, from what the Dockerfile copies, in a folder for ``PYTHONPATH``."""
    folder = tmp_path_factory.mktemp("wheel")
    source = copied_to_build("wheel", folder / "source")
    pip = [sys.executable, "-m", "pip", "--quiet"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source)]
    subprocess.run([*pip, *build], check=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", str(folder / "installed"), str(wheel)], check=True)
    return folder / "installed"
