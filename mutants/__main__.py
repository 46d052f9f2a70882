"""Plant each fault of a module into a copy of this repository, run the tests that matter, and say what survives.

What was tried is kept in ``build/mutants``; the next run goes on from there, until the module changes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mutants.mutations import mutants_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mutants.mutations import Mutant

HERE: Final = Path(__file__).parents[1]
ENGINE: Final = Path("plugins/airflow_midjourney/describe")
REPORTS: Final = HERE / "build" / "mutants"

#: The tests that matter for the modules of a room.
TESTS: Final = {"table": ("tests/table", "tests/money"), "engine": ("tests/engine", "tests/money")}

#: What the tests need beside the engine.
COPIED: Final = ("plugins", "tests", "simulator", "demo", "dags", "benchmarks", "docs", "deploy")


def main() -> None:
    """Try the mutants of one module, or of all that write."""
    parser = argparse.ArgumentParser(prog="python -m mutants", description=__doc__)
    parser.add_argument("modules", nargs="*", help="such as table/claims.py; all of table/ and engine/ without one")
    parser.add_argument("--tests", nargs="*", help="files to run in place of those of the room")
    parser.add_argument("--minutes", type=float, default=30, help="stop after so long; the next run goes on from there")
    given = parser.parse_args()
    until = time.monotonic() + given.minutes * 60
    modules = given.modules or [
        f"{room}/{path.name}" for room in TESTS for path in sorted((HERE / ENGINE / room).glob("[!_]*.py"))
    ]
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Path(folder)
        for name in COPIED:
            shutil.copytree(HERE / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(HERE / "pyproject.toml", copy)
        for module in modules:
            _try_module(copy, module, given.tests or TESTS[module.split("/")[0]], until)


def _try_module(copy: Path, module: str, tests: Sequence[str], until: float) -> None:
    source = (HERE / ENGINE / module).read_text()
    mutants = mutants_of(source)
    version = hashlib.sha256(f"{source}{sorted(tests)}".encode()).hexdigest()[:16]
    report = REPORTS / f"{module.replace('/', '-')}-{version}.jsonl"
    report.parent.mkdir(parents=True, exist_ok=True)
    tried: dict[str, str] = {}
    if report.exists():
        tried = dict(json.loads(line) for line in report.read_text().splitlines())
    started = time.monotonic()
    if _run(copy, tests, None) != "survived":
        sys.exit(f"{module}: its tests fail without any fault. Mend them first.")
    limit = 3 * (time.monotonic() - started) + 30
    for mutant in mutants:
        if _name(mutant) in tried or time.monotonic() > until:
            continue
        (copy / ENGINE / module).write_text(mutant.source)
        tried[_name(mutant)] = _run(copy, tests, limit)
        with report.open("a") as file:
            file.write(json.dumps([_name(mutant), tried[_name(mutant)]]) + "\n")
    (copy / ENGINE / module).write_text(source)
    survived = [mutant for mutant in mutants if tried.get(_name(mutant)) == "survived"]
    print(f"{module}: {len(mutants)} mutants, {len(tried)} tried, {len(survived)} survived")
    for mutant in survived:
        print(f"  {module}:{mutant.line}: {mutant.what}")


def _name(mutant: Mutant) -> str:
    return hashlib.sha256(mutant.source.encode()).hexdigest()[:16]


def _run(copy: Path, tests: Sequence[str], limit: float | None) -> str:
    """Run the tests over the copy.

    :return: ``survived`` if all passed, ``killed`` if one failed or they took too long.
    """
    command = [sys.executable, "-B", "-m", "pytest", "-x", "-q", "-p", "no:randomly", *tests]
    try:
        done = subprocess.run(command, cwd=copy, timeout=limit, capture_output=True, check=False)
    except subprocess.TimeoutExpired:
        return "killed"
    # Any other way to end, such as no tests at all, says nothing about the fault.
    if done.returncode not in (0, 1, 2):
        sys.exit(done.stdout.decode(errors="replace")[-2000:])
    return "killed" if done.returncode else "survived"


if __name__ == "__main__":
    main()
