"""The runbook knows every reason, every error and every way in which a batch ends, so that it cannot go stale."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_midjourney.describe.engine.verdict import Tolerance, judge
from airflow_midjourney.describe.model import errors
from airflow_midjourney.describe.model.batch import Batch, BatchOptions, Listed, Origin, Position, Scope
from airflow_midjourney.describe.model.status import REJECTED_FOR, Reason
from airflow_midjourney.describe.service import client
from airflow_midjourney.describe.table.counts import Counts
from airflow_midjourney.web.remedies import CURES

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNBOOK = (Path(__file__).parents[3] / "docs" / "runbook.md").read_text(encoding="utf-8")
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def error_classes() -> Iterator[str]:
    for module in (errors, client):
        for name, value in vars(module).items():
            if isinstance(value, type) and issubclass(value, errors.DescribeError):
                yield name


def batch(**listed: int) -> Batch:
    return Batch(
        batch_id="a/b/c",
        scope=Scope("photos", ("in/",)),
        options=BatchOptions(),
        origin=Origin("a", "c", "b"),
        started_at=MOMENT,
        tried_at=MOMENT,
        position=Position(0, ""),
        listing_ended_at=MOMENT,
        last_row_id=0,
        listed=Listed(**listed),
    )


VERDICTS = {
    "good": Counts(succeeded=2, billed=2),
    "nothing succeeded": Counts(failed=1),
    "too many failed": Counts(succeeded=1, failed=1),
    "too many rejected": Counts(succeeded=1, rejected=3),
    "capped": Counts(succeeded=1, pending=1),
}


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_its_line(reason: Reason) -> None:
    assert f"| `{reason}` |" in RUNBOOK


@pytest.mark.parametrize("name", sorted(set(error_classes())))
def test_every_error_has_its_line(name: str) -> None:
    assert f"| `{name}` |" in RUNBOOK


@pytest.mark.parametrize("counts", VERDICTS.values(), ids=VERDICTS)
def test_every_verdict_has_its_line(counts: Counts) -> None:
    message = judge(batch(), counts, Tolerance(0.1, 0.5), "image_prompts").message

    assert any(line.match(message) for line in patterns_of_the_runbook())


@pytest.mark.parametrize("listed", [{"keys": 3, "images": 3, "done": 3}, {"keys": 3}], ids=["all done", "no images"])
def test_every_empty_batch_has_its_line(listed: dict[str, int]) -> None:
    message = judge(batch(**listed), Counts(), Tolerance(), "image_prompts").message

    assert any(line.match(message) for line in patterns_of_the_runbook())


def patterns_of_the_runbook() -> list[re.Pattern[str]]:
    """Read the first column of the table of last lines: ``n`` and ``N`` stand for numbers, ``…`` for anything."""
    table = RUNBOOK.partition("## The last line of the sensor")[2].partition("\n## ")[0]
    quoted = re.findall(r"^\| `([^`]+)` \|", table, flags=re.MULTILINE)
    patterns = []
    for line in quoted:
        words = re.escape(line).replace("…", ".*").replace(r"n\ %", r"[\d.]+%")
        patterns.append(re.compile(re.sub(r"\b[nN]\b", r"\\d+", words)))
    return patterns


def test_links_within_it_lead_somewhere() -> None:
    anchors = {
        re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in re.findall(r"^#+ (.*)", RUNBOOK, re.M)
    }

    assert set(re.findall(r"\]\(#([^)]+)\)", RUNBOOK)) <= anchors


@pytest.mark.parametrize("reason", list(Reason))
def test_it_has_the_very_words_of_the_pages(reason: Reason) -> None:
    cure = CURES[reason]
    cells = [f"`{reason}`", cure.meaning, cure.remedy]
    if reason not in REJECTED_FOR:
        cells.append(cure.warning)

    line = " ".join(f"| {cell}" if cell else "|" for cell in cells) + " |"

    assert line in RUNBOOK.splitlines()


def test_reasons_of_rejected_rows_have_no_warning_since_they_cost_nothing() -> None:
    assert [reason for reason in REJECTED_FOR if CURES[reason].warning] == []
    assert set(CURES) == set(Reason)
