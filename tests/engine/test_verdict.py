"""How a batch ends: the arithmetic of what may go wrong, and what is said about it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_midjourney.describe.engine.verdict import Ending, Tolerance, judge, summary
from airflow_midjourney.describe.model.batch import Batch, BatchOptions, Listed, OnEmpty, Origin, Scope
from airflow_midjourney.describe.model.errors import SettingsError
from airflow_midjourney.describe.table.counts import Counts
from tests.support.rows import LONG_AGO

BATCH = Batch("batch", Scope("photos", ("in/",)), BatchOptions(), Origin(), LONG_AGO, LONG_AGO)
NUMBERS = st.integers(0, 60)
RATES = st.sampled_from([0.0, 0.05, 0.1, 0.5, 1.0])


def ending(counts: Counts, tolerance: Tolerance | None = None) -> Ending:
    return judge(BATCH, counts, tolerance or Tolerance(), "image_prompts").ending


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS, RATES, RATES)
def test_a_batch_is_bad_exactly_when_more_went_wrong_than_was_allowed(
    succeeded: int, failed: int, in_doubt: int, rejected: int, pending: int, failures: float, rejections: float
) -> None:
    counts = Counts(succeeded=succeeded, failed=failed, in_doubt=in_doubt, rejected=rejected, pending=pending)
    wrong, judged = failed + in_doubt, failed + in_doubt + succeeded
    too_many_failures = judged > 0 and (succeeded == 0 or Decimal(wrong) / judged > Decimal(str(failures)))
    ended = judged + rejected
    too_many_rejected = ended > 0 and Decimal(rejected) / ended > Decimal(str(rejections))

    expected = Ending.INCOMPLETE if pending else Ending.GOOD
    if counts == Counts():
        expected = Ending.EMPTY
    if too_many_failures or too_many_rejected:
        expected = Ending.BAD

    assert ending(counts, Tolerance(failures, rejections)) is expected


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (Counts(), Ending.EMPTY),
        (Counts(succeeded=19, failed=1), Ending.GOOD),
        (Counts(succeeded=18, failed=1), Ending.BAD),
        (Counts(succeeded=18, in_doubt=1), Ending.BAD),
        (Counts(failed=1), Ending.BAD),
        (Counts(rejected=5), Ending.GOOD),
        (Counts(succeeded=1, rejected=99), Ending.GOOD),
        (Counts(succeeded=1, pending=1), Ending.INCOMPLETE),
    ],
)
def test_the_defaults_allow_one_failure_in_twenty_and_any_rejection(counts: Counts, expected: Ending) -> None:
    assert ending(counts) is expected


@pytest.mark.parametrize("reason", ["missing", "replaced", "archived", "denied", "not_allowed"])
def test_where_nothing_succeeded_reasons_that_are_not_the_images_content_are_bad(reason: str) -> None:
    alone = Counts(rejected=1, reasons={reason: 1})
    among_bad_files = Counts(rejected=9, reasons={"corrupt": 8, reason: 1})
    beside_one_success = Counts(succeeded=1, rejected=99, reasons={reason: 99})

    assert ending(alone) is ending(among_bad_files) is Ending.BAD
    assert ending(beside_one_success) is Ending.GOOD
    message = judge(BATCH, among_bad_files, Tolerance(), "image_prompts").message
    assert message.startswith("Not one image got its prompts.")
    assert f"{reason}: 1" in message


@pytest.mark.parametrize("reason", ["corrupt", "unsupported_format", "too_large", "empty", "unprocessable", "erased"])
def test_files_that_are_no_images_are_no_failure(reason: str) -> None:
    assert ending(Counts(rejected=5, reasons={reason: 5})) is Ending.GOOD


@pytest.mark.parametrize(
    ("of_batch", "of_sensor", "expected"),
    [
        ("skip", None, Ending.EMPTY),
        ("finish", None, Ending.GOOD),
        ("fail", None, Ending.BAD),
        ("skip", "fail", Ending.BAD),
        ("fail", "finish", Ending.GOOD),
        ("finish", "skip", Ending.EMPTY),
    ],
)
def test_an_empty_scope_ends_as_it_was_asked_to(of_batch: OnEmpty, of_sensor: OnEmpty | None, expected: Ending) -> None:
    batch = replace(BATCH, options=BatchOptions(on_empty=of_batch), listed=Listed(keys=1203))

    verdict = judge(batch, Counts(), Tolerance(), "image_prompts", of_sensor)

    assert verdict.ending is expected
    assert "s3://photos/in/: 1,203 keys" in verdict.message


def test_a_scope_whose_images_are_all_done_is_not_empty() -> None:
    done = replace(BATCH, options=BatchOptions(on_empty="fail"), listed=Listed(keys=3, images=3, done=3))

    assert judge(done, Counts(), Tolerance(), "image_prompts").ending is Ending.GOOD


def test_on_empty_is_one_of_three() -> None:
    with pytest.raises(SettingsError, match="on_empty"):
        BatchOptions(on_empty="ignore")  # type: ignore[arg-type]


@pytest.mark.parametrize("rate", [-0.01, 1.01, 5])
@pytest.mark.parametrize("name", ["max_failure_rate", "max_rejected_rate"])
def test_a_rate_is_a_share(name: str, rate: float) -> None:
    with pytest.raises(SettingsError, match=name):
        Tolerance(**{name: rate})


def test_one_line_says_how_many_of_what_and_where_to_look() -> None:
    counts = Counts(
        succeeded=9,
        shared=1,
        rejected=3,
        failed=1,
        billed=9,
        cost=Decimal("0.450000"),
        currency="USD",
        reasons={"banned": 1, "corrupt": 3},
    )

    verdict = judge(BATCH, counts, Tolerance(max_failure_rate=0.2), "image_prompts")

    assert verdict.ending is Ending.GOOD
    assert "\n" not in verdict.message
    assert "described 8 of 13 images, 1 shared, 3 rejected, 1 failed (banned: 1, corrupt: 3)" in verdict.message
    assert "9 billed, 0.45 USD" in verdict.message
    assert "image_prompts" in verdict.message


def test_a_bad_end_says_first_what_was_too_much() -> None:
    verdict = judge(BATCH, Counts(succeeded=1, failed=1), Tolerance(), "image_prompts")

    assert verdict.message.startswith("50.0% failed, more than max_failure_rate=0.05 allows.")


def test_nothing_to_do_says_why() -> None:
    done = replace(BATCH, listed=Listed(images=5, keys=5, done=5))

    assert "Nothing to pay for: 5 of 5 images have their prompts" in summary(done, Counts())
    assert "no images in s3://photos/in/" in summary(BATCH, Counts())
