"""The faults that are planted into a module: each is its source with one guard, value or comparison changed."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeGuard

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Calls whose arguments are conditions that have to hold together, with how many other arguments stand before these.
_GUARDS: Final = {"where": 0, "and_": 0, "build_update": 2, "move_rows": 2}

#: Calls whose keywords are columns that are written.
_WRITES: Final = frozenset({"values", "build_update", "move_rows"})

#: Calls whose keywords are tuples with names of columns.
_MOVES: Final = frozenset({"Transition"})

_OPPOSITES: Final[dict[type[ast.cmpop], str]] = {
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.In: "not in",
    ast.NotIn: "in",
    ast.Is: "is not",
    ast.IsNot: "is",
}

_OTHER_METHODS: Final = {"is_": "is_not", "is_not": "is_", "in_": "not_in", "not_in": "in_"}

_OTHER_STATUS: Final = {
    "PENDING": "SUBMITTED",
    "SUBMITTING": "PENDING",
    "SUBMITTED": "SUBMITTING",
    "SUCCEEDED": "FAILED",
    "FAILED": "SUCCEEDED",
    "REJECTED": "FAILED",
    "IN_DOUBT": "PENDING",
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """A module with one fault.

    :param line: where the fault is.
    :param what: the fault in words.
    :param source: the whole module with it.
    """

    line: int
    what: str
    source: str


def mutants_of(source: str) -> list[Mutant]:
    """Give every mutant of a module, from its first line to its last."""
    return distinct(source, (mutant for node in ast.walk(ast.parse(source)) for mutant in _of_node(source, node)))


def distinct(source: str, mutants: Iterable[Mutant]) -> list[Mutant]:
    """Give mutants that can be loaded, each once, from the first line of the module to its last."""
    found = {one.source: one for one in mutants if one.source != source and _compiles(one.source)}
    return sorted(found.values(), key=lambda one: (one.line, one.what))


def _of_node(source: str, node: ast.AST) -> Iterator[Mutant]:
    if isinstance(node, ast.Call):
        yield from _of_call(source, node)
    elif isinstance(node, ast.Dict):
        yield from _without_entries(source, node)
    elif isinstance(node, ast.Compare):
        yield from _compared_otherwise(source, node)
    elif isinstance(node, ast.Attribute):
        yield from _of_attribute(source, node)
    elif isinstance(node, ast.comprehension):
        for condition in node.ifs:
            yield replaced(source, condition, "True", f"keeps all, not only {text_of(source, condition)}")
    elif isinstance(node, ast.AnnAssign) and _is_number(node.value):
        yield replaced(source, node.value, f"({text_of(source, node.value)} + 1)", "one more than the constant")


def _is_number(node: ast.expr | None) -> TypeGuard[ast.Constant]:
    return isinstance(node, ast.Constant) and type(node.value) in (int, float)


def _of_call(source: str, call: ast.Call) -> Iterator[Mutant]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in _GUARDS:
        for argument in call.args[_GUARDS[name] :]:
            if not isinstance(argument, ast.Starred):
                yield _without(source, call, argument, f"without the condition {text_of(source, argument)}")
    if name in _WRITES:
        for keyword in call.keywords:
            if keyword.arg is not None:
                yield _without(source, call, keyword, f"does not write {text_of(source, keyword)}")
    if name in _MOVES:
        for column in _columns_of(call):
            yield _without(source, call, column, f"leaves {text_of(source, column)} as it is")


def _columns_of(move: ast.Call) -> Iterator[ast.expr]:
    """Give the columns, and groups of columns, that a move writes or compares."""
    for keyword in move.keywords:
        if isinstance(keyword.value, ast.Tuple):
            yield from keyword.value.elts


def _without_entries(source: str, entries: ast.Dict) -> Iterator[Mutant]:
    """Leave out one column of a dict with names of columns."""
    for key, value in zip(entries.keys, entries.values, strict=True):
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            first, last = _offset(source, key.lineno, key.col_offset), _end(source, value)
            yield _cut(source, first, last, key.lineno, f"does not write {key.value!r}")


def _compared_otherwise(source: str, comparison: ast.Compare) -> Iterator[Mutant]:
    left, operator, right = comparison.left, comparison.ops[0], comparison.comparators[0]
    if len(comparison.ops) == 1 and type(operator) in _OPPOSITES:
        other = f"{text_of(source, left)} {_OPPOSITES[type(operator)]} {text_of(source, right)}"
        yield replaced(source, comparison, other, f"compares {_OPPOSITES[type(operator)]}")


def _of_attribute(source: str, node: ast.Attribute) -> Iterator[Mutant]:
    if node.attr in _OTHER_METHODS:
        other = _OTHER_METHODS[node.attr]
    elif isinstance(node.value, ast.Name) and node.value.id == "Status" and node.attr in _OTHER_STATUS:
        other = _OTHER_STATUS[node.attr]
    else:
        return
    yield replaced(source, node, f"{text_of(source, node.value)}.{other}", f"{other} instead of {node.attr}")


def _without(source: str, call: ast.Call, part: ast.expr | ast.keyword, what: str) -> Mutant:
    return _cut(source, _offset(source, part.lineno, part.col_offset), _end(source, part), call.lineno, what)


def _cut(source: str, first: int, last: int, line: int, what: str) -> Mutant:
    """Cut a part out, with the comma that follows it."""
    raw = source.encode()
    rest = raw[last:]
    if rest.lstrip().startswith(b","):
        rest = rest.lstrip()[1:]
    return Mutant(line, what, (raw[:first] + rest).decode())


def replaced(source: str, node: ast.expr | ast.stmt, other: str, what: str) -> Mutant:
    """Write something else in place of a piece of code."""
    raw = source.encode()
    first, last = _offset(source, node.lineno, node.col_offset), _end(source, node)
    return Mutant(node.lineno, what, (raw[:first] + other.encode() + raw[last:]).decode())


def text_of(source: str, node: ast.AST) -> str:
    """Give a piece of code as it is written."""
    return ast.get_source_segment(source, node) or ""


def _offset(source: str, line: int, column: int) -> int:
    lines = source.encode().splitlines(keepends=True)
    return sum(len(one) for one in lines[: line - 1]) + column


def _end(source: str, node: ast.expr | ast.stmt | ast.keyword) -> int:
    return _offset(source, node.end_lineno or node.lineno, node.end_col_offset or 0)


def _compiles(source: str) -> bool:
    try:
        compile(source, "<mutant>", "exec")
    except SyntaxError:
        return False
    return True
