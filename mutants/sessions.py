"""Runs pytest in processes that are forks of one which has loaded what takes long to load."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import time
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from mutants.planting import loaded_functions, plant
from mutants.reach import file_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FunctionType

    from mutants.mutations import Mutant
    from mutants.reach import KnownTest

_PROCESSES: Final = multiprocessing.get_context("fork")
_LOADED: Final = ("boto3", "httpx", "hypothesis", "moto.server", "psycopg", "sqlalchemy.dialects.postgresql", "uvicorn")

#: Seconds after which a test is stopped, and a whole run of them.
_TEST_LIMIT: Final = 120
_RUN_LIMIT: Final = 900

#: A test that takes longer may fail because the machine is busy: it has to fail twice.
_QUICK: Final = 0.5

#: So many tests that fail without the fault, too, say that something else is wrong.
_MOST_UNSOUND: Final = 5

#: A test that starts the servers, which the tests of all mutants then share. It stands above all of them, so that
#: pytest takes nothing down between it and any other but itself.
SERVERS: Final = "tests/test_that_servers_run.py"
_SERVERS_SOURCE: Final = "def test_that_servers_run(postgres_url, s3_url):\n    pass\n"


@dataclass(frozen=True, slots=True)
class Try:
    """A mutant with the tests that reach it, in the order in which they run.

    :param module: such as ``table/claims.py``.
    :param source: of the module without the fault.
    """

    module: str
    source: str
    mutant: Mutant
    tests: Sequence[KnownTest]


def load() -> None:
    """Load what is not this project's, for all forks."""
    for name in _LOADED:
        import_module(name)


def run_pytest(copy: Path, arguments: Sequence[str], *plugins: object, limit: float | None = None) -> int:
    """Run pytest over a copy of this project in a fork.

    :return: its exit code; negative if it took too long.
    """
    return _in_fork(_pytest, copy, arguments, plugins, limit=limit)


def passes(copy: Path, tests: Sequence[KnownTest]) -> bool:
    """Say whether tests pass over the copy as it is on disk."""
    files = sorted({file_of(test.name) for test in tests})
    return run_pytest(copy, ["-x", *files], _Only([test.name for test in tests]), limit=_RUN_LIMIT) in (0, 5)


