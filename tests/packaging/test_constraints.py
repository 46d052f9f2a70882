"""Airflow's constraints and ours agree: installing this package moves none of the versions that Airflow pins.

Airflow publishes a constraints file with each release: what was new that day, for Airflow and all of its providers. The
package index tells when each file was uploaded, so the same set can be resolved from there.
"""

from __future__ import annotations

import os
import re
import subprocess
import sysconfig
from pathlib import Path
from typing import Final

import pytest

from tests.support.airflow_home import REPOSITORY

#: The day on which each release, with its constraints, came out.
RELEASED: Final = {"3.2.0": "2026-04-10", "3.3.2": "2026-09-17"}

UV: Final = Path(sysconfig.get_path("scripts")) / "uv"
OURS: Final = ("--extra", "postgres", "--extra", "heif", str(REPOSITORY / "pyproject.toml"))

#: The providers that this package works with.
PROVIDERS: Final = ("amazon", "common-sql", "postgres", "sqlite")

pytestmark = pytest.mark.timeout(900)


def uv(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Resolve for the oldest Python that is supported; the versions of Python differ in few pins."""
    command = [str(UV), "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--python-version", "3.11"]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)


def pins(*arguments: str) -> dict[str, str]:
    """Give what is resolved, by name."""
    done = uv(*arguments)
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(re.findall(r"^([\w.-]+)(?:\[[^]]*\])?==(\S+)", done.stdout, flags=re.MULTILINE))


@pytest.fixture(scope="module", autouse=True)
def _index_that_can_be_reached(tmp_path_factory: pytest.TempPathFactory) -> None:
    asked = tmp_path_factory.mktemp("asked") / "asked.in"
    asked.write_text("apache-airflow\n")
    answer = uv("--no-deps", "--no-cache", str(asked))
    if answer.returncode == 0:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"The package index cannot be reached: {answer.stderr[-500:]}")
    pytest.skip("the package index cannot be reached")


@pytest.fixture(scope="module", params=RELEASED)
def release(request: pytest.FixtureRequest) -> str:
    version: str = request.param
    return version


@pytest.fixture(scope="module")
def constraints(release: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What Airflow's constraints file of a release holds: Airflow and all of its providers."""
    wanted = tmp_path_factory.mktemp("airflow") / "airflow.in"
    wanted.write_text(f"apache-airflow[all]=={release}\n")
    return pins("--exclude-newer", RELEASED[release], str(wanted))


def test_the_newest_release_that_is_tested_is_among_them() -> None:
    locked = re.search(r"^apache-airflow==(\S+)", (REPOSITORY / "requirements.lock").read_text(), flags=re.MULTILINE)

    assert locked is not None
    assert locked[1] in RELEASED, "Say in RELEASED when the Airflow of requirements.lock came out."


def test_it_moves_no_pin_where_nobody_constrains_it(release: str, tmp_path: Path) -> None:
    wanted = tmp_path / "airflow.in"
    wanted.write_text(
        f"apache-airflow=={release}\n" + "".join(f"apache-airflow-providers-{one}\n" for one in PROVIDERS)
    )

    without = pins("--exclude-newer", RELEASED[release], str(wanted))
    together = pins("--exclude-newer", RELEASED[release], str(wanted), *OURS)

    assert {name: together.get(name) for name in without} == without
    # Airflow brings cachetools from 3.3 on.
    assert set(together) - set(without) <= {"cachetools", "pillow", "pillow-heif"}


def test_it_installs_under_the_constraints(release: str, constraints: dict[str, str], tmp_path: Path) -> None:
    pinned = tmp_path / "constraints.txt"
    pinned.write_text("".join(f"{name}=={version}\n" for name, version in constraints.items()))

    installed = pins("--exclude-newer", RELEASED[release], "--constraint", str(pinned), *OURS)

    assert len(constraints) > 300
    assert installed["apache-airflow"] == release
    assert {name: version for name, version in installed.items() if name in constraints} == {
        name: constraints[name] for name in installed if name in constraints
    }
    assert set(installed) - set(constraints) <= {"pillow", "pillow-heif"}


def test_a_range_that_is_too_narrow_is_noticed(release: str, constraints: dict[str, str], tmp_path: Path) -> None:
    pinned, narrow = tmp_path / "constraints.txt", tmp_path / "narrow.in"
    pinned.write_text(f"httpx=={constraints['httpx']}\n")
    narrow.write_text(f"httpx>{constraints['httpx']}\n")

    assert uv("--constraint", str(pinned), str(narrow)).returncode != 0
