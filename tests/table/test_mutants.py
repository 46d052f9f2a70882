"""The faults that `make mutants` plants, and what it finds of them."""

from __future__ import annotations

from pathlib import Path

from airflow_midjourney.describe.table import results, transitions
from mutants.mutations import mutants_of

WRITE = """\
LIMIT: Final = 10
def write(tx, rows):
    waiting = [row for row in rows if row.waits]
    tx.execute(images.update().where(images.c.id == 1, images.c.ended_at.is_(None)).values(status=Status.PENDING, a=1))
"""


def test_each_guard_value_comparison_constant_and_filter_of_a_write_is_a_mutant() -> None:
    changed = {
        (mutant.line, before.strip(), after.strip())
        for mutant in mutants_of(WRITE)
        for before, after in zip(WRITE.splitlines(), mutant.source.splitlines(), strict=True)
        if before != after
    }
    lines = [line.strip() for line in WRITE.splitlines()]
    faults = {
        (1, lines[0], "LIMIT: Final = (10 + 1)"),
        (3, lines[2], "waiting = [row for row in rows if True]"),
        *(
            (4, lines[3], lines[3].replace(right, wrong))
            for right, wrong in [
                ("images.c.id == 1,", ""),
                (", images.c.ended_at.is_(None)", ", "),
                ("== 1", "!= 1"),
                ("is_(None)", "is_not(None)"),
                ("status=Status.PENDING,", ""),
                (", a=1)", ", )"),
                ("Status.PENDING", "Status.SUBMITTED"),
            ]
        ),
    }
    assert changed == faults


def test_writing_all_answers_in_place_of_those_that_were_waited_for_is_among_them() -> None:
    source = Path(results.__file__).read_text()

    assert any("moved = [answer for answer in answers if True]" in mutant.source for mutant in mutants_of(source))


def test_text_without_a_write_and_wide_characters_before_one_are_no_problem() -> None:
    assert mutants_of("x = 1\n") == []

    (mutant,) = mutants_of("猫 = f('提示词', 猫 == 2)\n")
    assert mutant.source == "猫 = f('提示词', 猫 != 2)\n"


def test_a_column_or_a_group_of_them_that_a_move_leaves_as_it_is_is_among_them() -> None:
    source = Path(transitions.__file__).read_text()
    faults = {mutant.what for mutant in mutants_of(source)}

    assert {'leaves "reservations" as it is', "leaves *_LEASE as it is", "leaves _LEASE as it is"} & faults
    assert 'leaves "submit_token" as it is' in faults
    assert "SUBMITTED instead of PENDING" in faults
