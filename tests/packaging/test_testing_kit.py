"""What users test their DAGs with, in an environment that has only the wheel, far from the repository."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.airflow_home import REPOSITORY
from tests.support.wheels import clean_environment, python_with

if TYPE_CHECKING:
    from pathlib import Path

PAGE: Final = REPOSITORY / "docs" / "test-your-dag.md"

#: What the page says to write into a file of the user's.
FILE: Final = re.compile(r"^```python title=\"(\S+)\"\n(.*?)^```$", re.MULTILINE | re.DOTALL)

#: What the extra brings, and Airflow: none of it is for processes that only load pytest's plugins.
HEAVY: Final = ("airflow", "boto3", "flask", "moto", "numpy", "sqlalchemy", "uvicorn")

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="session")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel."""
    return python_with(wheel, tmp_path_factory.mktemp("kit") / "venv")


def run(python: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the interpreter in a folder of the user's."""
    environment = clean_environment() | {"HOME": str(folder), "AIRFLOW_HOME": str(folder / "airflow")}
    return subprocess.run(
        [str(python), *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_the_tests_of_the_page_pass_in_an_environment_with_the_wheel(python: Path, tmp_path: Path) -> None:
    files = dict(FILE.findall(PAGE.read_text("utf-8")))
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    shutil.copy(REPOSITORY / "dags" / "describe_images.py", tmp_path)

    done = run(python, tmp_path, "-m", "pytest", "-p", "no:xdist", "-p", "no:cacheprovider", *files)

    written = sum(text.count("\ndef test_") for text in files.values())
    assert written >= 3
    assert f"{written} passed" in done.stdout, done.stdout[-6000:] + done.stderr[-2000:]


def test_the_plugin_of_pytest_loads_nothing_that_it_may_not_need(python: Path, tmp_path: Path) -> None:
    seen = f"json.dumps([name for name in {HEAVY!r} if name in sys.modules])"

    done = run(python, tmp_path, "-c", f"import json, sys, airflow_midjourney.testing.pytest_plugin; print({seen})")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


def test_the_service_starts_from_the_wheel(python: Path, tmp_path: Path) -> None:
    listed = run(python, tmp_path, "-m", "airflow_midjourney.testing", "--list-scenarios")

    assert listed.returncode == 0, listed.stderr
    assert "banned_image" in listed.stdout


def test_what_is_missing_is_said_with_the_extra_to_install(python: Path, tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("import sys\nsys.modules['moto'] = None\nsys.modules['moto.server'] = None\n")
    (tmp_path / "test_pictures.py").write_text("def test_pictures(fake_images):\n    pass\n")

    done = run(python, tmp_path, "-m", "pytest", "-p", "no:xdist", "-p", "no:cacheprovider")

    assert done.returncode != 0
    assert "pip install 'airflow-provider-midjourney[testing]'" in done.stdout + done.stderr