class Planting:
    """A plugin of pytest: it has all tests collected and servers started, and forks for each mutant.

    :param note: is told of each mutant which test noticed it; None if none did, and could have.
    """

    def __init__(self, tries: Sequence[Try], note: Callable[[Try, str | None], None], until: float) -> None:
        self._tries = tries
        self._note = note
        self._until = until
        self._functions: list[FunctionType] = []
        self._sound: set[str] = set()
        self._killers: dict[str, None] = {}

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the tests of each mutant, in place of all tests once."""
        items = {item.nodeid: item for item in session.items}
        (servers,) = (item for name, item in items.items() if name.startswith(SERVERS))
        other = next(item for item in session.items if item is not servers)
        servers.ihook.pytest_runtest_protocol(item=servers, nextitem=other)
        self._functions = loaded_functions(str(session.config.rootpath))
        # What is here stays as it is: no fork then copies all of it only to look for garbage.
        gc.collect()
        gc.freeze()
        for one in self._tries:
            if time.monotonic() > self._until:
                break
            tests = [items[test.name] for test in one.tests][:_MOST_TESTS]
            killer, could_tell = self._killer(session, one, self._latest_killers_first(tests), servers)
            if killer is not None or could_tell:
                self._note(one, killer)
        return True

    def _latest_killers_first(self, items: Sequence[pytest.Item]) -> list[pytest.Item]:
        """Begin with the tests that have just noticed other faults: they are likely to notice one beside it."""
        latest = {name: -number for number, name in enumerate(self._killers)}
        return sorted(items, key=lambda item: latest.get(item.nodeid, 1))

    def _killer(
        self, session: pytest.Session, one: Try, items: Sequence[pytest.Item], servers: pytest.Item
    ) -> tuple[str | None, bool]:
        seconds = {test.name: test.seconds for test in one.tests}
        rest = list(items)
        sound = replace(one, mutant=replace(one.mutant, source=one.source))
        unsound = 0
        while True:
            code = _in_fork(_run_items, session, one, rest, servers, self._functions, limit=_RUN_LIMIT)
            if code < _FIRST_TEST:
                return ("a time limit" if code < 0 else None), code == _ALL_PASSED
            killer = rest[code - _FIRST_TEST]
            is_quick = seconds[killer.nodeid] < _QUICK
            is_surely_killed = is_quick or self._fails(session, one, killer, servers)
            is_known_as_sound = is_quick and killer.nodeid in self._sound
            if is_surely_killed and (is_known_as_sound or not self._fails(session, sound, killer, servers)):
                self._sound.add(killer.nodeid)
                if is_quick:
                    self._killers.pop(killer.nodeid, None)
                    self._killers[killer.nodeid] = None
                return killer.nodeid, True
            rest = rest[rest.index(killer) + 1 :]
            unsound += 1
            if unsound == _MOST_UNSOUND:
                raise RuntimeError(
                    f"{_MOST_UNSOUND} tests fail without any fault, or not each time. See {killer.nodeid}."
                )

    def _fails(self, session: pytest.Session, one: Try, item: pytest.Item, servers: pytest.Item) -> bool:
        code = _in_fork(_run_items, session, one, [item], servers, self._functions, limit=_RUN_LIMIT)
        return code not in (_ALL_PASSED, _ALL_PASSED_AS_FAR_AS_IT_CAN_TELL)


_ALL_PASSED: Final = 0
_ALL_PASSED_AS_FAR_AS_IT_CAN_TELL: Final = 1
_CANNOT_PLANT: Final = 2
_FIRST_TEST: Final = 3

#: A process has no more exit codes than these.
_MOST_TESTS: Final = 250


def _run_items(
    session: pytest.Session,
    one: Try,
    items: Sequence[pytest.Item],
    servers: pytest.Item,
    functions: Sequence[FunctionType],
) -> int:
    name = f"airflow_midjourney.describe.{one.module.removesuffix('.py').replace('/', '.')}"
    try:
        is_sure = plant(sys.modules[name], one.source, one.mutant.source, functions)
    except Exception:  # noqa: BLE001
        return _CANNOT_PLANT
    for number, (item, following) in enumerate(zip(items, [*items[1:], servers], strict=True)):
        # Never None: the servers outlive each of these processes.
        item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            return number + _FIRST_TEST
    return _ALL_PASSED if is_sure else _ALL_PASSED_AS_FAR_AS_IT_CAN_TELL


class _Only:
    """A plugin of pytest that runs some tests, in an order."""

    def __init__(self, names: Sequence[str]) -> None:
        self._order = {name: number for number, name in enumerate(names)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self._order), key=lambda item: self._order[item.nodeid]
        )


def _in_fork(target: Callable[..., int], *arguments: Any, limit: float | None) -> int:
    process = _PROCESSES.Process(target=_run, args=(target, arguments))
    process.start()
    process.join(limit)
    if process.is_alive():
        # With its whole session, since tests start servers.
        os.killpg(process.pid or 0, signal.SIGKILL)
        process.join()
    return process.exitcode or 0


def _run(target: Callable[..., int], arguments: Sequence[Any]) -> None:
    os.setsid()
    os._exit(target(*arguments))


def _pytest(copy: Path, arguments: Sequence[str], plugins: Sequence[object]) -> int:
    os.chdir(copy)
    (copy / SERVERS).write_text(_SERVERS_SOURCE)
    sys.dont_write_bytecode = True
    here = Path(__file__).parents[1]
    sys.path[:] = [str(copy / "plugins"), str(copy), *(path for path in sys.path if path and Path(path) != here)]
    for stream in (sys.stdout, sys.stderr):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    own_folder = f"--basetemp={copy}/build"
    # No person reads what a test says of a fault; to word it takes longer than the test.
    silence = ["--tb=no", "--assert=plain"]
    options = [own_folder, "-o", f"timeout={_TEST_LIMIT}", "-o", "tmp_path_retention_policy=none", "-p", "no:xdist"]
    return int(pytest.main([*silence, *options, *arguments], plugins=plugins))
