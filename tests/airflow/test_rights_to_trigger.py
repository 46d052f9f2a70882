"""``docs/security.md`` says what the right to trigger each example is worth."""

from __future__ import annotations

import re
from typing import Final

import pytest

from tests.support.airflow_home import REPOSITORY
from tests.support.example_dags import load_example

EXAMPLES: Final = sorted(file.stem for file in (REPOSITORY / "dags").glob("*.py"))

#: Parameters that reach beyond what a DAG is for: other connections, second payments, images by name, other places.
REACHING: Final = frozenset({"mj_conn_id", "aws_conn_id", "db_conn_id", "redescribe", "keys", "target", "action"})

#: Rows that say of a DAG that it is worth as much as the one in the row above.
THE_SAME: Final = "the same"


def row_of(dag_id: str) -> str:
    text = (REPOSITORY / "docs/security.md").read_text(encoding="utf-8")
    table = text.split("## What the right to trigger is worth")[1].split("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    (number,) = (number for number, row in enumerate(rows) if f"`{dag_id}`" in row.split("|")[1])
    row = rows[number]
    return rows[number - 1] + row if row.split("|")[2].strip().startswith(THE_SAME) else row


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_parameter_that_reaches_further_is_named(name: str) -> None:
    row = row_of(name)

    reaching = REACHING.intersection(load_example(name).params)

    assert {parameter for parameter in reaching if not re.search(rf"`{parameter}\b", row)} == set()
