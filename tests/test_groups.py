"""Each group of dependencies has all that is imported by what it is there for, and the locks agree on versions."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]

#: Whose imports are of the repository itself: its packages, and the modules that stand beside tests.
OURS = {"airflow_midjourney", "benchmarks", "demo", "deploy", "docsite", "mutants", "simulator", "tests"} | {
    path.stem for path in (REPOSITORY / "tests").rglob("*.py")
}

#: What `make check` and `make test` do not run.
LATER = ("tests/airflow", "tests/browser", "tests/deploy", "tests/e2e", "tests/packaging", "tests/support")

DEMO = ("demo", "dags", "plugins")

#: What is imported where it is there, or for types alone.
ELSEWHERE = {"_typeshed", "airflow", "mypy_boto3_s3", "openlineage", "pyarrow", "pytest"}


def locked(name: str) -> dict[str, set[str]]:
    """Give the versions that a lock file has of each distribution."""
    found: dict[str, set[str]] = {}
    for line in (REPOSITORY / name).read_text(encoding="utf-8").splitlines():
        if pinned := re.match(r"([a-z0-9._-]+)==(\S+)", line):
            found.setdefault(pinned[1], set()).add(pinned[2])
    return found


def imported(folders: tuple[str, ...], without: tuple[str, ...] = ()) -> set[str]:
    """Give the first names of all imports from outside."""
    names = set()
    for folder in folders:
        for path in (REPOSITORY / folder).rglob("*.py"):
            if not str(path.relative_to(REPOSITORY)).startswith(without):
                names |= {name.partition(".")[0] for name in _imports(path)}
    return names - OURS - set(sys.stdlib_module_names)


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
    return found


def not_locked(names: set[str], lock: str) -> list[str]:
    distributions, pinned = packages_distributions(), locked(lock)
    return sorted(
        name
        for name in names - ELSEWHERE
        if not any(re.sub(r"[-_.]+", "-", one).lower() in pinned for one in distributions.get(name, [name]))
    )


def test_the_group_of_the_demo_has_all_that_the_demo_imports() -> None:
    assert not_locked(imported(DEMO), "requirements-demo.lock") == []


def test_the_group_of_the_tests_has_all_that_they_import() -> None:
    assert not_locked(imported((*DEMO, "benchmarks", "tests"), LATER), "requirements-test.lock") == []


def test_the_group_of_the_site_has_all_that_builds_it() -> None:
    names = {"griffe": "griffelib"}

    imports = {names.get(name, name) for name in imported(("docsite",))}

    assert imports
    assert imports <= locked("requirements-docs.lock").keys()


def test_the_site_is_built_with_the_versions_that_tests_have() -> None:
    site, whole = locked("requirements-docs.lock"), locked("requirements.lock")

    assert {name: versions for name, versions in site.items() if not versions <= whole.get(name, versions)} == {}


@pytest.mark.parametrize("smaller", ["requirements-demo.lock", "requirements-test.lock"])
def test_a_smaller_lock_names_the_versions_of_the_whole_one(smaller: str) -> None:
    whole = locked("requirements.lock")

    assert {
        name: versions for name, versions in locked(smaller).items() if not versions <= whole.get(name, set())
    } == {}


def test_the_demo_needs_less_than_the_tests_and_the_tests_less_than_all() -> None:
    demo, test, whole = (set(locked(f"requirements{name}.lock")) for name in ("-demo", "-test", ""))

    assert demo < test < whole
    assert {"scipy", "sympy"}.isdisjoint(whole)
