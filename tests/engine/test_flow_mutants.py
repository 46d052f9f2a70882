"""The faults of control flow that `make mutants` plants into the engine."""

from __future__ import annotations

from mutants.flow import flow_mutants_of
from mutants.mutations import mutants_of

STEPS = """\
if TYPE_CHECKING:
    from table import Transaction
async def settle(tx: Transaction, rows):
    log.info("Settling")
    if rows and not rows.ended:
        write(tx, min(rows))
    await end(tx)
    ended += 1
    return False
"""


def test_each_step_decision_answer_and_sum_is_a_mutant_but_no_log_line() -> None:
    changed = {
        (before.strip(), after.strip())
        for mutant in flow_mutants_of(STEPS)
        for before, after in zip(STEPS.splitlines(), mutant.source.splitlines(), strict=True)
        if before != after
    }
    decision = "if rows and not rows.ended:"
    assert changed == {
        (decision, "if (not (rows and not rows.ended)):"),
        (decision, "if True and not rows.ended:"),
        (decision, "if rows and True:"),
        ("write(tx, min(rows))", "None"),
        ("write(tx, min(rows))", "write(tx, max(rows))"),
        ("await end(tx)", "None"),
        ("ended += 1", "ended = 1"),
        ("return False", "return True"),
    }


def test_a_sign_is_turned_round_and_what_stands_beside_it_stays_together() -> None:
    assert [mutant.source for mutant in flow_mutants_of("x = a - (b or c)\n")] == [
        "x = ((a) + (b or c))\n",
        "x = a - (False or c)\n",
        "x = a - (b or False)\n",
    ]


def test_a_comparison_that_is_turned_round_already_is_no_second_mutant() -> None:
    (mutant,) = mutants_of("if not a == b:\n    pass\n")

    assert mutant.source not in {other.source for other in flow_mutants_of("if not a == b:\n    pass\n")}
