"""Faults of control flow that are planted into the engine: a step left out, a decision turned round, a wrong sum."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from mutants.mutations import distinct, mutants_of, replaced, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mutants.mutations import Mutant

#: What a log line says is tested where it matters; that each is written is not.
_NO_STEPS: Final = "log."

_OTHER_EXTREMES: Final = {"min": "max", "max": "min"}

_NEUTRAL: Final[dict[type[ast.boolop], str]] = {ast.And: "True", ast.Or: "False"}

_OTHER_SIGNS: Final[dict[type[ast.operator], str]] = {ast.Add: "-", ast.Sub: "+"}


def flow_mutants_of(source: str) -> list[Mutant]:
    """Give every mutant of a module's control flow that is none of its writes already."""
    known = {mutant.source for mutant in mutants_of(source)}
    return [
        mutant
        for mutant in distinct(source, (mutant for node in ast.walk(ast.parse(source)) for mutant in _of(source, node)))
        if mutant.source not in known
    ]


def _of(source: str, node: ast.AST) -> Iterator[Mutant]:
    if isinstance(node, ast.Expr):
        yield from _without_step(source, node)
    elif isinstance(node, ast.If | ast.IfExp):
        test = text_of(source, node.test)
        if test != "TYPE_CHECKING":
            yield replaced(source, node.test, f"(not ({test}))", f"unless {test}")
    elif isinstance(node, ast.BoolOp):
        for part in node.values:
            yield replaced(source, part, _NEUTRAL[type(node.op)], f"without {text_of(source, part)}")
    elif isinstance(node, ast.Return):
        yield from _other_answer(source, node)
    else:
        yield from _other_sum(source, node)


def _without_step(source: str, step: ast.Expr) -> Iterator[Mutant]:
    call = step.value.value if isinstance(step.value, ast.Await) else step.value
    text = text_of(source, step.value)
    if isinstance(call, ast.Call) and not text.startswith(_NO_STEPS):
        yield replaced(source, step.value, "None", f"leaves out {text}")


def _other_answer(source: str, answer: ast.Return) -> Iterator[Mutant]:
    if isinstance(answer.value, ast.Constant) and isinstance(answer.value.value, bool):
        other = str(not answer.value.value)
        yield replaced(source, answer.value, other, f"returns {other}")


def _other_sum(source: str, node: ast.AST) -> Iterator[Mutant]:
    if isinstance(node, ast.BinOp) and type(node.op) in _OTHER_SIGNS:
        left, right, sign = text_of(source, node.left), text_of(source, node.right), _OTHER_SIGNS[type(node.op)]
        yield replaced(source, node, f"(({left}) {sign} ({right}))", f"{sign} in {text_of(source, node)}")
    elif isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add | ast.BitOr):
        target, value = text_of(source, node.target), text_of(source, node.value)
        yield replaced(source, node, f"{target} = {value}", f"forgets {target} before {value}")
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _OTHER_EXTREMES:
        other = _OTHER_EXTREMES[node.func.id]
        yield replaced(source, node.func, other, f"{other} in {text_of(source, node)}")
