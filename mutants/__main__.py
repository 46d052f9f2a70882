"""Plant each fault of a module into a copy of this repository, run the tests that matter, and say what survives.

What was tried is kept in ``build/mutants``; the next run goes on from there, until the module changes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from mutants.mutations import mutants_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mutants.mutations import Mutant

HERE: Final = Path(__file__).parents[1]
ENGINE: Final = Path("plugins/airflow_midjourney/describe")
REPORTS: Final = HERE / "build" / "mutants"

#: The tests that matter for the modules of a room.
TESTS: Final = {"table": ("tests/table", "tests/money"), "engine": ("tests/engine", "tests/money")}

#: A child has what its parent has loaded: loading this takes longer than many a test.
_PROCESSES: Final = multiprocessing.get_context("fork")
_LOADED: Final = ("boto3", "httpx", "hypothesis", "moto.server", "psycopg", "sqlalchemy.dialects.postgresql", "uvicorn")

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
    for name in _LOADED:
        import_module(name)
    modules = given.modules or [
        str(path.relative_to(HERE / ENGINE))
        for room in TESTS
        for path in sorted((HERE / ENGINE / room).rglob("[!_]*.py"))
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
    if not _survives(copy, module, tests, None):
        sys.exit(f"{module}: its tests fail without any fault. Mend them first.")
    limit = 3 * (time.monotonic() - started) + 30
    for mutant in mutants:
        if _name(mutant) in tried or time.monotonic() > until:
            continue
        (copy / ENGINE / module).write_text(mutant.source)
        tried[_name(mutant)] = "survived" if _survives(copy, module, tests, limit) else "killed"
        with report.open("a") as file:
            file.write(json.dumps([_name(mutant), tried[_name(mutant)]]) + "\n")
    (copy / ENGINE / module).write_text(source)
    survived = [mutant for mutant in mutants if tried.get(_name(mutant)) == "survived"]
    print(f"{module}: {len(mutants)} mutants, {len(tried)} tried, {len(survived)} survived")
    for mutant in survived:
        print(f"  {module}:{mutant.line}: {mutant.what}")


def _name(mutant: Mutant) -> str:
    return hashlib.sha256(mutant.source.encode()).hexdigest()[:16]


def _survives(copy: Path, module: str, tests: Sequence[str], limit: float | None) -> bool:
    """Run the tests that bear the module's name, on SQLite, which takes seconds; then, if these pass, the room's."""
    near = [str(path.relative_to(copy)) for path in sorted(copy.glob(f"tests/**/test_*{Path(module).stem}*.py"))]
    if near and not _pass(copy, [*near, "-k", "not postgres"], limit):
        return False
    return _pass(copy, tests, limit)


def _pass(copy: Path, tests: Sequence[str], limit: float | None) -> bool:
    """Run tests over the copy, in a process that has loaded all but this project already.

    :return: whether all passed; not if they took too long.
    """
    process = _PROCESSES.Process(target=_run_pytest, args=(copy, ["-x", "-q", *tests]))
    process.start()
    process.join(limit)
    if process.is_alive():
        # With its whole session, since tests start servers.
        os.killpg(process.pid or 0, signal.SIGKILL)
        process.join()
    # 5 says that none of the tests was wanted, which says nothing about the fault.
    return process.exitcode in (0, 5)


def _run_pytest(copy: Path, arguments: list[str]) -> None:
    os.setsid()
    os.chdir(copy)
    sys.dont_write_bytecode = True
    sys.path[:] = [str(copy / "plugins"), str(copy), *(path for path in sys.path if path and Path(path) != HERE)]
    for stream in (sys.stdout, sys.stderr):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    os._exit(int(pytest.main(arguments)))


if __name__ == "__main__":
    main()
