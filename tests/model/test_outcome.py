"""What follows from an outcome: every one is decided."""

from __future__ import annotations

import pytest

from airflow_midjourney.describe.model.outcome import FREE, TURNED_AWAY, UNDECIDED, Outcome, Paid


@pytest.mark.parametrize(
    ("outcome", "paid", "speaks_against_image"),
    [
        ("sent", Paid.PERHAPS, False),
        ("accepted", Paid.YES, False),
        ("refunded", Paid.NO, False),
        ("ambiguous", Paid.PERHAPS, False),
        ("full", Paid.NO, False),
        ("unavailable", Paid.NO, True),
        ("refused", Paid.NO, False),
        ("denied", Paid.NO, True),
        ("broken_off", Paid.NO, True),
        ("never_sent", Paid.NO, False),
    ],
)
def test_an_outcome_says_what_it_costs_and_whom_it_blames(outcome: str, paid: Paid, speaks_against_image: bool) -> None:
    found = Outcome(outcome)

    assert (found.paid, found.speaks_against_image) == (paid, speaks_against_image)
    assert found.counts_as_paid == (found not in FREE) == (paid is not Paid.NO)
    assert (found in UNDECIDED) == (paid is Paid.PERHAPS)
    assert (found in TURNED_AWAY) == speaks_against_image
    assert f"{found}" == outcome
