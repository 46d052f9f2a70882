"""The Dockerfile, as far as it can be checked without Docker: sources, versions, user, and the wheel that it builds."""

from __future__ import annotations

import fnmatch
import re
import subprocess
import sys
import sysconfig
from importlib.metadata import PathDistribution
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.airflow_home import REPOSITORY
from tests.support.compose.dockerfile import DOCKERFILE, stages

if TYPE_CHECKING:
    from pathlib import Path


def pins() -> dict[str, str]:
    """Give the versions that requirements.lock names for this Python."""
    found: dict[str, str] = {}
    for line in (REPOSITORY / "requirements.lock").read_text(encoding="utf-8").splitlines():
        if re.match(r"[\w.-]+==", line):
            requirement = Requirement(line.rstrip("\\ "))
            if requirement.marker is None or requirement.marker.evaluate():
                found[canonicalize_name(requirement.name)] = str(requirement.specifier).removeprefix("==")
    return found


def sources() -> list[str]:
    return [source for stage in stages() for copied, _ in stage.copies for source in copied]


def test_what_is_copied_is_there() -> None:
    assert sources()
    assert [source for source in sources() if not (REPOSITORY / source).exists()] == []


def test_the_context_has_what_is_copied_and_nothing_else() -> None:
    lines = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]

    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == set(sources())
    assert any(fnmatch.fnmatch("plugins/__pycache__", rule) for rule in rules)


def test_versions_are_those_of_the_lock_file() -> None:
    text = DOCKERFILE.read_text(encoding="utf-8")

    airflow = set(re.findall(r"^FROM apache/airflow:([\d.]+)-python3\.11", text, flags=re.MULTILINE))
    assert airflow == {pins()["apache-airflow"]}
    assert re.findall(r"hatchling==([\d.]+)", text) == [pins()["hatchling"]]


def test_nothing_runs_as_root() -> None:
    users = {stage.name: stage.user for stage in stages()}

    assert users["airflow"] == "airflow"
    assert not {"root", "0"} & set(users.values())
    assert stages()[-1].base == "airflow"


def test_the_wheel_asks_for_nothing_that_would_move_a_pin(installed_wheel: Path) -> None:
    (information,) = installed_wheel.glob("*.dist-info")
    required = [Requirement(line) for line in PathDistribution(information).requires or []]
    needed = [one for one in required if one.marker is None or one.marker.evaluate({"extra": "postgres"})]

    assert {"apache-airflow", "apache-airflow-providers-postgres"} <= {one.name for one in needed}
    moved = [str(one) for one in needed if pins()[canonicalize_name(one.name)] not in one.specifier]
    assert moved == []


def test_the_wheel_installs_into_a_clean_environment_that_is_pinned(installed_wheel: Path, tmp_path: Path) -> None:
    """As the Dockerfile does, with constraints, where Airflow is already; pip says what it would do."""
    (wheel,) = installed_wheel.parent.glob("*.whl")
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("".join(f"{name}=={version}\n" for name, version in pins().items()))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    (packages,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    (packages / "image.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")

    done = subprocess.run(
        [
            *(tmp_path / "venv" / "bin" / "python", "-m", "pip", "install", "--dry-run", "--no-index"),
            *("--constraint", constraints, f"airflow-provider-midjourney[postgres] @ {wheel.as_uri()}"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    (would,) = [line for line in done.stdout.splitlines() if line.startswith("Would install")]
    assert re.fullmatch(r"Would install airflow-provider-midjourney-[\w.]+", would)
