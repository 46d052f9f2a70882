"""Plant each fault of a module into a copy of this repository, run the tests that reach it, and say what survives.

What was tried is kept in ``build/mutants``. What was killed stays so until its module changes; what survived is tried
again when the tests that reach it have changed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mutants.flow import flow_mutants_of
from mutants.mutations import mutants_of
from mutants.reach import Code, Tracer, file_of, known_tests, on_sqlite, untraced
from mutants.sessions import SERVERS, Planting, Try, load, passes, run_pytest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mutants.mutations import Mutant
    from mutants.reach import KnownTest, Place

HERE: Final = Path(__file__).parents[1]
ENGINE: Final = Path("plugins/airflow_midjourney/describe")
REPORTS: Final = HERE / "build" / "mutants"

#: The rooms that are mutated, with the tests that may reach them.
ROOMS: Final = {"table": ("tests/table", "tests/money"), "engine": ("tests/engine", "tests/money")}

#: The faults of each.
FAULTS: Final = {"table": (mutants_of,), "engine": (mutants_of, flow_mutants_of)}

#: A page that is made of the code agrees with every fault in it once it is made anew: it shows none.
PAGES: Final = "tests/table/test_table_dictionary.py"

#: What the tests need beside the engine.
COPIED: Final = ("plugins", "tests", "demo", "dags", "benchmarks", "docs", "deploy")


def main() -> None:
    """Try the mutants of some modules, or of all that write."""
    parser = argparse.ArgumentParser(prog="python -m mutants", description=__doc__)
    parser.add_argument("modules", nargs="*", help="such as table/claims.py; all of table/ and engine/ without one")
    parser.add_argument("--tests", nargs="*", help="files or folders to take tests from, in place of those of the room")
    parser.add_argument("--minutes", type=float, default=30, help="stop after so long; the next run goes on from there")
    parser.add_argument(
        "--seconds", type=float, default=60, help="of a processor for one mutant, the quick tests first"
    )
    given = parser.parse_args()
    until = time.monotonic() + given.minutes * 60
    load()
    (REPORTS / "reach").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Path(folder).resolve()
        for name in COPIED:
            shutil.copytree(HERE / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(HERE / "pyproject.toml", copy)
        for room, tests in ROOMS.items():
            everything = sorted(
                str(path.relative_to(HERE / ENGINE)) for path in (HERE / ENGINE / room).rglob("[!_]*.py")
            )
            modules = [name for name in given.modules or everything if name.startswith(f"{room}/")]
            if modules:
                _try_modules(copy, modules, given.tests or tests, given.seconds, until)


def _try_modules(copy: Path, modules: Sequence[str], rooms: Sequence[str], seconds: float, until: float) -> None:
    reach = REPORTS / "reach"
    if files := [file for file in untraced(reach, copy, rooms) if file != PAGES]:
        run_pytest(copy, files, Tracer(copy / ENGINE, reach))
    tests = known_tests(reach, copy, rooms)
    sources = {str(path.relative_to(copy / ENGINE)): path.read_text() for path in (copy / ENGINE).rglob("*.py")}
    code = Code(sources)
    tries = [
        Try(module, sources[module], mutant, chosen_tests(tests, code.around(module, mutant.line), seconds))
        for module in modules
        for faults in FAULTS[module.split("/")[0]]
        for mutant in faults(sources[module])
    ]
    _run_tries(copy, [one for one in tries if one.tests and not _is_known(copy, one)], until)
    for module in modules:
        _report(copy, module, [one for one in tries if one.module == module])


def _run_tries(copy: Path, tries: Sequence[Try], until: float) -> None:
    """Try mutants in one process that has all loaded; the undecided go each in a process that loads anew."""
    if not tries:
        return
    files = sorted({file_of(test.name) for one in tries for test in one.tests})
    plugin = Planting(tries, lambda one, killer: _note(copy, one, killer), until)
    run_pytest(copy, [SERVERS, *files], plugin)
    sound: dict[str, bool] = {}
    for one in tries:
        if time.monotonic() > until:
            return
        if _is_known(copy, one):
            continue
        if one.module not in sound:
            sound[one.module] = passes(copy, one.tests)
        if sound[one.module]:
            path = copy / ENGINE / one.module
            path.write_text(one.mutant.source)
            _note(copy, one, None if passes(copy, one.tests) else "a process of its own")
            path.write_text(one.source)


def chosen_tests(tests: Sequence[KnownTest], place: Place, seconds: float) -> list[KnownTest]:
    """Choose tests that reach a fault: SQLite before Postgres, quick ones first, until the time is over."""
    chosen = []
    for test in sorted(
        (one for one in tests if place.is_reached_by(one)),
        key=lambda one: (on_sqlite(one.name) != one.name, not place.is_named_by(one), one.seconds),
    ):
        if seconds > 0:
            seconds -= test.seconds
            chosen.append(test)
    return chosen


def _file(one: Try) -> Path:
    version = hashlib.sha256(one.source.encode()).hexdigest()[:16]
    return REPORTS / f"{one.module.replace('/', '-')}-{version}.jsonl"


def _known(copy: Path, one: Try) -> Mapping[str, str] | None:
    """Give what was found of a mutant, if it still holds."""
    if not _file(one).exists():
        return None
    found: dict[str, dict[str, str]] = {}
    for line in _file(one).read_text().splitlines():
        entry = json.loads(line)
        found[entry["mutant"]] = entry
    entry = found.get(_name(one.mutant))
    return entry if entry and (entry["killer"] or entry["tests"] == _version(copy, one.tests)) else None


def _is_known(copy: Path, one: Try) -> bool:
    return _known(copy, one) is not None


def _note(copy: Path, one: Try, killer: str | None) -> None:
    entry = {"mutant": _name(one.mutant), "killer": killer, "tests": _version(copy, one.tests)}
    with _file(one).open("a") as file:
        file.write(json.dumps(entry) + "\n")


def _name(mutant: Mutant) -> str:
    return hashlib.sha256(mutant.source.encode()).hexdigest()[:16]


def _version(copy: Path, tests: Sequence[KnownTest]) -> str:
    files = sorted({file_of(test.name) for test in tests})
    return hashlib.sha256(b"".join((copy / file).read_bytes() for file in files)).hexdigest()[:16]


def _report(copy: Path, module: str, tries: Sequence[Try]) -> None:
    known = [(one, entry) for one in tries if (entry := _known(copy, one)) is not None]
    survived = [one for one, entry in known if not entry["killer"]]
    unreached = [one for one in tries if not one.tests]
    print(f"{module}: {len(tries)} mutants, {len(known)} tried, {len(survived)} survived, {len(unreached)} not reached")
    for one in sorted([*survived, *unreached], key=lambda one: one.mutant.line):
        print(f"  {module}:{one.mutant.line}: {one.mutant.what}{'' if one.tests else ' (no test reaches it)'}")


if __name__ == "__main__":
    main()
