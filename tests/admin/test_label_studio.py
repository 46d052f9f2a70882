"""Entries of Label Studio's JSON are read in each shape that it writes them in, and refused with a reason otherwise."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_midjourney.describe.admin.label_studio import Annotation, NotUnderstoodError, Undecided, read_entry
from airflow_midjourney.describe.model.review import ReviewDecision
from tests.support.annotated import FACTS, annotated, annotation, chosen, written

APPROVED, REJECTED = ReviewDecision.APPROVED, ReviewDecision.REJECTED

DATA: dict[str, Any] = {
    "image": "s3://photos/in/a.jpg",
    "image_uri": "s3://photos/in/a.jpg",
    "image_version": "v1",
    "bot_type": "MID_JOURNEY",
    "answer": "abc",
    "reviewed_at": None,
    "prompts": ["a red boat", "a lake"],
}
TASK = {"data": DATA}


def read(entry: object) -> Annotation:
    found = read_entry(entry)
    assert isinstance(found, Annotation)
    return found


@pytest.mark.parametrize(
    ("regions", "decision", "text"),
    [
        ((chosen("approved"), written("a red boat")), APPROVED, "a red boat"),
        ((written("a red boat"),), APPROVED, "a red boat"),
        ((written("  two\nlines "),), APPROVED, "two lines"),
        ((chosen("rejected"),), REJECTED, None),
        ((chosen("rejected"), written("a red boat")), REJECTED, None),
        ((chosen("Rejected"),), REJECTED, None),
        ((chosen("approved"), {**written(), "value": {"text": "one text"}}), APPROVED, "one text"),
    ],
)
def test_what_an_annotator_decides(regions: tuple[dict[str, Any], ...], decision: ReviewDecision, text: str) -> None:
    found = read(annotated(TASK, annotation(*regions)))

    assert (found.decision, found.text) == (decision, text)
    assert (found.annotator, found.annotated_at) == ("3", datetime(2026, 3, 2, 9, tzinfo=UTC))
    assert (found.image.image_uri, found.image.image_version) == ("s3://photos/in/a.jpg", "v1")


def test_an_approval_without_a_text_takes_the_only_prompt_that_was_shown() -> None:
    shown = {"data": {**DATA, "prompts": ["a  red boat"]}}

    assert read(annotated(shown, annotation(chosen("approved")))).text == "a red boat"
    with pytest.raises(NotUnderstoodError, match="none of its 2 prompts is kept as its text"):
        read_entry(annotated(TASK, annotation(chosen("approved"))))


@pytest.mark.parametrize(
    "flat",
    [
        {"decision": "approved", "caption": "a lake"},
        {"caption": "a lake"},
        {"decision": {"choices": ["approved"]}, "caption": {"text": ["a lake"]}},
        {"decision": ["approved"], "caption": ["a lake"]},
    ],
)
def test_the_flat_form(flat: dict[str, Any]) -> None:
    found = read({**DATA, **flat, "id": 1, "annotator": 3, "annotation_id": 7, "updated_at": FACTS["updated_at"]})

    assert (found.decision, found.text, found.annotator) == (APPROVED, "a lake", "3")


def test_a_file_of_a_target_storage() -> None:
    by = {"id": 3, "email": "anna@example.com", "first_name": "", "last_name": ""}
    found = read({**annotation(chosen("rejected"), by=by), "task": {"id": 1, **TASK}, "project": 1})

    assert (found.decision, found.annotator) == (REJECTED, "anna@example.com")


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (annotated(TASK), Undecided.OPEN),
        (annotated(TASK, annotation()), Undecided.OPEN),
        (annotated(TASK, annotation(written(""))), Undecided.OPEN),
        (annotated(TASK, annotation(written("x"), was_cancelled=True)), Undecided.SKIPPED),
        ({**DATA, "id": 1, "annotator": 3}, Undecided.OPEN),
    ],
)
def test_what_is_not_decided(entry: object, why: Undecided) -> None:
    assert read_entry(entry) is why


def test_of_several_annotations_the_ground_truth_counts_else_the_latest() -> None:
    early = annotation(written("early"), updated_at="2026-03-02T08:00:00Z")
    late = annotation(written("late"), updated_at="2026-03-03T08:00:00+01:00")
    passed = annotation(written("passed over"), was_cancelled=True, updated_at="2026-03-04T08:00:00Z")

    assert read(annotated(TASK, late, early, passed)).text == "late"
    assert read(annotated(TASK, {**early, "ground_truth": True}, late)).text == "early"


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (None, "an entry is no object"),
        ([], "an entry is no object"),
        (TASK, "a task without annotations"),
        ({"data": None, "annotations": []}, "a task without data"),
        ({"data": {"image": "x"}, "annotations": []}, "has no image_uri, image_version, bot_type, answer"),
        ({"data": {**DATA, "answer": 5}, "annotations": []}, "has no answer"),
        ({"hello": 1}, "not from an export of this table"),
        (annotated(TASK, annotation(written("a", "b"))), "2 texts are approved: leave one"),
        (annotated(TASK, annotation(chosen("maybe"))), "neither approved nor rejected, or both: 'maybe'"),
        (annotated(TASK, annotation(chosen("approved"), chosen("rejected"))), "or both: 'approved', 'rejected'"),
    ],
)
def test_what_is_not_understood_says_why(entry: object, why: str) -> None:
    with pytest.raises(NotUnderstoodError, match=why):
        read_entry(entry)


JSON = st.recursive(
    st.none() | st.booleans() | st.text(max_size=5) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.fixed_dictionaries(
        {"data": st.just(DATA) | JSON, "annotations": st.lists(st.just(annotation(written("x"))) | JSON, max_size=3)},
        optional=dict.fromkeys(("id", "task", "result", "completed_by", "was_cancelled"), JSON),
    )
    | st.fixed_dictionaries({**{name: st.just(text) for name, text in DATA.items()}, "decision": JSON, "caption": JSON})
    | JSON
)
def test_any_json_is_read_or_refused(entry: object) -> None:
    try:
        found = read_entry(entry)
    except NotUnderstoodError:
        return
    assert isinstance(found, Undecided) or (found.text is None) == (found.decision is REJECTED)
