"""The end of the demo tells what is in the table, whatever that is."""

from __future__ import annotations

import io
import sqlite3
from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from sqlalchemy import insert

from airflow_midjourney.describe.model.status import BotType, Status
from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.describe.table.migrations import ensure_tables
from demo.pictures import Pictures
from demo.report import report
from demo.rows import ImageRow, Tally, read_paid, read_rows, tally
from demo.screen import Screen
from demo.services import PlayBill

if TYPE_CHECKING:
    from pathlib import Path

PICTURES = Pictures("b", "p/")
PROMPTS = ("one", "two", "three", "four")


def described(key: str) -> ImageRow:
    return ImageRow(key, "succeeded", None, None, None, PROMPTS)


def told(rows: list[ImageRow], bill: PlayBill, width: int = 100) -> str:
    output = io.StringIO()
    screen = Screen(Console(file=output, width=width, markup=False, emoji=False, highlight=False))
    report(screen, PICTURES, rows, bill)
    return output.getvalue()


def test_the_numbers_are_those_of_the_rows() -> None:
    rows = [
        described("a"),
        described("b"),
        ImageRow("c", "succeeded", None, None, "a", PROMPTS),
        ImageRow("d", "rejected", "empty", "The object has no bytes.", None, ()),
        ImageRow("e", "failed", "banned", None, None, ()),
        ImageRow("f", "in_doubt", None, None, None, ()),
        ImageRow("g", "submitted", None, None, None, ()),
    ]

    assert tally(rows) == Tally(7, described=2, shared=1, rejected=1, failed=1, on_the_way=1, unfinished=2)
    output = told(rows, PlayBill(3, 0.15))
    assert "\ndescribed 2 of 7 images, 1 shared, 1 rejected, 1 failed, 2 unfinished\n" in output
    assert "billed 3 descriptions in this run: 0.15 USD" in output
    assert "Nothing to pay for" not in output


def test_a_run_that_pays_for_nothing_says_so() -> None:
    output = told([described("a"), described("b")], PlayBill(0, 0.0))

    assert "Nothing to pay for: all 2 images" in output
    assert "billed 0 descriptions in this run: 0.00 USD" in output


def test_hostile_keys_and_prompts_are_text() -> None:
    row = ImageRow("a'; drop table\x1b[2J\u202e.jpg", "succeeded", None, None, None, ("\x1b[31mred\nline", "[b]two"))

    output = told([row], PlayBill(1, 0.05), width=80)

    assert "\x1b" not in output
    assert "\u202e" not in output
    assert "  1. [31mred line\n" in output
    assert "  2. [b]two\n" in output


def test_rows_are_read_from_the_product_s_own_table(tmp_path: Path) -> None:
    path = tmp_path / "a folder ü" / "image_prompts.sqlite"
    path.parent.mkdir()
    database = open_database(f"sqlite:///{path}")
    ensure_tables(database)
    with database.writing() as tx:
        listed = [("p/k", "1", None), ("p/k", "2", None), ("p/l", "1", 2), ("q/other", "1", None)]
        for number, (key, version, shares) in enumerate(listed, start=1):
            tx.connection.execute(
                insert(tx.tables.images).values(
                    id=number,
                    image_uri=f"s3://b/{key}",
                    bucket="b",
                    key=key,
                    image_version=version,
                    is_current=number > 1,
                    bot_type=BotType.MID_JOURNEY,
                    status=Status.SUCCEEDED,
                    shares_id=shares,
                    prompt_1="one",
                    prompt_2="two",
                    created_at=tx.now,
                    updated_at=tx.now,
                )
            )
    database.close()

    assert read_rows(path, PICTURES) == [
        ImageRow("p/k", "succeeded", None, None, None, ("one", "two")),
        ImageRow("p/l", "succeeded", None, None, "p/k", ("one", "two")),
    ]
    assert read_rows(path, Pictures("another", "p/")) == []
    assert read_paid(path) == 0


def test_no_file_and_no_table_are_no_rows_and_a_broken_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "image_prompts.sqlite"
    assert read_rows(path, PICTURES) == []
    path.touch()
    assert read_rows(path, PICTURES) == []
    path.write_bytes(b"no database at all, but long enough to look for a header" * 20)
    with pytest.raises(sqlite3.DatabaseError):
        read_rows(path, PICTURES)


def test_of_thousands_of_rows_as_many_are_shown_as_a_person_reads() -> None:
    output = told([described(f"p/{number:04}.jpg") for number in range(5000)], PlayBill(1, 0.05))

    assert "\n0199.jpg " in output
    assert "\n0200.jpg " not in output
    assert "\nand 4,800 more\n" in output
    assert "described 5000 of 5000 images" in output
