"""The rooms of the engine stay small enough to be read, and each says what lives there."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

import pytest

DESCRIBE: Final = Path(__file__).parents[1] / "plugins/airflow_midjourney/describe"
ROOMS: Final = sorted({file.parent for file in DESCRIBE.rglob("*.py")})

#: Modules of one folder, ``__init__`` and ``__main__`` among them.
AT_MOST: Final = 22


def name_of(room: Path) -> str:
    return str(room.relative_to(DESCRIBE.parent))


@pytest.mark.parametrize("room", ROOMS, ids=name_of)
def test_a_room_is_small_enough_to_be_read(room: Path) -> None:
    assert len(list(room.glob("*.py"))) <= AT_MOST


@pytest.mark.parametrize("room", ROOMS, ids=name_of)
def test_a_room_says_what_lives_there_and_what_may_call_it(room: Path) -> None:
    said = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8")))

    assert said
    assert len([line for line in said.splitlines() if line]) >= 2
