"""The faults that `make mutants` plants, and what it finds of them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_midjourney.describe.table import results
from airflow_midjourney.describe.table.transitions import submissions
from mutants.__main__ import chosen_tests
from mutants.mutations import mutants_of
from mutants.planting import loaded_functions, plant
from mutants.reach import Code, KnownTest, Place

if TYPE_CHECKING:
    from types import ModuleType

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


def test_the_condition_that_says_which_rows_make_a_move_is_among_them() -> None:
    faults = {mutant.source for mutant in mutants_of("move_rows(tx, Move.READ, this_one, reader=reader)\n")}

    assert faults == {"move_rows(tx, Move.READ,  reader=reader)\n", "move_rows(tx, Move.READ, this_one, )\n"}


def test_text_without_a_write_and_wide_characters_before_one_are_no_problem() -> None:
    assert mutants_of("x = 1\n") == []

    (mutant,) = mutants_of("猫 = f('提示词', 猫 == 2)\n")
    assert mutant.source == "猫 = f('提示词', 猫 != 2)\n"


def test_a_column_or_a_group_of_them_that_a_move_leaves_as_it_is_is_among_them() -> None:
    source = Path(submissions.__file__).read_text()
    faults = {mutant.what for mutant in mutants_of(source)}

    assert {'leaves "shares_id" as it is', "leaves *LEASED as it is"} <= faults
    assert 'leaves "submit_token" as it is' in faults
    assert "SUBMITTED instead of PENDING" in faults


LOADED = """\
from enum import Enum
from functools import cache
LIMIT = 10
class Move(Enum):
    LIST = ("pending",)
    END = ("failed",)
@cache
def is_over(number):
    return [one for one in (number,) if one > LIMIT]
def moves():
    return [move.value for move in Move]
"""


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    path = tmp_path / "loaded.py"
    path.write_text(LOADED)
    spec = importlib.util.spec_from_file_location("loaded", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "loaded", module)
    spec.loader.exec_module(module)
    return module


def is_sure(module: ModuleType, right: str, wrong: str) -> bool:
    return plant(module, LOADED, LOADED.replace(right, wrong), loaded_functions(str(module.__file__)))


def test_a_fault_in_a_function_is_planted_where_others_have_imported_it_already(loaded: ModuleType) -> None:
    imported = loaded.is_over

    assert is_sure(loaded, "one > LIMIT", "one < LIMIT")
    assert imported(9) == [9]


def test_a_fault_in_a_constant_or_a_move_is_planted_but_only_a_new_process_could_clear_it(loaded: ModuleType) -> None:
    imported = loaded.moves

    assert not is_sure(loaded, "10", "8")
    assert loaded.is_over(9) == [9]
    assert not is_sure(loaded, '("pending",)', "()")
    assert imported() == [(), ("failed",)]


def test_the_tests_of_a_fault_are_those_of_its_function_or_of_all_that_use_its_constant() -> None:
    code = Code({"table/a.py": LOADED, "engine/b.py": "def sees():\n    return a.LIMIT, a.Move.END\n"})

    assert code.around("table/a.py", 9) == Place(frozenset({"table/a.py:is_over"}))
    assert code.around("table/a.py", 3) == Place(frozenset({"table/a.py:is_over", "engine/b.py:sees"}))
    assert code.around("table/a.py", 5) == Place(frozenset(), "LIST")
    assert code.around("table/a.py", 6) == Place(frozenset({"engine/b.py:sees"}), "END")


def test_quick_tests_come_first_and_those_on_postgres_last_until_the_time_is_over() -> None:
    reached = frozenset({"f"})
    tests = [
        KnownTest("t.py::slow[sqlite]", 5, reached),
        KnownTest("t.py::quick[postgres]", 1, reached),
        KnownTest("t.py::quick[sqlite]", 1, reached),
        KnownTest("t.py::elsewhere", 1, frozenset({"g"})),
    ]
    place = Place(frozenset({"f"}))

    assert [one.name for one in chosen_tests(tests, place, 60)] == [
        "t.py::quick[sqlite]",
        "t.py::slow[sqlite]",
        "t.py::quick[postgres]",
    ]
    assert [one.name for one in chosen_tests(tests, place, 1)] == ["t.py::quick[sqlite]"]


def test_a_test_of_each_member_of_an_enum_comes_before_all_that_reach_the_member_by_the_way() -> None:
    tests = [
        KnownTest("t.py::quick[sqlite]", 1, frozenset({"f"})),
        KnownTest("t.py::each[sqlite-CLAIM_AGAIN pending]", 1, frozenset({"g"})),
        KnownTest("t.py::each[sqlite-CLAIM pending]", 2, frozenset({"g"})),
    ]

    found = chosen_tests(tests, Place(frozenset({"f"}), "CLAIM"), 60)
    assert [one.name for one in found] == ["t.py::each[sqlite-CLAIM pending]", "t.py::quick[sqlite]"]
