"""Which tests reach which functions of the engine: each file of tests is traced once, and again when it changes."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import sys
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping
    from pathlib import Path
    from types import CodeType, FrameType


@dataclass(frozen=True, slots=True)
class KnownTest:
    """A test as it was seen while the engine had no fault.

    :param name: as pytest calls it, with its file.
    :param seconds: of a processor.
    :param reached: functions, such as ``table/claims.py:claim``.
    """

    name: str
    seconds: float
    reached: frozenset[str]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a fault is, as far as tests can reach it.

    :param functions: the function that has it; all that mention it, where it is a constant or a member of an enum.
    :param member: the name of the member. Tests that try each of them bear it in their own names.
    """

    functions: frozenset[str]
    member: str = ""

    def is_reached_by(self, test: KnownTest) -> bool:
        """Say whether a test could notice the fault."""
        return bool(test.reached & self.functions) or self.is_named_by(test)

    def is_named_by(self, test: KnownTest) -> bool:
        """Say whether a test is about this member of the enum."""
        return bool(self.member and re.search(rf"\[.*\b{self.member}\b.*\]", test.name))


class Tracer:
    """A plugin of pytest that notes which functions each test calls, in any thread.

    :param engine: the folder with the functions.
    :param reports: where a file for each file of tests is written.
    """

    def __init__(self, engine: Path, reports: Path) -> None:
        self._engine = f"{engine}/"
        self._reports = reports
        self._failed: set[str] = set()
        self._seen: dict[str, dict[str, tuple[float, list[str]]]] = defaultdict(dict)
        self._twins: dict[str, str] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out on Postgres what runs on SQLite, too: it calls the same functions."""
        names = {item.nodeid for item in items}
        twins = {name: twin for name in names if (twin := on_sqlite(name)) != name and twin in names}
        self._twins = {twin: name for name, twin in twins.items()}
        items[:] = [item for item in items if item.nodeid not in twins]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test that fails without a fault says nothing about one."""
        if not report.passed:
            self._failed.add(report.nodeid)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        """Trace one test, and write what is known of its file after the last one."""
        codes: set[CodeType] = set()

        def note(frame: FrameType, _event: str, _argument: Any) -> None:
            codes.add(frame.f_code)

        started = time.process_time()
        threading.settrace(note)
        sys.settrace(note)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            threading.settrace(None)
            if item.nodeid not in self._failed:
                seen = (time.process_time() - started, sorted(self._names(codes)))
                for name in {item.nodeid, self._twins.get(item.nodeid, item.nodeid)}:
                    self._seen[file_of(name)][name] = seen
            if nextitem is None or file_of(nextitem.nodeid) != file_of(item.nodeid):
                self._write(item.config.rootpath, file_of(item.nodeid))

    def _names(self, codes: Iterable[CodeType]) -> set[str]:
        return {
            f"{code.co_filename.removeprefix(self._engine)}:{code.co_qualname.split('.<locals>')[0]}"
            for code in codes
            if code.co_filename.startswith(self._engine)
        }

    def _write(self, root: Path, file: str) -> None:
        _report(self._reports, root, file).write_text(json.dumps(self._seen[file]))


def on_sqlite(name: str) -> str:
    """Give the name of the same test on SQLite."""
    return name.replace("postgres", "sqlite")


def file_of(name: str) -> str:
    """Give the file that a test is in."""
    return name.split("::")[0]


def untraced(reports: Path, root: Path, rooms: Iterable[str]) -> list[str]:
    """Give the files of tests that have changed since they were traced, or never were."""
    return [file for file in _files(root, rooms) if not _report(reports, root, file).exists()]


def known_tests(reports: Path, root: Path, rooms: Iterable[str]) -> list[KnownTest]:
    """Give all tests that were traced, those on Postgres with what they reach on SQLite."""
    tests = []
    for file in _files(root, rooms):
        report = _report(reports, root, file)
        if report.exists():
            for name, (seconds, reached) in json.loads(report.read_text()).items():
                tests.append(KnownTest(name, seconds, frozenset(reached)))
    return tests


def _files(root: Path, rooms: Iterable[str]) -> list[str]:
    found = (sorted((root / room).rglob("test_*.py")) or [root / room] for room in rooms)
    return [str(file.relative_to(root)) for files in found for file in files]


def _report(reports: Path, root: Path, file: str) -> Path:
    content = hashlib.sha256((root / file).read_bytes()).hexdigest()[:16]
    return reports / f"{file.replace('/', '-')}-{content}.json"


class Code:
    """The functions of the engine, by the names that they mention.

    :param sources: of its modules, such as ``table/claims.py``.
    """

    def __init__(self, sources: Mapping[str, str]) -> None:
        self._trees = {module: ast.parse(source) for module, source in sources.items()}
        self._mentioned: dict[str, set[str]] = defaultdict(set)
        for module, tree in self._trees.items():
            for qualname, function in _functions(tree):
                for word in _words(function):
                    self._mentioned[word].add(f"{module}:{qualname}")

    def around(self, module: str, line: int) -> Place:
        """Give the function that has a line; for one outside of functions all that mention the constant there."""
        for qualname, function in _functions(self._trees[module]):
            if _spans(function, line):
                return Place(frozenset({f"{module}:{qualname}"}))
        body = self._trees[module].body
        statements = [one for one in _statements(body) if not isinstance(one, ast.ClassDef)]
        there = [one for one in statements if _spans(one, line)]
        names = {name for one in there for name in _defined(one)}
        member = "".join(name for one in there if isinstance(one, ast.Assign) and one not in body for name in names)
        known = -1
        while known != len(names):
            known = len(names)
            names |= {name for one in statements if _words(one) & names for name in _defined(one)}
        return Place(frozenset(function for name in names for function in self._mentioned[name]), member)


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for part in node.body:
                if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield f"{node.name}.{part.name}", part


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        if isinstance(node, ast.ClassDef):
            yield from _statements(node.body)


def _spans(node: Any, line: int) -> bool:
    first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))])
    return bool(first <= line <= node.end_lineno)


def _defined(statement: ast.stmt) -> set[str]:
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _words(node: ast.AST) -> set[str]:
    """Give the names and attributes that a piece of code reads."""
    nodes = list(ast.walk(node))
    names = {one.id for one in nodes if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)}
    return names | {one.attr for one in nodes if isinstance(one, ast.Attribute)}
