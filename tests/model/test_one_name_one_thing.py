"""No name of the package stands for two things."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import airflow_midjourney

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(airflow_midjourney.__file__).parent

#: Stands for the other side: what the product has words for, it has its own for.
SIMULATOR = PACKAGE / "testing" / "simulator"

#: Names that many modules have by convention, each for its own: a reader expects them there.
CONVENTIONAL = {
    "Format": "exports/formats: the class that a format's module is found by",
    "app": "FastAPI's word for an application",
    "log": "the logger of a module",
    "router": "FastAPI's word for the routes of a module",
    "__all__": "Python's word for what a module gives",
}


def names_of(source: str) -> Iterator[str]:
    """Give the classes, types and constants of a module that others may import; type variables say nothing alone."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
        elif isinstance(node, ast.Assign) and not _is_type_variable(node.value):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def _is_type_variable(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and ast.unparse(value.func) in ("TypeVar", "ParamSpec")


def test_no_name_stands_for_two_things() -> None:
    homes: dict[str, list[str]] = defaultdict(list)
    for path in sorted(path for path in PACKAGE.rglob("*.py") if SIMULATOR not in path.parents):
        for name in set(names_of(path.read_text())):
            if name == "__all__" or not name.startswith("_"):
                homes[name].append(str(path.relative_to(PACKAGE)))
    twice = {name: paths for name, paths in homes.items() if len(paths) > 1}

    assert {name: paths for name, paths in twice.items() if name not in CONVENTIONAL} == {}
    assert set(CONVENTIONAL) <= set(twice), "The list has names that stand for one thing by now."


def test_classes_constants_and_types_are_names() -> None:
    source = "A = 1\nB: int = 2\nC = D = int | str\nT = TypeVar('T')\nclass E: ...\ndef f(): ...\nx.y = 3\n"

    assert list(names_of(source)) == ["A", "B", "C", "D", "E"]
